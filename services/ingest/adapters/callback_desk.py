"""What both ways through the door have in common: whose address it is, what is answered, counted.

A callback takes the short way or the long one, and must hear the same on both.
"""

import time
from collections.abc import Callable, Mapping

import msgspec

from libs.runtime import logs, metrics
from libs.runtime.accounts import BODY_OVER_LIMIT, REQUESTS_OVER_LIMIT, Account, Accounts
from libs.runtime.clock import Clock
from services.ingest.adapters.callback_headers import CallbackHeaders
from services.ingest.adapters.door_replies import CLOSE, Reply, reply, reply_of
from services.ingest.adapters.doorways import CALLBACKS, Doorway, doorways_of
from services.ingest.adapters.request_body import BodyDesk, BodyLimits
from services.ingest.adapters.seldom_log import SeldomLog
from services.ingest.adapters.turns import TurnLimits, Turns
from services.ingest.domain.fair_share import Party, fits
from services.ingest.domain.link_token import LinkKeyring
from services.ingest.domain.refusals import Refusals
from services.ingest.domain.times import AHEAD_S_MAX
from services.ingest.log_events import LogEvent
from services.ingest.providers.provider import (
    Answer,
    Callback,
    Refused,
)
from services.ingest.record_callback import DoorBook

_log = logs.get_logger()
_in_flight = metrics.gauge("ingest_requests_in_flight", "Callbacks worked on at this moment")
_body_bytes = metrics.gauge("ingest_bytes_in_flight", "Bytes of bodies held at this moment")
_waiting = metrics.gauge("ingest_callbacks_waiting", "Callbacks that wait for a turn of the door")

# Addresses that called lately; beyond this, those that hold nothing are forgotten.
_PARTIES_MAX = 20_000
_NOT_FOUND = reply(404, b"not found\n")
_TOO_MANY = Refused(
    REQUESTS_OVER_LIMIT,
    503,
    "More requests came in a second than the account's limit requests_per_second lets through; the "
    "provider sends the others again. If they are the provider's, raise the limit; else find out "
    "who knows the address.",
)
_TOO_LARGE = Refused(
    BODY_OVER_LIMIT,
    413,
    "A body is larger than the account's limit body_bytes_max; raise it, or have the provider put "
    "less into one.",
)


class DoorLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of the door."""

    body: BodyLimits = BodyLimits()
    turn: TurnLimits = TurnLimits()
    requests_in_flight_max: int = 6_000
    refusals_per_s_max: float = 200.0
    retry_after_s: int = 2
    signature_age_s_max: int = 0
    time_ahead_s_max: int = AHEAD_S_MAX


class CallbackDesk:
    """Knows every address, and says what the callers of each are answered."""

    def __init__(
        self,
        *,
        accounts: Accounts,
        clock: Clock,
        limits: DoorLimits,
        public_url: str,
        doors: DoorBook | None,
        is_outside_asked: bool,
        link_keys: LinkKeyring | None = None,
    ) -> None:
        """Serve ``accounts``, whose addresses begin with ``public_url``."""
        self.limits = limits
        self.doors = doors
        self.bodies = BodyDesk(limits.body)
        self.turns = Turns(limits.turn)
        self.refusals = Refusals(limits.refusals_per_s_max)
        self.requests_in_flight = 0
        self._parties: dict[tuple[str, str], Party] = {}
        self._clock = clock
        self._link_keys = link_keys
        self._seldom = SeldomLog()
        self._retry_after = (b"retry-after", str(limits.retry_after_s).encode())
        self._accounts = accounts
        self._public_url = public_url.rstrip("/")
        self._is_outside_asked = is_outside_asked
        self._followers: list[Callable[[], None]] = []
        self.doorways: dict[str, Doorway] = {}
        self._serve()
        accounts.follow(self._serve)
        _in_flight.set_function(lambda: self.requests_in_flight)
        _body_bytes.set_function(lambda: self.bodies.bytes_in_flight)
        _waiting.set_function(lambda: self.turns.waiting_count)

    def follow(self, tell: Callable[[], None]) -> None:
        """Call ``tell`` whenever ``doorways`` are others."""
        self._followers.append(tell)

    def find(self, path: str) -> Doorway | None:
        """Return whose address ``path`` is; None if it is nobody's."""
        return self.doorways.get(path)

    def party(self, doorway: Doorway, address: str) -> Party:
        """Return what those of ``address`` who call for an account hold."""
        key = doorway.external_url, address
        party = self._parties.get(key)
        if party is None:
            if len(self._parties) >= _PARTIES_MAX:
                kept = {name: one for name, one in self._parties.items() if not one.is_idle}
                self._parties = kept
            party = self._parties[key] = Party(doorway.load)
        return party

    def has_room(self, party: Party) -> bool:
        """Say whether one more callback of the party's may be worked on."""
        return fits(
            1,
            own=party.request_count,
            account=party.account.request_count,
            held=self.requests_in_flight,
            total=self.limits.requests_in_flight_max,
        )

    def begin(self, party: Party) -> None:
        """Note that a callback is worked on."""
        party.request_count += 1
        party.account.request_count += 1
        self.requests_in_flight += 1

    def end(self, party: Party, body_bytes: int) -> None:
        """Note that it is not any more, and that its body is no longer held."""
        party.request_count -= 1
        party.account.request_count -= 1
        self.requests_in_flight -= 1
        self.bodies.let_go(party, body_bytes)

    def unknown(self) -> Reply:
        """Return the answer at an address that is nobody's, or whose owner is not known yet."""
        return _NOT_FOUND if self._accounts.is_whole else self._again()

    def over_limit(self, doorway: Doorway, body_bytes: int) -> Reply | None:
        """Return the refusal of a request beyond its account's limits; None: it is within them.

        Called once for each request that would be worked on.
        """
        if body_bytes > doorway.body_bytes_max:
            return self.too_large(doorway)
        pace = doorway.pace
        if pace is None or pace.lets_through(time.monotonic()):
            return None
        said = self._refused(doorway.account, _TOO_MANY)
        if pace.pause_s <= self.limits.retry_after_s:
            return said
        return reply_of(Answer(503), (b"retry-after", str(pace.pause_s).encode()))

    def too_large(self, doorway: Doorway) -> Reply:
        """Return the refusal of a body; noted if it is the account's own limit."""
        if doorway.body_bytes_max < self.limits.body.body_bytes_max:
            self._refused(doorway.account, _TOO_LARGE)
        return reply_of(Answer(413), CLOSE)

    def callback(
        self,
        doorway: Doorway,
        method: str,
        query: str,
        headers: Mapping[bytes, bytes],
        body: bytes,
    ) -> Callback:
        """Return the request as providers read it."""
        url = doorway.external_url
        return Callback(
            method=method,
            query=query,
            headers=CallbackHeaders(headers),
            body=body,
            external_url=f"{url}?{query}" if query else url,
            receive_time_us=self._clock.now_us(),
            signature_age_s_max=self.limits.signature_age_s_max,
            time_ahead_s_max=self.limits.time_ahead_s_max,
            link_keys=self._link_keys,
        )

    def reply(self, doorway: Doorway, outcome: Answer | Refused) -> Reply:
        """Return what is answered; a refusal is logged, and its reason is for the log alone."""
        if isinstance(outcome, Refused):
            return self._refused(doorway.account, outcome)
        if outcome is doorway.provider.answer:
            return doorway.stored
        return reply_of(outcome)

    def postponed(self, doorway: Doorway, why: str) -> Reply:
        """Return the answer that asks to come again, for a reason that passes."""
        account = doorway.account
        postponed: LogEvent = "callback.postponed"
        self._seldom.warning(
            postponed,
            (account.provider, account.account, why),
            provider=account.provider,
            account=account.account,
            why=why,
        )
        return self._again()

    def delay_s(self, said: Reply, address: str) -> float:
        """Return how many seconds a reply waits: 0, unless it is one refusal of too many."""
        if not 400 <= said.http_status < 500:
            return 0.0
        return self.refusals.delay_s(address, time.perf_counter())

    def crashed(self, doorway: Doorway, error: Exception) -> Reply:
        """Return the answer to a callback at which the door itself failed."""
        crashed: LogEvent = "door.crashed"
        _log.error(crashed, provider=doorway.provider.name, exc_info=error)
        return self._again()

    def count(self, doorway: Doorway, http_status: int, body_bytes: int, began: float) -> None:
        """Count one answer; ``began`` is when the request came, by ``time.perf_counter``."""
        if http_status == 200:
            doorway.answered_ok.value += 1
        else:
            CALLBACKS.of(doorway.provider.name, str(http_status)).value += 1
        doorway.body_bytes.value += body_bytes
        doorway.seconds.observe(time.perf_counter() - began)

    def _serve(self) -> None:
        """Take over the accounts as they are now."""
        self.doorways = doorways_of(
            self._accounts,
            self.doorways,
            public_url=self._public_url,
            is_outside_asked=self._is_outside_asked,
            body_bytes_max=self.limits.body.body_bytes_max,
        )
        for tell in self._followers:
            tell()

    def _refused(self, account: Account, outcome: Refused) -> Reply:
        if self.doors is not None:
            is_unproven = outcome.http_status == 401
            self.doors.refused(account, outcome.reason, outcome.cure, is_unproven=is_unproven)
        refused: LogEvent = "callback.refused"
        self._seldom.warning(
            refused,
            (account.provider, account.account, outcome.reason),
            provider=account.provider,
            account=account.account,
            reason=outcome.reason,
            http_status=outcome.http_status,
        )
        more = [self._retry_after] if outcome.http_status == 503 else []
        return reply_of(Answer(outcome.http_status), *more)

    def _again(self) -> Reply:
        return reply_of(Answer(503), self._retry_after)
