"""Use case: fold what status published into the cells, each batch exactly once."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import msgspec
from google.protobuf.message import DecodeError

from services.analytics.domain.cells import CampaignName, Cells
from services.analytics.domain.change_view import BatchView, PlainBatchView
from services.analytics.domain.folder import Folder
from services.analytics.domain.frames import Frame, FrameBook
from services.analytics.domain.lists.listed import Names, Wanted
from services.analytics.domain.moves import Planner

# Sums are made inside the event loop; reports are answered between two slices of this size.
_CHANGES_PER_SLICE = 500
_ID_CHARACTERS_MAX = 256

BatchKey = tuple[str, str]  # tenant, batch id


class Incoming(msgspec.Struct, frozen=True):
    """One broker message."""

    data: bytes
    stream_seq: int
    # When the broker stored it, microseconds since 1970; 0: not known.
    stored_time_us: int = 0
    # Sequence under which it was set aside, if an operator sent it again; else 0.
    set_aside_seq: int = 0


class Rejected(msgspec.Struct, frozen=True):
    """A broker message that cannot be folded, with a stable word for why."""

    incoming: Incoming
    reason: str


class Folded(msgspec.Struct, frozen=True):
    """What became of some broker messages."""

    new_change_count: int
    rejected: Sequence[Rejected]
    # When the broker stored the oldest callback behind them; 0: nothing could be read.
    oldest_event_time_us: int = 0


class Batch(msgspec.Struct, frozen=True):
    """One batch of changes; its bytes are read again where they are needed again."""

    tenant_id: str
    oldest_event_time_us: int
    incoming: Incoming

    def changes(self) -> Sequence[Any]:
        """Return its changes, as views of ``MessageChanged``."""
        changes: Sequence[Any] = BatchView.FromString(self.incoming.data).changes
        return changes


class Built(msgspec.Struct, frozen=True):
    """A generation of one tenant that is being made beside the traffic."""

    generation: int
    # The whole message store is in it.
    is_read: bool


class When(msgspec.Struct, frozen=True):
    """Times of one fold."""

    now_us: int
    # Until when a campaign is complete at most while these sums are not in its cells.
    event_time_us: int


class FoldTransaction(Protocol):
    """What one transaction on the tables offers."""

    async def claim(self, keys: Sequence[BatchKey], now_us: int) -> set[BatchKey]:
        """Mark batches as applied; return those that were not marked before.

        Two replicas may claim the same batch at once: one gets it, after the other has committed
        without or rolled back.
        """

    async def building(self, tenants: Iterable[str]) -> Mapping[str, Built]:
        """Return the generations that are being made, and keep them so until the commit."""

    async def add(self, cells: Mapping[CampaignName, Cells], when: "When") -> None:
        """Add sums to the generations that are shown, and create campaigns that nobody created."""

    async def add_built(
        self, cells: Mapping[CampaignName, Cells], generation: int, when: "When"
    ) -> None:
        """Add sums to a generation that is being made."""

    async def built_versions(
        self, tenant_id: str, generation: int, keys: Sequence[bytes]
    ) -> Mapping[bytes, int]:
        """Return up to which version messages came into a generation from the message store."""

    async def keep_early(self, tenant_id: str, generation: int, changes: Sequence[Any]) -> None:
        """Keep changes of messages that the reading of the store has not come to yet."""

    async def note_folded(self, messages: Sequence[Incoming], rejected: Sequence[Rejected]) -> None:
        """Note which messages are dealt with, and which of them are not in the sums."""


class Resolver(Protocol):
    """The dictionary."""

    async def resolve(self, frames: Sequence[Frame]) -> None:
        """Give frames the numbers that stand for their dimensions."""

    async def names(self, wanted: Mapping[CampaignName, Wanted]) -> Mapping[CampaignName, Names]:
        """Return numbers of messages and values, those that had none given some and committed."""


class FoldStore(Resolver, Protocol):
    """Where cells are kept."""

    async def in_transaction(self, work: "Work") -> int:
        """Run ``work`` in one transaction, again after a deadlock; return what it returns."""


class Work(Protocol):
    """What is done in one transaction; may be run again from its start."""

    async def __call__(self, transaction: FoldTransaction) -> int:
        """Do it."""


class Folding(msgspec.Struct):
    """What lasts from one fold to the next: plans and frames."""

    planner: Planner
    book: FrameBook

    def folder(self) -> Folder:
        """Return an empty sum."""
        return Folder(self.planner, self.book)


async def fold_changes(
    messages: Sequence[Incoming], store: FoldStore, folding: Folding, now_us: int
) -> Folded:
    """Fold broker messages.

    Sums are made before the transaction begins, so that rows are locked only while they are
    written. The marks of the batches and the sums commit together. The caller acknowledges only
    after this returns, so a crash at any line costs a redelivery, which the marks then skip.
    """
    batches, whole, rejected = await _read(messages, folding)
    # Of all changes, so that nothing need be looked up while the transaction holds its rows.
    names = await name_all(whole, store)
    cells = await cells_of(whole, store, names)
    oldest_us = min((batch.oldest_event_time_us for batch in batches.values()), default=0)
    when = When(now_us, oldest_us)

    async def work(transaction: FoldTransaction) -> int:
        new = await transaction.claim(sorted(batches), now_us)
        fresh = [batch for key, batch in batches.items() if key in new]
        count, sums = whole.change_count, cells
        if len(fresh) < len(batches):
            # Some came again: what is new among them is summed up anew.
            _, folder, _ = await _read([batch.incoming for batch in fresh], folding)
            count, sums = folder.change_count, await cells_of(folder, store, names)
        built = await transaction.building({batch.tenant_id for batch in fresh})
        if sums:
            await transaction.add(sums, when)
        for tenant_id, one in built.items():
            named = store, names
            changes = [c for b in fresh if b.tenant_id == tenant_id for c in b.changes()]
            await fold_built(transaction, named, folding, tenant_id, one, changes, when)
        await transaction.note_folded(messages, rejected)
        return count

    return Folded(await store.in_transaction(work), rejected, oldest_us)


async def name_all(folder: Folder, store: Resolver) -> Mapping[CampaignName, Names]:
    """Give numbers to all that a sum stands under; return those of what lists need."""
    if unresolved := folder.unresolved:
        await store.resolve(unresolved)
    unnamed = folder.unnamed
    return await store.names(unnamed) if unnamed else {}


async def cells_of(
    folder: Folder, store: Resolver, names: Mapping[CampaignName, Names] | None = None
) -> dict[CampaignName, Cells]:
    """Return the rows of a sum, all dimensions numbered; ``names``: those of it, if known."""
    if names is None:
        names = await name_all(folder, store)
    elif unresolved := folder.unresolved:
        # The book of frames may have been cleared meanwhile.
        await store.resolve(unresolved)
    return folder.cells(names)


async def fold_built(
    transaction: FoldTransaction,
    named: tuple[Resolver, Mapping[CampaignName, Names]],
    folding: Folding,
    tenant_id: str,
    built: Built,
    changes: Sequence[Any],
    when: When,
) -> None:
    """Fold changes of one tenant into a generation that is being made.

    ``named`` has the names of all the changes. Those whose version the message store had are in it;
    those of messages that the reading has not come to are kept until it does.
    """
    keys = sorted({change.message_key for change in changes})
    versions = await transaction.built_versions(tenant_id, built.generation, keys)
    folder = folding.folder()
    early = []
    for change in changes:
        known = versions.get(change.message_key, 0 if built.is_read else None)
        if known is None:
            early.append(change)
        elif change.version > known:
            folder.add_changes(tenant_id, (change,))
    if early:
        await transaction.keep_early(tenant_id, built.generation, early)
    if folder.change_count:
        await transaction.add_built(await cells_of(folder, *named), built.generation, when)


async def _read(
    messages: Sequence[Incoming], folding: Folding
) -> tuple[dict[BatchKey, Batch], Folder, list[Rejected]]:
    """Return the batches by (tenant, batch id), each once, their sums, and what is no batch."""
    try:
        return await _sum_up(messages, folding)
    except DecodeError:
        # The sums of a batch that can be read in part only are of no use: each is tried alone.
        good, rejected = list[Incoming](), list[Rejected]()
        for message in messages:
            try:
                await _sum_up([message], folding)
                good.append(message)
            except DecodeError:
                rejected.append(Rejected(message, "NOT_A_CHANGE"))
        batches, folder, others = await _sum_up(good, folding)
        return batches, folder, rejected + others


async def _sum_up(
    messages: Sequence[Incoming], folding: Folding
) -> tuple[dict[BatchKey, Batch], Folder, list[Rejected]]:
    batches: dict[BatchKey, Batch] = {}
    folder, rejected, since_pause = folding.folder(), list[Rejected](), 0
    for message in messages:
        try:
            view = PlainBatchView.FromString(message.data)
        except DecodeError:
            rejected.append(Rejected(message, "NOT_A_BATCH"))
            continue
        key = view.tenant_id, view.batch_id
        if problem := next((p for text in key if (p := _problem(text))), ""):
            rejected.append(Rejected(message, problem))
        elif key not in batches:
            oldest_us = view.oldest_event_time_us or message.stored_time_us
            batches[key] = Batch(view.tenant_id, oldest_us, message)
            folder.add_batch(view, message.data)
            since_pause += len(view.changes)
        if since_pause >= _CHANGES_PER_SLICE:
            since_pause = 0
            await asyncio.sleep(0)
    return batches, folder, rejected


def _problem(identity: str) -> str:
    if not identity:
        return "IDENTITY_MISSING"
    if len(identity) > _ID_CHARACTERS_MAX or "\x00" in identity:
        return "IDENTITY_UNUSABLE"
    return ""
