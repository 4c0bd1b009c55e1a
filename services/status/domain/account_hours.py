"""What one message adds to the health of its account's callbacks: linear, so deltas suffice."""

from collections.abc import Iterable
from typing import Final

from bluetick.v1.common_pb2 import EVENT_KIND_DROPPED

from services.status.domain.attributed import whole
from services.status.domain.changes import Change
from services.status.domain.message import Message
from services.status.domain.recipients import with_forwarded

HOUR_US: Final = 3_600_000_000
# No person reads a message so soon after it was delivered; machines and broken reports do.
FAST_READ_US: Final = 2_000_000


# tenant_id, provider, account, hour of acceptance (from 1970 UTC).
Cell = tuple[str, str, str, int]
# accepted, heard, delivered, read, engaged, timed_reads, fast_reads: the columns of the table.
Counts = tuple[int, int, int, int, int, int, int]
_NONE: Final[Counts] = (0, 0, 0, 0, 0, 0, 0)


def moves(changes: Iterable[Change]) -> dict[Cell, Counts]:
    """Return what ``changes`` add to each cell; cells to which they add nothing are left out."""
    # Of thousands of changes, few differ here: they are counted first, and summed then.
    kinds: dict[tuple[Cell, Counts], int] = {}
    for change in changes:
        if not change.is_moved:
            continue
        tenant_id, old = change.key[0], change.old
        new_part = _contribution(tenant_id, change.new)
        old_part = _contribution(tenant_id, old) if old is not None else None
        if new_part != old_part:
            if new_part is not None:
                kinds[new_part] = kinds.get(new_part, 0) + 1
            if old_part is not None:
                kinds[old_part] = kinds.get(old_part, 0) - 1
    sums: dict[Cell, Counts] = {}
    for (cell, counts), times in kinds.items():
        sums[cell] = _plus(sums.get(cell, _NONE), counts, times)
    return {cell: counts for cell, counts in sums.items() if counts != _NONE}


def _contribution(tenant_id: str, message: Message) -> tuple[Cell, Counts] | None:
    if message.forwarded:
        message = with_forwarded(message)
    accept_us = message.accept_time_us
    if not accept_us or not message.provider_message_id:
        return None
    if message.attributed:
        message = whole(message)
    read_us, report_us = message.read_time_us, message.report_time_us
    is_timed = 1 if read_us and report_us else 0
    return (tenant_id, message.provider, message.account, accept_us // HOUR_US), (
        1,
        1 if _is_heard(message) else 0,
        1 if read_us or report_us or message.proof_time_us else 0,
        1 if read_us else 0,
        1 if message.click_count > message.machine_click_count or message.reply_count else 0,
        is_timed,
        1 if is_timed and 0 <= read_us - report_us <= FAST_READ_US else 0,
    )


def _is_heard(message: Message) -> bool:
    """Say whether a callback told of the message, and not only its sender."""
    record = message.record
    if record is None:
        return True
    return bool(
        message.report_time_us
        or message.send_time_us
        or message.undeliver_time_us
        or message.read_time_us
        or message.pricing_time_us
        or message.cancel_time_us
        or (message.drop_time_us and record.kind != EVENT_KIND_DROPPED)
    )


def _plus(one: Counts, other: Counts, times: int) -> Counts:
    a, b, c, d, e, f, g = (left + right * times for left, right in zip(one, other, strict=True))
    return a, b, c, d, e, f, g
