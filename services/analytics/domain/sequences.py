"""Which sequences of the stream are in the cells, which are under way, and which never came."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

Run = tuple[int, int]  # first and last, both inclusive


class StreamState(NamedTuple):
    """The stream and its consumer, as the broker sees them."""

    # When the stream was made, microseconds since 1970.
    stream_time_us: int
    # The oldest message that it still has, 1 if it never had any.
    first_seq: int
    last_seq: int
    # Everything up to here was given out and acknowledged, or was gone before it could be.
    acknowledged_seq: int


class Standing(NamedTuple):
    """What the runs and the broker say together."""

    # Everything up to here is in the cells or lost.
    folded_seq: int
    # The runs, joined where they touch.
    runs: Sequence[Run]
    # The stream let them go before they were folded.
    expired: Sequence[Run]
    # The broker will not give them out again, and they are not in the cells: to be looked for.
    unfolded: Sequence[Run]


def joined(runs: Iterable[Run]) -> list[Run]:
    """Return the runs ascending, joined where they touch or overlap."""
    found: list[Run] = []
    for first, last in sorted(runs):
        if found and first <= found[-1][1] + 1:
            found[-1] = found[-1][0], max(found[-1][1], last)
        else:
            found.append((first, last))
    return found


def standing(runs: Iterable[Run], stream: StreamState) -> Standing:
    """Return where the cells stand.

    Args:
        runs: sequences that are in the cells or known to be lost; read after ``stream``, or what
            was acknowledged in between would look lost.
        stream: what the broker says.
    """
    known = joined(runs)
    expired: list[Run] = []
    unfolded: list[Run] = []
    at = 0
    for first, last in [*known, (max(stream.acknowledged_seq, stream.first_seq - 1) + 1, 0)]:
        if first > at + 1:
            hole = at + 1, first - 1
            _tell(hole, stream, expired, unfolded)
        at = max(at, last)
    all_known = joined([*known, *expired])
    folded = all_known[0][1] if all_known and all_known[0][0] <= 1 else 0
    return Standing(folded, all_known, expired, unfolded)


def _tell(hole: Run, stream: StreamState, expired: list[Run], unfolded: list[Run]) -> None:
    first, last = hole
    gone = min(last, stream.first_seq - 1)
    if first <= gone:
        expired.append((first, gone))
    first, last = max(first, stream.first_seq), min(last, stream.acknowledged_seq)
    if first <= last:
        unfolded.append((first, last))
