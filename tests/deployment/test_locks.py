"""What is installed is what was locked: versions, hashes, no addresses."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deployment.conftest import TOP

_SERVICES = ("ingest", "status", "analytics", "gateway")
_LOCKS = {
    **{f"services/{name}/requirements.txt": (f"services/{name}",) for name in _SERVICES},
    "requirements/local.txt": ("libs/cli",),
    "requirements/dev.txt": ("libs/cli", "libs/testkit"),
}


def _versions(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9._-]+)(?:\[.*\])?==(\S+)", lock.read_text(), re.MULTILINE))


@pytest.mark.parametrize("lock", [*_LOCKS, "requirements/build.txt"])
def test_a_lock_holds_versions_and_hashes_and_no_address(lock: str) -> None:
    """Where packages come from is the machine's matter; what they are is ours."""
    text = (TOP / lock).read_text()

    assert "--hash=sha256:" in text
    assert not re.search(r"https?://|^-|file:", text, re.MULTILINE)


@pytest.mark.parametrize(("lock", "folders"), _LOCKS.items())
def test_a_lock_holds_all_that_its_packages_ask_for(lock: str, folders: tuple[str, ...]) -> None:
    """A dependency added to a pyproject and not to the lock fails in the image, not here."""
    command = [sys.executable, TOP / "tools" / "packages.py", "others", *folders]
    answer = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=True)
    asked = answer.stdout.split("\n")
    names = {re.split(r"[\[<>=;~! ]", line)[0].lower() for line in asked if line}

    missing = names - set(_versions(TOP / lock))

    assert not missing, "run `make locks`"


def test_an_image_holds_the_versions_that_were_tested() -> None:
    """All locks agree, so what passed here is what runs there."""
    tested = _versions(TOP / "requirements" / "dev.txt")

    for lock in (*_LOCKS, "requirements/build.txt"):
        for name, version in _versions(TOP / lock).items():
            assert tested[name] == version, (lock, name)


def test_the_gateways_image_holds_no_driver_of_a_database_or_a_broker() -> None:
    """What is open to the world should hold little, and nothing that it never calls."""
    held = set(_versions(TOP / "services" / "gateway" / "requirements.txt"))

    assert "grpcio" in held
    assert not held & {"asyncpg", "sqlalchemy", "alembic", "greenlet", "mako", "nats-py"}


def test_the_gateway_runs_without_them() -> None:
    """Nothing that it imports asks for them; the packaging test proves it from wheels."""
    code = "import sys, services.gateway.__main__; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=TOP, capture_output=True, text=True)

    assert loaded.returncode == 0, loaded.stderr
    assert not set(loaded.stdout.split()) & {"asyncpg", "sqlalchemy", "alembic", "nats"}
