"""What the tests of status share: apply events, read rows back, fold the changes."""

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bluetick.v1 import change_pb2, event_pb2

from libs.runtime.database import Database
from libs.testkit.clock import ManualClock
from services.status.adapters.outbox_store import OutboxStore
from services.status.adapters.transactions import StatusTransactions
from services.status.apply_events import ApplyEvents
from services.status.domain.image import image
from services.status.ports import Outbox, OutboxEntry

STORED_US = 1_785_900_000_000_000


@dataclass
class CollectingOutbox:
    """Takes what would be published, then forgets it as the real one does."""

    database: Database
    batches: list[change_pb2.MessageChangedBatch] = field(default_factory=list)

    async def publish(self, entries: Sequence[OutboxEntry]) -> None:
        self.batches += [change_pb2.MessageChangedBatch.FromString(e.payload) for e in entries]
        async with self.database.transaction() as connection:
            await connection.execute(
                "DELETE FROM status.outbox WHERE outbox_id = ANY($1)",
                [e.outbox_id for e in entries],
            )

    async def sweep(self, created_before_us: int, limit: int) -> int:
        raise AssertionError("Nothing is left behind here.")

    @property
    def changes(self) -> list[change_pb2.MessageChanged]:
        return [change for batch in self.batches for change in batch.changes]


@dataclass
class Bench:
    """A status replica under test."""

    database: Database
    outbox: Any
    clock: ManualClock
    use_case: ApplyEvents

    async def apply(self, *events: event_pb2.Event, quarantined: Any = ()) -> None:
        """Apply events as one batch; they are copied, since applying uses them up."""
        batch = event_pb2.EventBatch(events=events, quarantined=quarantined)
        await self.use_case.apply([batch], STORED_US)

    async def rows(self, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
        async with self.database.transaction() as connection:
            return [tuple(row) for row in await connection.fetch(query, *arguments)]

    async def images(self) -> dict[bytes, tuple[int, change_pb2.MessageImage]]:
        """Version and image of every message stored, by key."""
        from services.status.adapters.message_store import MessageStore

        keys = await self.rows("SELECT tenant_id, message_key FROM status.messages")
        if not keys:
            return {}
        async with self.database.transaction() as connection:
            stored = await MessageStore(connection).read_messages([(k[0], k[1]) for k in keys])
        return {key[1]: (version, image(message)) for key, (version, message) in stored.items()}

    async def image_of(self, message_key: bytes) -> change_pb2.MessageImage:
        return (await self.images())[message_key][1]

    async def snapshot(self) -> dict[str, list[tuple[Any, ...]]]:
        """Everything that must not depend on order: rows without versions."""
        images = await self.images()
        return {
            "images": sorted((k, v.SerializeToString()) for k, (_, v) in images.items()),
            "history": await self.rows(
                "SELECT * FROM status.history ORDER BY message_key, fingerprint"
            ),
            "registrations": await self.rows(
                "SELECT * FROM status.registrations ORDER BY message_key"
            ),
            "refs": await self.rows("SELECT * FROM status.refs ORDER BY ref_key"),
            "parked": await self.rows("SELECT * FROM status.parked_facts ORDER BY 1, 2, 3"),
            "sends": await self.rows("SELECT * FROM status.address_sends ORDER BY 1, 2, 3, 4"),
            "acts": await self.rows("SELECT * FROM status.address_acts ORDER BY 1, 2, 3, 4"),
        }


def make_bench(database: Database, outbox: Outbox, clock: ManualClock, **settings: int) -> Bench:
    use_case = ApplyEvents(StatusTransactions(database), outbox, clock, **settings)
    return Bench(database, outbox, clock, use_case)


def contribution(image: change_pb2.MessageImage) -> Counter[str]:
    """A small independent counting, enough to compare a recount with the sum of deltas."""
    counts: Counter[str] = Counter()
    if not image.is_counted:
        return counts
    counts["targeted"] += 1
    counts[f"state {image.state}"] += 1
    counts["clicks"] += image.click_count
    counts["replies"] += image.reply_count
    counts["taps"] += image.tap_count
    counts["recovered"] += image.is_recovered
    counts["evidence"] += image.evidence_time_us != 0
    counts["unsubscribed"] += image.unsubscribe_time_us != 0
    return counts


def sum_of_deltas(changes: Iterable[change_pb2.MessageChanged]) -> Counter[str]:
    total: Counter[str] = Counter()
    for change in changes:
        total.update(contribution(change.new_image))
        if change.HasField("old_image"):
            total.subtract(contribution(change.old_image))
    return Counter({name: number for name, number in total.items() if number})


def assert_versions_have_no_gaps(changes: Iterable[change_pb2.MessageChanged]) -> None:
    versions: dict[bytes, list[int]] = {}
    for change in changes:
        versions.setdefault(change.message_key, []).append(change.version)
    for found in versions.values():
        assert sorted(found) == list(range(1, len(found) + 1))


def shuffled(events: Iterable[event_pb2.Event], seed: int) -> list[event_pb2.Event]:
    told = list(events)
    random.Random(seed).shuffle(told)
    return told


__all__ = ["Bench", "CollectingOutbox", "OutboxStore", "make_bench"]
