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
# accepted, heard, delivered, read, engaged, timed_reads, fast_reads, unrecorded, contradicted: the
# columns of the table.
Counts = tuple[int, int, int, int, int, int, int, int, int]
_BITS: Final = 9
_NONE: Final[Counts] = (0, 0, 0, 0, 0, 0, 0, 0, 0)
# What a message adds, in the order of the columns.
_ACCEPTED, _HEARD, _DELIVERED, _READ, _ENGAGED, _TIMED, _FAST, _UNRECORDED, _CONTRADICTED = (
    1 << bit for bit in range(_BITS)
)
_COUNTS: Final[tuple[Counts, ...]] = tuple(
    tuple(signs >> bit & 1 for bit in range(_BITS))  # type: ignore[misc]
    for signs in range(1 << _BITS)
)
# provider, account, hour of acceptance (else of the first report), signs.
_Part = tuple[str, str, int, int]


def moves(changes: Iterable[Change]) -> dict[Cell, Counts]:
    """Return what ``changes`` add to each cell; cells to which they add nothing are left out."""
    # Of thousands of changes, few differ here: they are counted first, and summed then.
    kinds: dict[tuple[str, _Part], int] = {}
    for change in changes:
        if not change.is_moved:
            continue
        old = change.old
        new_part = _part(change.new)
        old_part = _part(old) if old is not None else None
        if new_part == old_part:
            continue
        tenant_id = change.key[0]
        if new_part is not None:
            kind = (tenant_id, new_part)
            kinds[kind] = kinds.get(kind, 0) + 1
        if old_part is not None:
            kind = (tenant_id, old_part)
            kinds[kind] = kinds.get(kind, 0) - 1
    sums: dict[Cell, Counts] = {}
    for (tenant_id, (provider, account, hour, signs)), times in kinds.items():
        cell = (tenant_id, provider, account, hour)
        sums[cell] = _plus(sums.get(cell, _NONE), _COUNTS[signs], times)
    return {cell: counts for cell, counts in sums.items() if counts != _NONE}


def _part(message: Message) -> _Part | None:
    if message.forwarded:
        message = with_forwarded(message)
    accept_us = message.accept_time_us
    if not message.provider_message_id:
        return None
    is_unrecorded = message.record is None and not message.is_forwarded
    if not accept_us:
        return _unaccepted(message) if is_unrecorded else None
    if message.attributed:
        message = whole(message)
    read_us, report_us = message.read_time_us, message.report_time_us
    if read_us:
        signs = _HEARD | _DELIVERED | _READ
        if report_us:
            signs |= _TIMED
            if 0 <= read_us - report_us <= FAST_READ_US:
                signs |= _FAST
    elif report_us:
        signs = _HEARD | _DELIVERED
    else:
        signs = _DELIVERED if message.proof_time_us else 0
        if _is_heard(message):
            signs |= _HEARD
    if message.reply_count or message.click_count > message.machine_click_count:
        signs |= _ENGAGED
    signs |= _ACCEPTED
    if is_unrecorded:
        signs |= _UNRECORDED
    elif message.contradictions:
        signs |= _CONTRADICTED
    return (message.provider, message.account, accept_us // HOUR_US, signs)


def _unaccepted(message: Message) -> _Part | None:
    """Return what a message adds of which only reports told."""
    told = (
        message.send_time_us,
        message.report_time_us,
        message.undeliver_time_us,
        message.read_time_us,
        message.drop_time_us,
    )
    first_us = min((time_us for time_us in told if time_us), default=0)
    if not first_us:
        return None
    return (message.provider, message.account, first_us // HOUR_US, _UNRECORDED)


def is_heard(message: Message) -> bool:
    """Say whether a callback told of the message, and not only its sender."""
    message = with_forwarded(message)
    return bool(message.read_time_us or message.report_time_us) or _is_heard(message)


def _is_heard(message: Message) -> bool:
    """Say whether a callback told of a message without a report of its delivery or reading."""
    record = message.record
    if record is None:
        return True
    return bool(
        message.send_time_us
        or message.undeliver_time_us
        or message.pricing_time_us
        or message.cancel_time_us
        or (message.drop_time_us and record.kind != EVENT_KIND_DROPPED)
    )


def _plus(one: Counts, other: Counts, times: int) -> Counts:
    sums = (left + right * times for left, right in zip(one, other, strict=True))
    a, b, c, d, e, f, g, h, i = sums
    return a, b, c, d, e, f, g, h, i
