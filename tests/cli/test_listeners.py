"""`bluetick listeners` writes what a NATS server takes."""

import asyncio
import json
import subprocess
from pathlib import Path

from libs.embedded.binaries import nats_program
from tests.faults.commands import bluetick

_MACHINE = {"gateway": "", "api_keys": {"admin": ""}}


async def test_its_accounts_are_a_configuration_of_the_broker(tmp_path: Path) -> None:
    """An operator pastes it; a comma too many and no team's broker starts."""
    listeners = tmp_path / "listeners.json"
    entries = [
        {"name": "acme-crm", "tenant": "acme"},
        {"name": "retries", "tenant": "acme", "states": ["dropped", "undelivered"]},
    ]
    listeners.write_text(json.dumps({"listeners": entries}))

    code, output = await bluetick(_MACHINE, "listeners", str(listeners))

    assert code == 0, output
    configuration = tmp_path / "nats.conf"
    configuration.write_text(f"jetstream {{ store_dir: {tmp_path} }}\n{output}")
    names = ("NATS_PASSWORD", "LISTENER_ACME_CRM_PASSWORD", "LISTENER_RETRIES_PASSWORD")
    checked = await asyncio.to_thread(
        subprocess.run,
        [str(nats_program()), "-t", "-c", str(configuration)],
        env=dict.fromkeys(names, "secret-1234"),
        capture_output=True,
        check=False,
        timeout=20,
    )
    assert checked.returncode == 0, checked.stderr


async def test_a_file_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    """With what is wrong in it, not with a traceback."""
    listeners = tmp_path / "listeners.json"
    listeners.write_text('{"listeners": [{"name": "a", "tenant": "*"}]}')

    code, output = await bluetick(_MACHINE, "listeners", str(listeners))

    assert code == 1
    assert "tenant '*'" in output
    assert "Traceback" not in output
