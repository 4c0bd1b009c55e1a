"""Where a running machine is reached, in its folder: for commands in another terminal."""

from __future__ import annotations

from pathlib import Path

import msgspec

from libs.embedded.data_folder import write_secret

_NAME = "running.json"


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """Addresses of a machine, and the key of its owner. It may have been killed since."""

    gateway: str  # host:port
    ingest: str  # URL
    ready_urls: dict[str, str]  # by service: answers 200, or says why not
    nats_url: str
    nats_monitor_url: str
    database_url: str
    accounts_file: str
    api_keys_file: str
    api_key: str  # ADMIN; empty if the keys file was given from outside


def write_running(folder: Path, running: Running) -> None:
    """Say where the machine is reached; mode 600, since passwords are in it."""
    write_secret(folder / _NAME, msgspec.json.encode(running).decode())


def read_running(folder: Path) -> Running | None:
    """Return what the machine of ``folder`` said; None: none runs there."""
    try:
        return msgspec.json.decode((folder / _NAME).read_bytes(), type=Running)
    except (OSError, msgspec.MsgspecError):
        return None


def forget_running(folder: Path) -> None:
    """Say that no machine runs; also when none did."""
    (folder / _NAME).unlink(missing_ok=True)
