"""Use case: count all numbers of a tenant anew beside the traffic, compare, and switch."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from enum import IntEnum
from typing import Any, Protocol

import msgspec

from libs.runtime.clock import Clock
from services.analytics.domain.cells import CampaignName, Cells
from services.analytics.domain.frames import Frame
from services.analytics.domain.lists.listed import Names, Wanted
from services.analytics.domain.watermark import Watermark
from services.analytics.fold_changes import Folding, cells_of

# Of differences, so many are told one by one.
DIFFERENCES_MAX = 100
# Changes of messages that the reading had not come to, folded in one transaction.
_EARLY_MAX = 2_000
# Pages of a table (8 KiB) that are cleaned in one transaction; bounds how long it takes.
CLEANING_PAGES_MAX = 1_000
_LOOK_EVERY_S = 0.2
# bluetick.v1.CHANGE_CAUSE_REBUILD
CAUSE = 7


class Phase(IntEnum):
    """How far a rebuild is; the numbers are those of bluetick.v1.RebuildPhase."""

    COUNTING = 1
    WAITING = 2
    COMPARING = 3
    CLEANING = 4
    DONE = 5


class Building(msgspec.Struct, frozen=True):
    """A generation that is being made."""

    generation: int
    shown: int
    after_key: bytes
    is_read: bool
    message_count: int
    # When the message store had been read to its end, microseconds since 1970; 0: not yet.
    read_time_us: int


class Difference(msgspec.Struct, frozen=True):
    """A sum that came out differently."""

    family: str
    campaign_id: str
    key: tuple[str, ...]
    sum: str
    shown: int
    recounted: int


class Compared(msgspec.Struct, frozen=True):
    """What two generations differ in: how many sums, and some of them."""

    difference_count: int
    differences: Sequence[Difference]


class RebuildProgress(msgspec.Struct, frozen=True):
    """A sign of progress."""

    phase: Phase
    message_count: int
    message_count_expected: int = 0
    compared: Compared | None = None
    is_switched: bool = False


class AnotherRebuild(Exception):
    """Another call is at it: what this one read, that one has already counted."""


class SnapshotUnavailable(Exception):
    """Status does not answer; the text says why."""


class NotComparable(Exception):
    """The flow of changes stands still: what is shown cannot be compared now."""


class Page(msgspec.Struct, frozen=True):
    """Some messages of the store in the order of their keys: views of ``MessageSnapshot``."""

    messages: Sequence[Any]
    read_time_us: int


class Snapshots(Protocol):
    """The message store of status."""

    def pages(self, tenant_id: str, after_key: bytes) -> AsyncIterator[Page]:
        """Yield all messages behind a key, in the order of their keys.

        Raises:
            SnapshotUnavailable: status does not answer; what was yielded so far holds.
        """


class GenerationStore(Protocol):
    """Where generations are kept."""

    async def resolve(self, frames: Sequence[Frame]) -> None:
        """See fold_changes.FoldStore.resolve."""

    async def names(self, wanted: Mapping[CampaignName, Wanted]) -> Mapping[CampaignName, Names]:
        """See fold_changes.FoldStore.names."""

    async def begin(self, tenant_id: str, now_us: int, *, is_from_scratch: bool) -> Building:
        """Begin a generation, or go on with the one that is being made."""

    async def expected_count(self, tenant_id: str) -> int:
        """Return how many messages the numbers shown count."""

    async def add_page(
        self,
        tenant_id: str,
        building: Building,
        page: Page,
        cells: Mapping[CampaignName, Cells],
        folding: Folding,
        now_us: int,
    ) -> Building:
        """Add a page of messages, and the changes of them that came before it and are newer.

        Raises:
            AnotherRebuild: the generation is not where ``building`` says.
        """

    async def add_early(
        self, tenant_id: str, building: Building, folding: Folding, now_us: int, changes_max: int
    ) -> Building:
        """Add changes of messages that the store did not have; ``is_read`` once none are left."""

    async def is_settled(self, tenant_id: str) -> bool:
        """Return whether no sums of the tenant wait for locked rows."""

    async def compare(
        self, tenant_id: str, building: Building, now_us: int, differences_max: int
    ) -> Compared:
        """Compare both generations in one snapshot of the tables."""

    async def switch(self, tenant_id: str, building: Building, now_us: int) -> None:
        """Show the new generation; the ledger says by how much the totals moved."""

    async def discard(self, tenant_id: str, building: Building) -> None:
        """Make nothing any more."""

    def clean(self, tenant_id: str, pages_max: int) -> AsyncIterator[int]:
        """Delete rows of generations that are neither shown nor made, some pages of a table in one
        transaction; yield how many rows each time."""


class Rebuild(msgspec.Struct):
    """What a rebuild needs."""

    store: GenerationStore
    snapshots: Snapshots
    folding: Folding
    watermark: Watermark
    clock: Clock
    # How long to wait for the flow to pass the end of the reading.
    patience_s: float

    async def run(
        self, tenant_id: str, *, is_verify_only: bool, is_from_scratch: bool
    ) -> AsyncGenerator[RebuildProgress, None]:
        """Count, wait, compare, switch (unless ``is_verify_only``), clean.

        Whoever stops listening stops it; another call goes on where it was.

        Raises:
            AnotherRebuild: another call is at it.
            NotComparable: the flow of changes does not pass the end of the reading.
            SnapshotUnavailable: status does not answer.
        """
        now_us = self.clock.now_us()
        built = await self.store.begin(tenant_id, now_us, is_from_scratch=is_from_scratch)
        expected = await self.store.expected_count(tenant_id)
        async for further in self._count(tenant_id, built):
            built = further
            yield RebuildProgress(Phase.COUNTING, built.message_count, expected)
        count = built.message_count
        async for _ in self._settle(tenant_id, built):
            yield RebuildProgress(Phase.WAITING, count, expected)
        yield RebuildProgress(Phase.COMPARING, count, expected)
        now_us = self.clock.now_us()
        compared = await self.store.compare(tenant_id, built, now_us, DIFFERENCES_MAX)
        if is_verify_only:
            await self.store.discard(tenant_id, built)
        else:
            await self.store.switch(tenant_id, built, self.clock.now_us())
        async for _ in self.store.clean(tenant_id, CLEANING_PAGES_MAX):
            yield RebuildProgress(Phase.CLEANING, count, expected)
        yield RebuildProgress(Phase.DONE, count, expected, compared, is_switched=not is_verify_only)

    async def _count(self, tenant_id: str, built: Building) -> AsyncIterator[Building]:
        if built.is_read:
            yield built
            return
        async for page in self.snapshots.pages(tenant_id, built.after_key):
            folder = self.folding.folder()
            for message in page.messages:
                folder.add_message(tenant_id, message, CAUSE)
            cells = await cells_of(folder, self.store)
            now_us = self.clock.now_us()
            built = await self.store.add_page(tenant_id, built, page, cells, self.folding, now_us)
            yield built
        while not built.is_read:
            built = await self.store.add_early(
                tenant_id, built, self.folding, self.clock.now_us(), _EARLY_MAX
            )
            yield built

    async def _settle(self, tenant_id: str, built: Building) -> AsyncIterator[None]:
        """Return once all that the reading can have seen is in the numbers shown, too."""
        for _ in range(max(1, int(self.patience_s / _LOOK_EVERY_S))):
            until_us = self.watermark.complete_until_us or 0
            if until_us >= built.read_time_us and await self.store.is_settled(tenant_id):
                return
            yield
            await asyncio.sleep(_LOOK_EVERY_S)
        raise NotComparable
