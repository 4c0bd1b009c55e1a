import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import grpc
import nats
import pytest
from bluetick.v1 import campaign_service_pb2, campaign_service_pb2_grpc

from libs.embedded.http_probe import answers_200
from libs.embedded.port_plan import free_ports
from libs.runtime.api_keys import Role
from libs.testkit.up import Up, UpFailed, running_up

pytestmark = pytest.mark.early

_SERVICES = ("ingest", "status", "analytics", "gateway")
_SERVERS = ("nats", "postgres")


@pytest.fixture(scope="module")
async def up(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Up]:
    place = tmp_path_factory.mktemp("temporary")
    async with running_up("--ephemeral", TMPDIR=str(place)) as up:
        assert all(_runs(pid) for pid in up.said["pids"].values())
        yield up
        code, errors = await up.end()
    # What ephemeral means, and what a stop means, told once for the whole module.
    assert code == 0, errors
    assert [pid for pid in up.said["pids"].values() if _runs(pid)] == []
    assert list(place.iterdir()) == []


async def test_the_line_has_what_others_rely_on(up: Up) -> None:
    """Checks that nobody here wrote read these names."""
    assert up.said.keys() == {
        "gateway", "web", "ingest", "nats", "nats_listener", "postgres", "api_keys",
        "tenant", "pids",
    }  # fmt: skip
    assert up.said["tenant"] == "demo"
    assert up.said["api_keys"].keys() == {role.name.lower() for role in Role}
    assert up.said["api_keys"].keys() >= {"admin", "sender", "reader"}
    assert up.said["pids"].keys() == {*_SERVICES, *_SERVERS}


async def test_every_address_answers(up: Up) -> None:
    """Ready means ready: nothing is left to wait for once the line is there."""
    assert await answers_200(up.said["ingest"] + "/readyz")
    assert await answers_200(up.said["web"] + "/healthz")
    assert await _can_query(up.said["postgres"])
    await (await nats.connect(up.said["nats"])).close()
    assert await _list_campaigns(up.said, up.said["api_keys"]["reader"]) is grpc.StatusCode.OK


async def test_only_its_own_keys_open_the_gateway(up: Up) -> None:
    """The keys are random, so those of another machine are strangers here."""
    answer = await _list_campaigns(up.said, "bluetick_admin_of_somebody_else")

    assert answer is grpc.StatusCode.UNAUTHENTICATED


async def test_the_demo_account_takes_metas_hand_shake(up: Up) -> None:
    """The account file reached ingest."""
    query = "hub.mode=subscribe&hub.verify_token=vibecoding&hub.challenge=42"

    assert await answers_200(f"{up.said['ingest']}/callbacks/meta/acct_1?{query}")


@pytest.mark.parametrize("name", [*_SERVICES, *_SERVERS])
async def test_a_killed_process_comes_back_at_its_old_address(up: Up, name: str) -> None:
    """kill -9 costs seconds: same ports, same data, a new pid, and the others live on."""
    pid = up.said["pids"][name]
    os.kill(pid, signal.SIGKILL)

    async with asyncio.timeout(45):
        while _runs(pid) or not await _everything_works(up.said):
            await asyncio.sleep(0.1)

    assert up.process.returncode is None
    others = {key: value for key, value in up.said["pids"].items() if key != name}
    for other in others.values():
        assert _runs(other) or other == _REPLACED
    up.said["pids"][name] = _REPLACED


async def test_data_keys_and_addresses_survive_a_restart_of_the_one_owner(tmp_path: Path) -> None:
    """``bluetick up`` tomorrow is the machine of today; and Ctrl-C is a clean end."""
    ports = _environment_of_free_ports()
    folder = tmp_path / "data"
    async with running_up("--data-dir", str(folder), **ports) as up:
        first = up.said
        connection = await asyncpg.connect(first["postgres"])
        await connection.execute("CREATE TABLE kept (a int)")
        await connection.close()
        # Two machines in one folder would share one database.
        with pytest.raises(UpFailed, match="in use by another bluetick"):
            async with running_up("--data-dir", str(folder), **ports):
                pass
        code, errors = await up.end(signal.SIGINT)
        assert code == 0, errors

    async with running_up("--data-dir", str(folder), **ports) as up:
        connection = await asyncpg.connect(up.said["postgres"])
        assert await connection.fetchval("SELECT count(*) FROM kept") == 0
        await connection.close()
        assert {**up.said, "pids": {}} == {**first, "pids": {}}
        await up.end()

    for name in ("accounts.json", "api_keys.json", "api_keys_clear.json"):
        assert (folder / name).stat().st_mode & 0o777 == 0o600


async def test_nothing_outlives_a_killed_machine(tmp_path: Path) -> None:
    """A runner that times out kills the command, not its children: they go by themselves."""
    async with running_up("--ephemeral", TMPDIR=str(tmp_path)) as up:
        up.process.kill()
        await up.process.wait()

        async with asyncio.timeout(15):
            while any(_runs(pid) for pid in up.said["pids"].values()):
                await asyncio.sleep(0.05)


async def test_servers_of_ones_own_win(
    empty_database_url: str, nats_url: str, nats_monitor_url: str, tmp_path: Path
) -> None:
    """A machine brings along only what it was not given."""
    async with running_up(
        "--ephemeral",
        TMPDIR=str(tmp_path),
        BLUETICK_DATABASE_URL=empty_database_url,
        BLUETICK_NATS_URL=nats_url,
        BLUETICK_NATS_MONITOR_URL=nats_monitor_url,
    ) as up:
        said = up.said
        await up.end()

    assert (said["postgres"], said["nats"]) == (empty_database_url, nats_url)
    assert said["pids"]["postgres"] is None
    assert said["pids"]["nats"] is None


_REPLACED = -1


def _runs(pid: int) -> bool:
    if pid == _REPLACED:
        return False
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def _environment_of_free_ports() -> dict[str, str]:
    return {name: str(port) for name, port in free_ports().items()}


async def _everything_works(said: dict[str, Any]) -> bool:
    return (
        await answers_200(said["ingest"] + "/readyz")
        and await answers_200(said["web"] + "/readyz")
        and await _can_query(said["postgres"])
        and await _list_campaigns(said, said["api_keys"]["reader"]) is grpc.StatusCode.OK
    )


async def _can_query(url: str) -> bool:
    try:
        connection = await asyncpg.connect(url, ssl=False, timeout=5)
    except (OSError, asyncpg.PostgresError, TimeoutError):
        return False
    try:
        return await connection.fetchval("SELECT 1") == 1
    finally:
        await connection.close()


async def _list_campaigns(said: dict[str, Any], key: str) -> grpc.StatusCode:
    async with grpc.aio.insecure_channel(said["gateway"]) as channel:
        stub = campaign_service_pb2_grpc.CampaignServiceStub(channel)
        try:
            await stub.ListCampaigns(
                campaign_service_pb2.ListCampaignsRequest(),
                metadata=(("authorization", f"Bearer {key}"),),
                timeout=10,
            )
        except grpc.aio.AioRpcError as error:
            return error.code()
    return grpc.StatusCode.OK
