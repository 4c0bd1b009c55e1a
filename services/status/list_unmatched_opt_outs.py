"""Lists opt-outs that belong to no message: whoever said stop must be heard all the same."""

from typing import Final, Protocol, TypeAlias

import msgspec
from bluetick.v1.event_pb2 import Event
from bluetick.v1.message_service_pb2 import (
    ListUnmatchedOptOutsRequest,
    ListUnmatchedOptOutsResponse,
    UnmatchedOptOut,
)

from libs.runtime.paging import Paging
from services.status.show_message import mask

# (occur time in microseconds, address key, act), newest first.
Place: TypeAlias = tuple[int, bytes, str]
_PAGES: Final[Paging[Place]] = Paging(tuple[int, bytes, str])


class OptOutRow(msgspec.Struct, frozen=True):
    """One opt-out on no message."""

    occur_time_us: int
    address_key: bytes
    act_id: str
    provider: str
    account: str
    event: bytes  # bluetick.v1.Event, as its notice keeps it

    @property
    def place(self) -> Place:
        """Where it stands in the list."""
        return self.occur_time_us, self.address_key, self.act_id


class OptOutReader(Protocol):
    """Reads opt-outs on no message."""

    async def unmatched(
        self, tenant_id: str, provider: str, account: str, before: Place | None, limit: int
    ) -> list[OptOutRow]:
        """Rows behind a place, newest first; empty names match any."""


async def list_unmatched_opt_outs(
    reader: OptOutReader,
    tenant_id: str,
    request: ListUnmatchedOptOutsRequest,
    *,
    is_address_shown: bool,
) -> ListUnmatchedOptOutsResponse:
    """Return a page.

    Raises:
        InvalidArgument: the page size or the page token cannot be used.
    """
    size, before = _PAGES.size(request), _PAGES.after(tenant_id, request)
    rows = await reader.unmatched(tenant_id, request.provider, request.account, before, size + 1)
    answer = ListUnmatchedOptOutsResponse(
        opt_outs=[_shown(row, is_address_shown) for row in rows[:size]]
    )
    if len(rows) > size:
        answer.next_page_token = _PAGES.token(tenant_id, request, rows[size - 1].place)
    return answer


def _shown(row: OptOutRow, is_address_shown: bool) -> UnmatchedOptOut:
    told = Event.FromString(row.event)
    shown = UnmatchedOptOut(
        address=told.address if is_address_shown else mask(told.address),
        provider=row.provider,
        account=row.account,
        channel=told.channel,
        own_address=told.own_address,
        provider_word=told.provider_word,
    )
    shown.occur_time.FromMicroseconds(row.occur_time_us)
    return shown
