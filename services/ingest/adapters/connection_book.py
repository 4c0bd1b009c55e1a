"""All connections of the door: how many there may be, and which one yields when it is full.

A connection costs a file descriptor and some memory, also one that says nothing. When there are as
many as may be, in all or from one address, those yield that were of no use for longest: first
such that are idle, then such whose request does not get on. Whoever waits for an answer stays. An
address that opens too many too quickly waits outside instead, and is sent away in the end.
"""

import time
from typing import Protocol

import msgspec

from services.ingest.domain.refusals import DELAY_S_MAX, Refusals

# So many yield at once: looking through all of them for each newcomer would be a load of its own.
_YIELDING_PART = 32


class Connection(Protocol):
    """One connection, as far as it may have to yield."""

    address: str

    @property
    def useless_since_s(self) -> float | None:
        """When it was last of use, by the loop's clock; None while it waits for an answer."""

    @property
    def is_idle(self) -> bool:
        """Whether no request is coming in."""

    def give_up(self) -> None:
        """Close it."""


class ConnectionLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of connections, and of the heads of what comes through them."""

    connections_max: int = 4_000
    connections_per_address_max: int = 2_000
    idle_timeout_s: float = 75.0
    request_timeout_s: float = 5.0
    head_bytes_max: int = 32 * 1024
    headers_max: int = 100


class ConnectionBook:
    """Knows which connections are open."""

    def __init__(self, limits: ConnectionLimits, refusals: Refusals) -> None:
        """Let so many in as ``limits`` say; ``refusals`` says at what pace they may be too many."""
        self._limits = limits
        self._refusals = refusals
        self._outside: set[Connection] = set()
        self._open: dict[Connection, None] = {}
        self._by_address: dict[str, int] = {}

    def __len__(self) -> int:
        """Return how many are open."""
        return len(self._open)

    def enter(self, connection: Connection) -> bool:
        """Note a new one; False if there is no room for it, and none that would yield."""
        limits, address = self._limits, connection.address
        own = self._by_address.get(address, 0)
        has_too_many = own >= limits.connections_per_address_max
        if has_too_many or len(self._open) >= limits.connections_max:
            if self._refusals.delay_s(address, time.perf_counter()):
                return False
            if not self._make_room(address if has_too_many else None):
                return False
        self._open[connection] = None
        self._by_address[address] = self._by_address.get(address, 0) + 1
        return True

    def leave(self, connection: Connection) -> None:
        """Note that it is closed; nothing happens if it was never in."""
        self._outside.discard(connection)
        if connection not in self._open:
            return
        del self._open[connection]
        left = self._by_address[connection.address] - 1
        if left:
            self._by_address[connection.address] = left
        else:
            del self._by_address[connection.address]

    def delay_s(self, connection: Connection) -> float:
        """Return how long one that is refused waits for the word; 0: it need not, or must not."""
        if connection in self._open:
            return self._refusals.delay_s(connection.address, time.perf_counter())
        if len(self._outside) >= self._limits.connections_per_address_max:
            return 0.0
        self._outside.add(connection)
        return DELAY_S_MAX

    def _make_room(self, address: str | None = None) -> bool:
        """Close those that were of no use for longest, of ``address`` or of all."""
        useless = sorted(
            (not one.is_idle, since_s, number, one)
            for number, one in enumerate(self._open)
            if (address is None or one.address == address)
            and (since_s := one.useless_since_s) is not None
        )
        for _, _, _, one in useless[: max(1, len(useless) // _YIELDING_PART)]:
            self.leave(one)
            one.give_up()
        return bool(useless)
