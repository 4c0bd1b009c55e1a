"""Use case: fold what status published into the cells, each batch exactly once."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

import msgspec
from bluetick.v1 import change_pb2
from google.protobuf.message import DecodeError

from services.analytics.domain.cells import Cells
from services.analytics.domain.deltas import Folder

# Sums are made inside the event loop; reports are answered between two slices of this size.
_CHANGES_PER_SLICE = 500
_ID_CHARACTERS_MAX = 256


class Incoming(msgspec.Struct, frozen=True):
    """One broker message."""

    data: bytes
    stream_seq: int


class Rejected(msgspec.Struct, frozen=True):
    """A broker message that cannot be folded, with a stable word for why."""

    incoming: Incoming
    reason: str


class Folded(msgspec.Struct, frozen=True):
    """What became of some broker messages."""

    new_change_count: int
    rejected: Sequence[Rejected]


class FoldTransaction(Protocol):
    """What one transaction on the tables offers."""

    async def claim(
        self, batch_ids: Sequence[tuple[str, str]], now_us: int
    ) -> set[tuple[str, str]]:
        """Mark (tenant, batch) as applied; return those that were not marked before.

        Two replicas may claim the same batch at once: one gets it, after the other has committed
        without or rolled back.
        """

    async def add(self, cells: Cells, now_us: int) -> None:
        """Add the sums to the tables, and create campaigns that nobody created."""


class FoldStore(Protocol):
    """Where cells are kept."""

    async def in_transaction(self, work: "Work") -> int:
        """Run ``work`` in one transaction, again after a deadlock; return what it returns."""


class Work(Protocol):
    """What is done in one transaction; may be run again from its start."""

    async def __call__(self, transaction: FoldTransaction) -> int:
        """Do it."""


async def fold_changes(messages: Sequence[Incoming], store: FoldStore, now_us: int) -> Folded:
    """Fold broker messages.

    The marks of the batches and the sums commit together. The caller acknowledges only after this
    returns, so a crash at any line costs a redelivery, which the marks then skip.
    """
    batches, rejected = decode(messages)

    async def work(transaction: FoldTransaction) -> int:
        new = await transaction.claim(sorted(batches), now_us)
        folder = Folder()
        await _fold([batch for key, batch in batches.items() if key in new], folder)
        if folder.change_count:
            await transaction.add(folder.cells(), now_us)
        return folder.change_count

    return Folded(await store.in_transaction(work), rejected)


async def _fold(batches: Sequence[change_pb2.MessageChangedBatch], folder: Folder) -> None:
    since_pause = 0
    for batch in batches:
        tenant_id = batch.tenant_id
        for change in batch.changes:
            folder.add(tenant_id, change)
        since_pause += len(batch.changes)
        if since_pause >= _CHANGES_PER_SLICE:
            since_pause = 0
            await asyncio.sleep(0)


def decode(
    messages: Sequence[Incoming],
) -> tuple[dict[tuple[str, str], change_pb2.MessageChangedBatch], list[Rejected]]:
    """Return the batches by (tenant, batch id), each once, and what is no batch."""
    batches: dict[tuple[str, str], change_pb2.MessageChangedBatch] = {}
    rejected: list[Rejected] = []
    for message in messages:
        try:
            batch = change_pb2.MessageChangedBatch.FromString(message.data)
        except DecodeError:
            rejected.append(Rejected(message, "NOT_A_BATCH"))
            continue
        key = batch.tenant_id, batch.batch_id
        if problem := next((p for text in key if (p := _problem(text))), ""):
            rejected.append(Rejected(message, problem))
        else:
            batches[key] = batch
    return batches, rejected


def _problem(identity: str) -> str:
    if not identity:
        return "IDENTITY_MISSING"
    if len(identity) > _ID_CHARACTERS_MAX or "\x00" in identity:
        return "IDENTITY_UNUSABLE"
    return ""
