"""docker-compose.yml says what the services understand, and each of them scales."""

import re
from pathlib import Path
from typing import Any

import pytest

from libs.runtime.accounts import load_accounts
from libs.runtime.api_keys import Role, load_api_keys
from libs.runtime.settings import RuntimeSettings
from services.gateway.domain.routes import Upstream
from tests.deployment.compose import (
    SERVICES,
    compose,
    default_of,
    names_of,
    settings_of,
    variables,
)
from tests.deployment.conftest import TOP, Run

_PROBE_PORT = {
    "ingest": "ingest_http_port",
    "status": "status_probe_port",
    "analytics": "analytics_probe_port",
    "gateway": "gateway_probe_port",
}


def _service(name: str) -> dict[str, Any]:
    found: dict[str, Any] = compose()["services"][name]
    return found


def test_the_file_is_of_the_compose_schema(run: Run) -> None:
    """A misspelled key is ignored by some engines and refused by others."""
    checked = run(
        "check-jsonschema", "--builtin-schema", "vendor.compose-spec", "docker-compose.yml"
    )

    assert checked.returncode == 0, checked.stdout


def test_everything_that_belongs_to_the_system_is_there() -> None:
    """One broker, one database, one migration job, four services."""
    assert set(compose()["services"]) == {"nats", "postgres", "migrate", *SERVICES}


@pytest.mark.parametrize("service", ["migrate", *SERVICES])
def test_every_setting_in_the_file_is_one_that_the_service_has(service: str) -> None:
    """A misspelled variable is silently the default; nobody would notice until it matters."""
    model = RuntimeSettings if service == "migrate" else settings_of(service)
    given = {name for name in _service(service)["environment"] if name.startswith("BLUETICK_")}

    assert given
    assert given <= names_of(model)


@pytest.mark.parametrize("service", ["nats", "postgres", *SERVICES])
def test_every_service_has_a_health_check(service: str) -> None:
    """Start order and restarts follow health."""
    check = _service(service)["healthcheck"]

    assert check["test"][0] == "CMD"


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_asked_for_its_health_where_it_answers(service: str) -> None:
    """A health check on the wrong port keeps a good service from ever being called healthy."""
    assert _service(service)["build"]["args"]["HEALTH_PORT"] == default_of(
        service, _PROBE_PORT[service]
    )


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_scales(service: str) -> None:
    """A fixed name or a single host port makes `--scale` fail at the second replica."""
    described = _service(service)

    assert "container_name" not in described
    for port in described.get("ports", []):
        host = re.sub(r"\$\{[^}]*\}:", "", port).split(":")[0]
        first, last = map(int, host.split("-"))
        assert last > first


def test_published_ranges_do_not_meet() -> None:
    """The second replica of one service must not take the first port of another."""
    taken: list[int] = []
    for service in SERVICES:
        for port in _service(service).get("ports", []):
            first, last = map(int, re.sub(r"\$\{[^}]*\}:", "", port).split(":")[0].split("-"))
            taken += range(first, last + 1)

    assert len(taken) == len(set(taken))


def test_published_and_inner_ports_are_the_services_defaults() -> None:
    """Inside a container nothing sets a port, so the file has to know the defaults."""

    def inner(service: str) -> set[int]:
        described = _service(service)
        published = {int(port.rpartition(":")[2]) for port in described.get("ports", [])}
        return published | set(map(int, described.get("expose", [])))

    for service in SERVICES:
        fields = settings_of(service).model_fields.items()
        ports = {
            field.default
            for name, field in fields
            if name.endswith("_port") and field.annotation is int
        }
        assert inner(service) == ports


@pytest.mark.parametrize("service", SERVICES)
def test_inside_a_container_every_door_listens_on_all_addresses(service: str) -> None:
    """A door on a container's loopback answers its own health check and nobody else."""
    environment = _service(service)["environment"]
    hosts = {name for name in settings_of(service).model_fields if name.endswith("_host")}

    assert hosts
    for name in hosts:
        given = environment.get(f"BLUETICK_{name.upper()}", default_of(service, name))
        assert given == "0.0.0.0", name


