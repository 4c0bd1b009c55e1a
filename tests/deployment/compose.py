"""Reads docker-compose.yml, with its anchors and merges resolved."""

import importlib
import re
from typing import Any

from ruamel.yaml import YAML

from libs.runtime.settings import PREFIX, RuntimeSettings
from tests.deployment.conftest import TOP

SERVICES = ("ingest", "status", "analytics", "gateway")


def compose() -> dict[str, Any]:
    """Return the file's content."""
    found: dict[str, Any] = YAML(typ="safe").load(TOP / "docker-compose.yml")
    return found


def settings_of(service: str) -> type[RuntimeSettings]:
    """Return the settings model of one of our services."""
    module = importlib.import_module(f"services.{service}.settings")
    everything = vars(module).values()
    own = [each for each in everything if getattr(each, "__module__", "") == module.__name__]
    return next(
        each for each in own if isinstance(each, type) and issubclass(each, RuntimeSettings)
    )


def names_of(model: type[RuntimeSettings]) -> set[str]:
    """Return the environment variables that a model reads."""
    return {PREFIX + name.upper() for name in model.model_fields}


def default_of(service: str, field: str) -> Any:
    """Return a setting's default."""
    return settings_of(service).model_fields[field].default


def variables(text: str) -> dict[str, str]:
    """Return what the file takes from the operator's environment, with the defaults."""
    return dict(re.findall(r"\$\{([A-Z_]+):-([^}]*)\}", text))
