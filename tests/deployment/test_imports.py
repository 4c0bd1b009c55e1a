"""Who may import whom: the shape of the system, kept by a machine."""

import configparser

import pytest
from grimp import ImportGraph

from tests.deployment.conftest import TOP, Run
from tools.import_contracts import InwardContract

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
    inward = rules["importlinter:contract:imports-point-inward"]["services"].split()
    folders = {file.parent.name for file in (TOP / "services").glob("*/pyproject.toml")}

    assert folders == _SERVICES
    assert set(independent) == {f"services.{name}" for name in folders}
    assert set(inward) == {f"services.{name}" for name in folders}
    assert set(pure) == {f"services.{name}.domain" for name in folders}


@pytest.mark.parametrize(
    ("importer", "imported", "may"),
    [
        ("services.status.wiring", "services.status.adapters.tables", True),
        ("services.status.adapters.tables", "services.status.apply_events", True),
        ("services.status.apply_events", "services.status.domain.state", True),
        ("services.status.apply_events", "services.status.log_events", True),
        ("services.status.domain.state", "services.status.domain.image", True),
        ("services.status.apply_events", "libs.runtime.clock", True),
        ("services.status.apply_events", "services.status.adapters.tables", False),
        ("services.status.apply_events", "services.status.settings", False),
        ("services.status.domain.state", "services.status.apply_events", False),
        ("services.status.domain.state", "services.status.adapters.tables", False),
        ("services.status.adapters.tables", "services.status.wiring", False),
        ("services.status.providers.meta", "services.status.adapters.tables", False),
    ],
)
def test_an_import_that_points_outward_is_found(importer: str, imported: str, may: bool) -> None:
    """The rule once looked at domains alone: a use case could import its adapter."""
    graph = ImportGraph()
    for module in ("services", "services.status", importer, imported):
        graph.add_module(module)
    graph.add_import(importer=importer, imported=imported)
    contract = InwardContract("inward", {}, {"services": ["services.status"]})

    check = contract.check(graph, verbose=False)

    assert check.kept is may
    assert check.metadata["outward"] == ([] if may else [(importer, imported)])
