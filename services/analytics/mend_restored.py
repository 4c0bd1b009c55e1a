"""Use case: count anew whatever a database that lost work may have counted twice.

Status works on its events again, and tells the changes of the lost work once more: under other
batch ids, and grouped in another way, so that nothing but the messages themselves says what is
right. A rebuild counts from them.
"""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from services.analytics.domain.watermark import Watermark
from services.analytics.rebuild_cells import Rebuild


class Stale(msgspec.Struct, frozen=True):
    """A tenant whose numbers were begun to be counted before a time."""

    tenant_id: str
    # A rebuild that was begun before the time, too, rests half done.
    has_stale_rebuild: bool


class RestoreProbe(Protocol):
    """Knows of databases that lost work."""

    async def restored_us(self) -> int:
        """Return when one was last found to have, microseconds since 1970; 0: never.

        Raises:
            FlowUnknown: nobody answers.
        """


class StaleTenants(Protocol):
    """Knows since when numbers are counted."""

    async def counted_before(self, time_us: int) -> Sequence[Stale]:
        """Return the tenants whose shown numbers were begun to be counted before a time."""


async def mend_restored(
    probe: RestoreProbe, tenants: StaleTenants, watermark: Watermark, rebuild: Rebuild
) -> list[str]:
    """Rebuild the numbers of every tenant once all that is told again is folded; return whose.

    Cut off, or told so by ``AnotherRebuild``, it goes on at the next call, in any replica.

    Raises:
        FlowUnknown, AnotherRebuild, NotComparable, SnapshotUnavailable: not now.
    """
    restored_us = await probe.restored_us()
    # Until then the store of messages is behind what is on its way.
    if not restored_us or (watermark.complete_until_us or 0) <= restored_us:
        return []
    mended = []
    for one in await tenants.counted_before(restored_us):
        async for _ in rebuild.run(
            one.tenant_id, is_verify_only=False, is_from_scratch=one.has_stale_rebuild
        ):
            pass
        mended.append(one.tenant_id)
    return mended
