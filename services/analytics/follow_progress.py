"""Use case: know how far the numbers are complete, and what of them will never come."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from libs.runtime.progress import Progress
from services.analytics.domain.sequences import Run, Standing, StreamState
from services.analytics.domain.watermark import Gap, Watermark
from services.analytics.fold_changes import Incoming

# Messages looked for in one look; the rest is looked for in the next ones.
_LOOKED_FOR_MAX = 500


class FlowUnknown(Exception):
    """Status or the broker does not answer; the next look may find them."""


class FlowProbe(Protocol):
    """Asks how far others have come."""

    async def progress(self) -> Progress:
        """Ask status: until when is everything in CHANGES, and up to which sequence.

        Raises:
            FlowUnknown: no answer.
        """

    async def stream(self) -> StreamState:
        """Ask the broker what CHANGES holds and what of it was acknowledged.

        Raises:
            FlowUnknown: no answer.
        """

    async def message(self, seq: int) -> Incoming | None:
        """Return one message of CHANGES; None: it is no longer there.

        Raises:
            FlowUnknown: no answer.
        """


class Sequences(Protocol):
    """Knows which sequences of CHANGES are in the cells."""

    async def know(self, stream: StreamState) -> None:
        """Note that a stream holds something, so that it is missed when it goes before any of it is
        in the cells."""

    async def set_back(self, stream: StreamState, between_us: tuple[int, int]) -> None:
        """Note that the stream ends before what is in the cells: the broker was restored to an
        older state, and nobody knows what else it had."""

    async def standing(self, stream: StreamState) -> Standing:
        """Return where the cells stand."""

    async def end_others(self, stream: StreamState, between_us: tuple[int, int]) -> None:
        """Note that a stream before this one has ended: nobody knows what it had last."""

    async def lose(
        self, stream: StreamState, runs: Sequence[Run], reason: str, between_us: tuple[int, int]
    ) -> None:
        """Note that sequences will never be in the cells."""

    async def gaps(self) -> list[Gap]:
        """Return all that is not in the cells and will not come."""

    async def rebuilt_us(self) -> dict[str, int]:
        """Return when the numbers of tenants were last begun to be counted anew."""


# Folds messages that the consumer will not get any more.
Fold = Callable[[Sequence[Incoming]], Awaitable[None]]


async def follow_progress(
    probe: FlowProbe, sequences: Sequences, fold: Fold, watermark: Watermark, now_us: int
) -> StreamState:
    """Move the watermark on by one look.

    Status is asked first, the broker next, the cells last: what is folded in between can only be
    more than the answers before need.

    A message that was acknowledged and yet is not in the cells (the database was set back, a
    message was set aside) is folded from the stream; one that the stream has no more is a gap. So
    is the end of a stream that was made anew.

    Raises:
        FlowUnknown: somebody does not answer; the watermark stays.
    """
    progress = await probe.progress()
    watermark.expect(progress.complete_until_us, progress.changes_seq)
    stream = await probe.stream()
    between_us = watermark.complete_until_us or 0, now_us
    await sequences.end_others(stream, between_us)
    await sequences.know(stream)
    now = await sequences.standing(stream)
    if now.runs and now.runs[-1][1] > stream.last_seq:
        # Asked before the runs were read, it may have grown since.
        stream = await probe.stream()
        if now.runs[-1][1] > stream.last_seq:
            await sequences.set_back(stream, between_us)
        now = await sequences.standing(stream)
    await sequences.lose(stream, now.expired, "EXPIRED", between_us)
    if now.unfolded:
        found, missing = await _look_for(probe, now.unfolded)
        await sequences.lose(stream, missing, "MISSING", between_us)
        if found:
            await fold(found)
    watermark.gaps = await sequences.gaps()
    watermark.rebuilt_us = await sequences.rebuilt_us() if watermark.gaps else {}
    watermark.advance(now.folded_seq)
    return stream


async def _look_for(probe: FlowProbe, unfolded: Sequence[Run]) -> tuple[list[Incoming], list[Run]]:
    found: list[Incoming] = []
    missing: list[Run] = []
    looked = 0
    for first, last in unfolded:
        for seq in range(first, last + 1):
            looked += 1
            if looked > _LOOKED_FOR_MAX:
                return found, missing
            message = await probe.message(seq)
            if message is not None:
                found.append(message)
            else:
                missing.append((seq, seq))
    return found, missing
