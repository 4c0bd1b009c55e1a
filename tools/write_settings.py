"""Writes docs/settings.md from the settings models; the models are the truth.

Usage: python tools/write_settings.py
"""

from importlib import import_module
from pathlib import Path

from pydantic.fields import FieldInfo

from libs.runtime.settings import PREFIX, RuntimeSettings

OUT = Path(__file__).parent.parent / "docs" / "settings.md"
SERVICES = ("ingest", "status", "analytics", "gateway")
HEAD = """# Settings

All settings are environment variables. A service tells every problem with them at once and does
not start. This page is written from the code by `tools/write_settings.py`.
"""


def _range(field: FieldInfo) -> str:
    low = high = ""
    for rule in field.metadata:
        low = f"{rule.ge} ≤ " if hasattr(rule, "ge") else low
        low = f"{rule.gt} < " if hasattr(rule, "gt") else low
        high = f" ≤ {rule.le}" if hasattr(rule, "le") else high
    return f"{low}value{high}" if low or high else ""


def _table(fields: dict[str, FieldInfo]) -> str:
    rows = [
        "| variable | default | range | what it is, and what it protects |",
        "|---|---|---|---|",
    ]
    for name, field in fields.items():
        default = f"`{field.default}`" if field.default not in ("", None) else "empty"
        rows.append(
            f"| `{PREFIX}{name.upper()}` | {default} | {_range(field)} | {field.description} |"
        )
    return "\n".join(rows)


def _own_model(service: str) -> type[RuntimeSettings]:
    module = import_module(f"services.{service}.settings")
    for value in vars(module).values():
        is_model = isinstance(value, type) and issubclass(value, RuntimeSettings)
        if is_model and value is not RuntimeSettings:
            return value
    raise LookupError(f"services.{service}.settings has no settings model")


def page() -> str:
    """Return the page."""
    shared = RuntimeSettings.model_fields
    parts = [HEAD, "## Every service\n", _table(shared)]
    for service in SERVICES:
        own = {
            name: field
            for name, field in _own_model(service).model_fields.items()
            if name not in shared
        }
        parts += [f"\n## {service}\n", _table(own)]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    OUT.write_text(page(), encoding="utf-8")
    print(f"{OUT.name} written")
