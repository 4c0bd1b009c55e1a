"""The door that people click through: ``GET /l/{token}`` in, a redirect out."""

from collections.abc import Mapping
from typing import Any

from libs.runtime import logs, metrics
from libs.runtime.broker import BrokerUnavailable
from libs.runtime.clock import Clock
from libs.runtime.database import DatabaseUnavailable
from services.ingest.adapters.seldom_log import SeldomLog
from services.ingest.domain.link_token import LinkKeyring
from services.ingest.follow_link import LinkDirectory, Visit, follow_link
from services.ingest.log_events import LogEvent
from services.ingest.record_callback import EventSink
from services.ingest.wrap_links import LINKS_PATH

HttpAnswer = tuple[int, bytes, list[tuple[bytes, bytes]]]

_log = logs.get_logger()
_visits = metrics.counter("ingest_link_visits_total", "Tracked links asked for", ("outcome",))

_NOT_FOUND: HttpAnswer = (404, b"not found\n", [])
_NOT_ALLOWED: HttpAnswer = (405, b"", [(b"allow", b"GET, HEAD"), (b"connection", b"close")])
_ALWAYS = [
    # A redirect that a cache answers is a click that nobody counts.
    (b"cache-control", b"no-store"),
    # The link names the message: it is nothing for the page behind it to know.
    (b"referrer-policy", b"no-referrer"),
    (b"x-robots-tag", b"noindex"),
]


class LinkDoor:
    """Answers tracked links; says no word about why one leads nowhere."""

    def __init__(
        self,
        *,
        keyring: LinkKeyring,
        directory: LinkDirectory,
        events: EventSink,
        clock: Clock,
        visits_in_flight_max: int,
        retry_after_s: int,
    ) -> None:
        """Follow what ``keyring`` trusts; beyond ``visits_in_flight_max`` at once, ask to wait."""
        self.keyring = keyring
        self._directory = directory
        self._events = events
        self._clock = clock
        self._visits_in_flight_max = visits_in_flight_max
        self._visits_in_flight = 0
        self._retry_after = (b"retry-after", str(retry_after_s).encode())
        self._seldom = SeldomLog()

    async def answer(self, scope: Mapping[str, Any]) -> HttpAnswer:
        """Return (status, body, headers) for a request whose path begins with ``LINKS_PATH``."""
        if scope["method"] not in ("GET", "HEAD"):
            return _NOT_ALLOWED
        if self._visits_in_flight >= self._visits_in_flight_max:
            return self._postponed("visits_in_flight")
        self._visits_in_flight += 1
        try:
            return await self._follow(scope)
        except BrokerUnavailable:
            return self._postponed("broker")
        except DatabaseUnavailable:
            return self._postponed("database")
        except Exception as error:
            crashed: LogEvent = "door.crashed"
            _log.error(crashed, exc_info=error)
            return 503, b"", [self._retry_after]
        finally:
            self._visits_in_flight -= 1

    async def _follow(self, scope: Mapping[str, Any]) -> HttpAnswer:
        visit = Visit(
            token=scope["path"][len(LINKS_PATH) :],
            headers={
                name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
            },
            is_click=scope["method"] == "GET",
            time_us=self._clock.now_us(),
        )
        leads = await follow_link(
            visit, keyring=self.keyring, directory=self._directory, events=self._events
        )
        if leads is None:
            _visits.labels("unknown").inc()
            return _NOT_FOUND
        who = "machine" if leads.machine_rule else "person"
        _visits.labels(who if visit.is_click else "head").inc()
        return 302, b"", [(b"location", leads.location.encode("ascii")), *_ALWAYS]

    def _postponed(self, why: str) -> HttpAnswer:
        _visits.labels("postponed").inc()
        postponed: LogEvent = "link.postponed"
        self._seldom.warning(postponed, why, why=why)
        return 503, b"", [self._retry_after, (b"cache-control", b"no-store")]
