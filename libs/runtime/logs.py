"""Structured logs: one JSON object a line, no bodies, no addresses, no secrets."""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import msgspec
import structlog

from libs.runtime.settings import RuntimeSettings

_encode = msgspec.json.Encoder(enc_hook=str).encode
# The last guard, not the first: whoever logs a field knows that it holds no number. Seven digits
# or more after a plus sign read as a phone number.
_PHONE = re.compile(r"\+\d{7,15}\b")


def _render(_logger: object, _name: str, event: MutableMapping[str, Any]) -> str:
    return _encode(event).decode()


def _hide_phone_numbers(
    _logger: object, _name: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if isinstance(value, str) and "+" in value:
            event[key] = _PHONE.sub("+…", value)
    return event


def configure(service: str, settings: RuntimeSettings) -> None:
    """Set the process's logging up: everything goes to stderr with ``service`` on each line."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    processors: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _hide_phone_numbers,
    ]
    if settings.log_format == "console":
        # Tracebacks without the values of variables: among them are bodies and addresses.
        renderer = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
        processors.append(renderer)
    else:
        processors.append(_render)
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
    # Libraries speak through the standard library; only their warnings matter to an operator.
    logging.basicConfig(stream=sys.stderr, level=max(level, logging.WARNING), format="%(message)s")
    # The broker's client logs whole tracebacks for each refused reconnect; broker.py says the same
    # in one line.
    logging.getLogger("nats").setLevel(logging.CRITICAL)


def get_logger() -> Any:
    """Return the logger; event names are ``noun.verb_past``, listed in each ``log_events.py``."""
    return structlog.get_logger()
