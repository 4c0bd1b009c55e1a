"""Shows what an endpoint of webhooks did not take for a day, and has it sent again."""

from typing import Final

from bluetick.v1 import webhook_service_pb2 as pb

from libs.runtime.paging import Paging
from libs.runtime.rpc_errors import InvalidArgument
from services.status.domain.webhooks import Letter
from services.status.put_webhooks import owned, time_of
from services.status.webhook_ports import EndpointStore

IDS_MAX: Final = 1_000
BODIES_BYTES_MAX: Final = 2 * 1024 * 1024
# By webhook id.
_PAGES: Paging[tuple[str, ...]] = Paging(tuple[str, ...])


async def list_dead_letters(
    request: pb.ListDeadLettersRequest, *, tenant_id: str, store: EndpointStore
) -> pb.ListDeadLettersResponse:
    """Return a page, by webhook id.

    Raises:
        InvalidArgument: the page size or token cannot be used.
        NotFound: there is no such endpoint.
        Outage: the database does not answer.
    """
    size, after = _PAGES.size(request), _PAGES.after(tenant_id, request)
    owned(await store.one(tenant_id, request.endpoint_id))
    place = after[0] if after else ""
    found = await store.dead(tenant_id, request.endpoint_id, place, size + 1)
    page = _fitting(found[:size])
    answer = pb.ListDeadLettersResponse(dead_letters=map(_shown, page))
    if len(found) > len(page):
        answer.next_page_token = _PAGES.token(tenant_id, request, (page[-1].webhook_id,))
    return answer


async def replay_dead_letters(
    request: pb.ReplayDeadLettersRequest, *, tenant_id: str, now_us: int, store: EndpointStore
) -> pb.ReplayDeadLettersResponse:
    """Have dead letters wait again, for another day. Raises as above."""
    if len(request.webhook_ids) > IDS_MAX:
        raise InvalidArgument.of("webhook_ids", f"At most {IDS_MAX:,}; replay in several calls.")
    if any("\x00" in one for one in request.webhook_ids):
        raise InvalidArgument.of("webhook_ids", "One has a NUL; send them as they were listed.")
    owned(await store.one(tenant_id, request.endpoint_id))
    from_us = request.start_time.ToMicroseconds() if request.HasField("start_time") else 0
    count = await store.revive(
        tenant_id, request.endpoint_id, list(request.webhook_ids), from_us, now_us
    )
    return pb.ReplayDeadLettersResponse(replayed_count=count)


def _fitting(letters: list[Letter]) -> list[Letter]:
    """Return the first ones whose bodies fit, at least one."""
    room = BODIES_BYTES_MAX
    for number, letter in enumerate(letters):
        room -= len(letter.body)
        if room < 0 and number:
            return letters[:number]
    return letters


def _shown(letter: Letter) -> pb.DeadLetter:
    return pb.DeadLetter(
        webhook_id=letter.webhook_id,
        body=letter.body,
        first_time=time_of(letter.first_time_us),
        last_time=time_of(letter.last_time_us),
        attempt_count=letter.attempt_count,
        failure=letter.failure,
    )
