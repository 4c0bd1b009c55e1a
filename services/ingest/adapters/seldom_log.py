"""Warnings that a flood of bad requests cannot turn into a flood of lines."""

import time
from collections.abc import Hashable

from libs.runtime import logs
from services.ingest.log_events import LogEvent

_log = logs.get_logger()
_KINDS_MAX = 10_000


class SeldomLog:
    """Writes one line a second for each kind, and says how many it left out."""

    def __init__(self, every_s: float = 1.0) -> None:
        """Write at most once in ``every_s`` seconds for each kind."""
        self._every_s = every_s
        self._seen: dict[Hashable, tuple[float, int]] = {}

    def warning(self, event: LogEvent, kind: Hashable, **fields: object) -> None:
        """Write a warning unless one of this ``kind`` was written just now."""
        now = time.monotonic()
        written, suppressed = self._seen.get(kind, (-self._every_s, 0))
        if now - written < self._every_s:
            self._seen[kind] = (written, suppressed + 1)
            return
        if len(self._seen) >= _KINDS_MAX:
            self._seen.clear()
        self._seen[kind] = (now, 0)
        _log.warning(event, **fields, suppressed=suppressed)
