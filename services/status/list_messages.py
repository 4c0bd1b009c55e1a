"""Lists the messages behind a number. Analytics finds them, status shows its own rows."""

from collections.abc import Sequence
from typing import Protocol

import msgspec
from bluetick.v1 import message_service_pb2 as pb
from google.protobuf.timestamp_pb2 import Timestamp

from libs.runtime.paging import Paging
from services.status.get_message import Found
from services.status.show_message import show_message

# Bytes of a page from which on it ends; below what a caller can receive with one message more.
PAGE_BYTES_MAX = 2 * 1024 * 1024
# Number of the last message; of the first page: how many there were, when they were counted, and
# until when they were complete (microseconds since 1970; 0: not known).
_PAGES: Paging[tuple[int, int, int, int]] = Paging(tuple[int, int, int, int])


class Behind(msgspec.Struct, frozen=True):
    """Messages that a filter finds."""

    # (number, key), in the order of the numbers.
    messages: Sequence[tuple[int, bytes]]
    is_end: bool
    # All that there are, 0 if nobody asked; counted at, complete until (0: not known).
    total_count: int
    as_of_time_us: int
    complete_until_us: int


class Wanted(msgspec.Struct, frozen=True):
    """What to find."""

    tenant_id: str
    campaign_id: str
    where: pb.MessageFilter
    # Behind this number; 0: from the first.
    after_number: int
    limit: int
    is_counting: bool


class MessageIndex(Protocol):
    """Finds messages."""

    async def find(self, wanted: Wanted) -> Behind:
        """Return messages behind a number, at most ``limit``.

        Raises:
            RpcError: the filter cannot be answered, or analytics does not answer.
        """


class ListedReader(Protocol):
    """Reads single messages."""

    async def messages(self, tenant_id: str, keys: list[bytes]) -> dict[bytes, Found]:
        """The messages, those left out of which nothing is known that moves one."""


async def list_messages(
    index: MessageIndex,
    reader: ListedReader,
    tenant_id: str,
    request: pb.ListMessagesRequest,
    *,
    is_address_shown: bool,
) -> pb.ListMessagesResponse:
    """Return a page of messages without history, attempts and parts.

    The count is that of the first page, whose token carries it on: all pages say the same.

    Raises:
        RpcError: the request cannot be answered.
    """
    size = _PAGES.size(request)
    last, total, as_of_us, until_us = _PAGES.after(tenant_id, request) or (0, 0, 0, 0)
    wanted = Wanted(tenant_id, request.campaign_id, request.where, last, size, not last)
    found = await index.find(wanted)
    if not last:
        total, as_of_us = found.total_count, found.as_of_time_us
        until_us = found.complete_until_us
    stored = await reader.messages(tenant_id, [key for _, key in found.messages])
    answer = pb.ListMessagesResponse(total_count=total, as_of_time=_time(as_of_us))
    if until_us:
        answer.complete_until_time.CopyFrom(_time(until_us))
    page_bytes, is_cut = 0, False
    for number, key in found.messages:
        one = stored.get(key)
        if one is not None:
            message = show_message(key, one.version, one.message, is_address_shown, [])
            message.ClearField("parts")
            page_bytes += message.ByteSize()
            is_cut = page_bytes > PAGE_BYTES_MAX and bool(answer.messages)
            if is_cut:
                break
            answer.messages.append(message)
        last = number
    if is_cut or not found.is_end:
        place = last, total, as_of_us, until_us
        answer.next_page_token = _PAGES.token(tenant_id, request, place)
    return answer


def _time(time_us: int) -> Timestamp:
    time = Timestamp()
    time.FromMicroseconds(time_us)
    return time
