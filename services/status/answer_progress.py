"""Says how far the flow has come, so that reports can say what they include."""

from typing import Protocol

from libs.runtime.clock import Clock
from libs.runtime.progress import Progress


class Flow(Protocol):
    """The positions between EVENTS and CHANGES."""

    async def last_event_seq(self) -> int:
        """Sequence of the last message in EVENTS; 0: none yet."""

    async def done_event_seq(self) -> int:
        """Every message of EVENTS up to this sequence was applied and acknowledged."""

    async def event_time_us(self, seq: int) -> int | None:
        """When the broker stored the first message at or after ``seq``; None: there is none."""

    async def oldest_unpublished_us(self) -> int | None:
        """Oldest event time behind changes not yet known to be published; None: there are none."""

    async def last_change_seq(self) -> int:
        """Sequence of the last message in CHANGES; 0: none yet."""


async def answer_progress(flow: Flow, clock: Clock) -> Progress:
    """Return a time T and a sequence: everything stored before T is in CHANGES up to there.

    The order of the questions is the guarantee. Each is asked after the ones whose answers it must
    not be older than:

    1. the clock first, so that what arrives while we ask is never promised;
    2. the end of EVENTS before the acknowledged floor: a message stored in between makes the floor
       look behind (too careful), never ahead;
    3. the outbox after the floor: a message is acknowledged only after its changes were deleted
       from the outbox, that is, were published; what was left behind by a crash is still in it;
    4. the end of CHANGES last, so that it covers everything that the answers before count as done.
    """
    before_us = clock.now_us()
    last_seq = await flow.last_event_seq()
    done_seq = await flow.done_event_seq()
    until_us = before_us
    if done_seq < last_seq:
        next_us = await flow.event_time_us(done_seq + 1)
        if next_us is not None:
            until_us = min(until_us, next_us)
    unpublished_us = await flow.oldest_unpublished_us()
    if unpublished_us is not None:
        until_us = min(until_us, unpublished_us)
    return Progress(complete_until_us=until_us, changes_seq=await flow.last_change_seq())
