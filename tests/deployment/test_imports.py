"""Who may import whom: the shape of the system, kept by a machine."""

import configparser

from tests.deployment.conftest import TOP, Run

_SERVICES = {"ingest", "status", "analytics", "gateway"}


def test_imports_point_inward_and_services_stay_apart(run: Run) -> None:
    """A service that imports another can no longer be deployed or rolled back alone."""
    linted = run("lint-imports", "--no-logo")

    assert linted.returncode == 0, linted.stdout


def test_the_contract_names_every_service() -> None:
    """A fifth service must not slip past the rules."""
    rules = configparser.ConfigParser()
    rules.read(TOP / ".importlinter")
    independent = rules["importlinter:contract:services-are-independent"]["modules"].split()
    pure = rules["importlinter:contract:domains-are-pure"]["source_modules"].split()
    folders = {file.parent.name for file in (TOP / "services").glob("*/pyproject.toml")}

    assert folders == _SERVICES
    assert set(independent) == {f"services.{name}" for name in folders}
    assert set(pure) == {f"services.{name}.domain" for name in folders}
