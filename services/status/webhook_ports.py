"""What the use cases of webhooks ask of the world."""

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from libs.runtime.clock import Clock
from libs.runtime.secret_box import Sealed
from services.status.domain.watch_place import Place
from services.status.domain.webhooks import Endpoint, Letter
from services.status.watch_changes import Feed


class Posted(msgspec.Struct, frozen=True):
    """What became of one request."""

    status: int  # 0: there was no answer
    failure: str = ""  # empty: it was taken
    retry_after_s: float = 0.0


class Poster(Protocol):
    """Posts to endpoints."""

    async def post(self, url: str, headers: Sequence[tuple[str, str]], body: bytes) -> Posted:
        """Post once, within a bounded time; what goes wrong out there is an answer, too."""


class LeaseLost(Exception):
    """Another replica works at the endpoint, or it was changed: leave it."""


class Tally(msgspec.Struct, frozen=True):
    """What attempts have shown of an endpoint. Microseconds since 1970, UTC; 0: nothing new."""

    success_time_us: int = 0
    failure_time_us: int = 0
    failure: str = ""


class LetterStore(Protocol):
    """Endpoints for whoever sends. Each call raises ``DatabaseUnavailable`` in an outage."""

    async def lease(self, owner: str, lease_s: float, claims_max: int) -> list[Endpoint]:
        """Keep what ``owner`` has, take at most ``claims_max`` more; return all, without counts."""

    async def release(self, owner: str) -> None:
        """Leave all to others."""

    async def advance(
        self,
        owner: str,
        endpoint: Endpoint,
        stream_id: int,
        place: Place,
        waiting: Sequence[Letter],
        tally: Tally,
    ) -> None:
        """Store the place with the letters that were not taken before it.

        Raises:
            LeaseLost: the endpoint is not ``owner``'s any more, or is another one by now.
        """

    async def missed(self, owner: str, endpoint: Endpoint, now_us: int) -> None:
        """Note that the stream had forgotten changes. Raises as ``advance``."""

    async def disable(self, owner: str, endpoint: Endpoint, reason: str) -> None:
        """Send no more. Raises as ``advance``."""

    async def due(self, endpoint: Endpoint, now_us: int, limit: int) -> list[Letter]:
        """Return letters that are due, oldest first."""

    async def count_waiting(self, endpoint: Endpoint) -> int:
        """Return how many letters wait."""

    async def settle(
        self,
        owner: str,
        endpoint: Endpoint,
        taken: Sequence[str],
        others: Sequence[Letter],
        tally: Tally,
    ) -> None:
        """Delete letters that were taken, store the others anew. Raises as ``advance``."""

    async def hurry(self, endpoint: Endpoint, now_us: int) -> None:
        """Make all waiting letters due now: the endpoint takes changes again."""

    async def forget_dead(self, before_us: int) -> int:
        """Delete some dead letters last tried before then; return how many."""


Decide = Callable[[Endpoint | None, int], Endpoint | None]


class EndpointStore(Protocol):
    """Endpoints for their owners. Raises as ``LetterStore``."""

    async def change(self, tenant_id: str, endpoint_id: str, decide: Decide) -> None:
        """Store what ``decide`` makes of the endpoint and the tenant's count; None: delete it.

        The place is stored with it.
        """

    async def read(self, tenant_id: str, after: str, limit: int) -> list[Endpoint]:
        """Return endpoints behind an id, by id, with their counts."""

    async def one(self, tenant_id: str, endpoint_id: str) -> Endpoint | None:
        """Return an endpoint with its counts."""

    async def dead(self, tenant_id: str, endpoint_id: str, after: str, limit: int) -> list[Letter]:
        """Return dead letters behind an id, by id."""

    async def revive(
        self,
        tenant_id: str,
        endpoint_id: str,
        webhook_ids: Sequence[str],
        from_us: int,
        now_us: int,
    ) -> int:
        """Have dead letters wait again, as if never tried; return how many."""


class Sealer(Protocol):
    """Seals secrets, and opens what it or another holder of its keys has sealed."""

    def __bool__(self) -> bool:
        """Whether there is a key to seal with."""

    def seal(self, secret: str, purpose: str) -> Sealed:
        """Return the secret sealed for one purpose; for another it does not open."""

    def open(self, sealed: Sealed, purpose: str) -> str | None:
        """Return the secret; None without its key, or if it is not what was sealed."""


class Sending(msgspec.Struct, frozen=True, kw_only=True):
    """What all endpoints are sent with."""

    owner: str
    feed: Feed
    store: LetterStore
    poster: Poster
    sealer: Sealer
    clock: Clock
    concurrent_max: int  # requests at once to one endpoint
    waiting_max: int  # letters of one endpoint from which on nothing more is taken
    poll_s: float  # between two looks for letters that are due
