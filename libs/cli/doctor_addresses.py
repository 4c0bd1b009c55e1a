"""Where the doctor looks: the environment first, then the machine of the data folder."""

from __future__ import annotations

from pathlib import Path

from libs.cli.gateway_channel import DEFAULT_GATEWAY
from libs.embedded.running_file import Running, read_running
from libs.runtime.settings import RuntimeSettings, load

DEFAULT_INGEST = "http://127.0.0.1:8080"


class Addresses:
    """Addresses of everything. ``settings`` are those of any service, completed by the machine's.

    ``machine`` is None if no machine runs in the folder: then the defaults stand for what neither
    an option nor a BLUETICK_* variable says. ``ready_urls`` has each service's page of readiness;
    it is known of a machine alone.
    """

    def __init__(self, folder: Path, *, gateway: str, ingest: str, api_key: str) -> None:
        self.folder = folder
        self.machine = read_running(folder)
        self.ready_urls = self.machine.ready_urls if self.machine else {}
        self.settings = _settings(self.machine)
        self.gateway = gateway or (self.machine.gateway if self.machine else DEFAULT_GATEWAY)
        self.ingest = ingest or (self.machine.ingest if self.machine else DEFAULT_INGEST)
        self.api_key = api_key or (self.machine.api_key if self.machine else "")


def _settings(machine: Running | None) -> RuntimeSettings:
    settings = load(RuntimeSettings)
    if machine is None:
        return settings
    missing = {
        name: getattr(machine, name)
        for name in Running.__struct_fields__
        if name in RuntimeSettings.model_fields and name not in settings.model_fields_set
    }
    return settings.model_copy(update=missing)
