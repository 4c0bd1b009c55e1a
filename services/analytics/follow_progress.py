"""Use case: know how far the numbers are complete."""

from typing import Protocol

from libs.runtime.progress import Progress
from services.analytics.domain.watermark import Watermark


class FlowUnknown(Exception):
    """Status or the broker does not answer; the next look may find them."""


class FlowProbe(Protocol):
    """Asks how far others have come."""

    async def progress(self) -> Progress:
        """Ask status: until when is everything in CHANGES, and up to which sequence.

        Raises:
            FlowUnknown: no answer.
        """

    async def folded_seq(self) -> int:
        """Return the sequence up to which CHANGES is folded.

        Raises:
            FlowUnknown: no answer.
        """


async def follow_progress(probe: FlowProbe, watermark: Watermark) -> None:
    """Move the watermark on by one look.

    Status is asked first: what is folded afterwards can only be more than its answer needs.

    Raises:
        FlowUnknown: somebody does not answer; the watermark stays.
    """
    progress = await probe.progress()
    watermark.expect(progress.complete_until_us, progress.changes_seq)
    watermark.advance(await probe.folded_seq())