def test_the_gateway_is_pointed_at_the_services_by_name() -> None:
    """`dns:///` with the service's name finds every replica."""
    environment = _service("gateway")["environment"]

    for upstream in Upstream:
        port = default_of(upstream.value, f"{upstream.value}_grpc_port")
        target = environment[f"BLUETICK_GATEWAY_{upstream.name}_TARGET"]
        assert target == f"dns:///{upstream.value}:{port}"


def test_services_wait_for_what_they_need() -> None:
    """A service that starts before the schema is there would crash and restart for nothing."""
    for service in ("status", "analytics"):
        needs = _service(service)["depends_on"]
        assert needs["migrate"]["condition"] == "service_completed_successfully"
        assert needs["postgres"]["condition"] == "service_healthy"
        assert needs["nats"]["condition"] == "service_healthy"
    assert _service("ingest")["depends_on"]["nats"]["condition"] == "service_healthy"
    assert _service("migrate")["depends_on"]["postgres"]["condition"] == "service_healthy"


@pytest.mark.parametrize("service", ["migrate", *SERVICES])
def test_our_containers_can_write_nothing_and_gain_nothing(service: str) -> None:
    """What breaks into a parser of callbacks finds no place to stay."""
    described = _service(service)

    assert described["read_only"] is True
    assert described["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in described["security_opt"]


@pytest.mark.parametrize("service", SERVICES)
def test_docker_waits_longer_than_a_drain_takes(service: str) -> None:
    """Killed in the middle of a drain is what SIGTERM is there to avoid."""
    grace_s = int(_service(service)["stop_grace_period"].removesuffix("s"))

    assert grace_s > default_of(service, "shutdown_s")


def test_postgres_keeps_its_data_where_version_18_puts_it() -> None:
    """Mounted at the old place, the data would live in the container and die with it."""
    postgres = _service("postgres")

    assert postgres["image"].startswith("postgres:18")
    assert postgres["volumes"] == ["postgres-data:/var/lib/postgresql"]


def test_the_example_environment_lists_all_that_can_be_set_with_the_same_defaults() -> None:
    """An operator reads one file to know what to change."""
    defaults = variables((TOP / "docker-compose.yml").read_text())
    example = dict(
        line.split("=", 1)
        for line in (TOP / ".env.example").read_text().splitlines()
        if line and not line.startswith("#")
    )

    assert example == defaults


def test_the_development_files_are_of_the_services_forms() -> None:
    """`docker compose up` on a fresh clone starts, with keys that the documents name."""
    keys = load_api_keys(str(TOP / "deploy" / "dev" / "api_keys.json"))
    accounts = load_accounts(str(TOP / "deploy" / "dev" / "accounts.json"))

    for role in Role:
        found = keys.find(f"bluetick_dev_{role.name.lower()}")
        assert found is not None
        tenant = "" if role is Role.OPERATOR else "demo"
        assert (found.tenant_id, found.role) == (tenant, role)
    account = accounts.find("meta", "acct_1")
    assert account is not None
    assert account.tenant_id == "demo"


def test_the_brokers_configuration_is_valid_and_syncs_before_it_acknowledges(
    run: Run, tmp_path: Path
) -> None:
    """The services refuse any other broker, so this file decides whether anything starts."""
    configuration = TOP / "deploy" / "nats.conf"

    checked = run("nats-server", "-t", "-c", configuration, env={"NATS_PASSWORD": "a-password"})

    assert checked.returncode == 0, checked.stderr
    assert re.search(r"^\s*sync_interval: always$", configuration.read_text(), re.MULTILINE)


def test_the_broker_has_room_for_all_streams() -> None:
    """A stream reserves what it may hold; without room it cannot be made."""
    configuration = (TOP / "deploy" / "nats.conf").read_text()
    found = re.search(r"max_file_store: (\d+)GB", configuration)

    assert found is not None
    names = ("events_bytes_max", "changes_bytes_max", "set_aside_bytes_max")
    assert int(found.group(1)) * 1000**3 > sum(default_of("status", name) for name in names)
