import subprocess
import sys
from importlib import import_module
from pathlib import Path

import asyncpg
import pytest

from libs.cli.main import COMMANDS
from libs.cli.own_name import own_name


def _bluetick(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "libs.cli.main", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": "/usr/bin:/bin", "COLUMNS": "100", "TERM": "dumb", **environment},
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_exists_and_says_what_it_does(name: str) -> None:
    """Commands are imported when called: a wrong line in the table would show only then."""
    module, function = COMMANDS[name].split(":")

    assert getattr(import_module(module), function).__doc__


def test_help_names_every_command() -> None:
    """The first thing a person types."""
    answer = _bluetick("--help")

    assert answer.returncode == 0, answer.stderr
    assert [name for name in COMMANDS if f" {name} " not in answer.stdout] == []


def test_an_unknown_command_is_refused() -> None:
    """A mistyped word starts nothing."""
    answer = _bluetick("upp")

    assert answer.returncode == 2
    assert "No such command" in answer.stderr


async def test_migrate_makes_every_schema_and_may_run_again(empty_database_url: str) -> None:
    """Every start of every deployment runs it."""
    for _ in range(2):
        answer = _bluetick("migrate", BLUETICK_DATABASE_URL=empty_database_url)
        assert answer.returncode == 0, answer.stderr
        lines = [f"{owner}: schema up to date" for owner in ("status", "analytics", "ingest")]
        assert answer.stdout.splitlines() == lines

    assert {"status", "analytics", "ingest"} <= await _schemas(empty_database_url)


async def test_migrate_of_one_service_leaves_the_others_alone(empty_database_url: str) -> None:
    """Services are rolled out alone."""
    answer = _bluetick("migrate", "status", BLUETICK_DATABASE_URL=empty_database_url)

    assert answer.returncode == 0, answer.stderr
    assert "analytics" not in await _schemas(empty_database_url)


def test_migrate_refuses_a_service_without_tables() -> None:
    """The answer names those that have some."""
    answer = _bluetick("migrate", "gateway")

    assert answer.returncode == 2
    assert "status, analytics, ingest" in answer.stderr


@pytest.mark.parametrize("service", ["ingest", "status", "analytics", "gateway"])
def test_a_service_command_becomes_the_service(service: str) -> None:
    """Its settings are read and its problems told, with its own exit code."""
    answer = _bluetick(service, BLUETICK_SHUTDOWN_S="never")

    assert answer.returncode == 2
    assert "BLUETICK_SHUTDOWN_S" in answer.stderr


async def _schemas(url: str) -> set[str]:
    connection = await asyncpg.connect(url, ssl=False)
    try:
        rows = await connection.fetch("SELECT nspname FROM pg_namespace")
    finally:
        await connection.close()
    return {row["nspname"] for row in rows}


def test_the_next_command_is_told_as_it_can_be_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a checkout no path leads to `bluetick`; a line that is pasted must work."""
    program = tmp_path / "my venv" / "bluetick"
    program.parent.mkdir()
    program.touch(mode=0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(program)])

    monkeypatch.setenv("PATH", "/usr/bin")
    assert own_name() == "'my venv/bluetick'"
    monkeypatch.setenv("PATH", str(program.parent))
    assert own_name() == "bluetick"
