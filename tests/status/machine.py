"""What the tests of status share: apply events, read rows back, fold the changes."""

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bluetick.v1 import change_pb2, event_pb2

from libs.runtime.broker import EVENTS_SUBJECT
from libs.runtime.database import Database
from libs.runtime.delivery import Delivery
from libs.testkit.clock import ManualClock
from services.status.adapters.lane_connection import LaneConnection
from services.status.adapters.message_store import MessageStore
from services.status.adapters.outbox_store import OutboxStore
from services.status.adapters.transactions import StatusTransactions
from services.status.apply_events import ApplyEvents
from services.status.domain.changes import Known
from services.status.domain.history import entries
from services.status.domain.packing import pack, pack_record
from services.status.ports import Outbox, OutboxEntry
from services.status.rules import Rules

STORED_US = 1_785_900_000_000_000


@dataclass
class CollectingOutbox:
    """Takes what would be published, then forgets it as the real one does."""

    database: Database
    batches: list[change_pb2.MessageChangedBatch] = field(default_factory=list)

    is_blocked = False

    async def publish(self, entries: Sequence[OutboxEntry]) -> None:
        self.batches += [change_pb2.MessageChangedBatch.FromString(e.payload) for e in entries]
        async with self.database.transaction() as connection:
            await connection.execute(
                "DELETE FROM status.outbox WHERE outbox_id = ANY($1)",
                [e.outbox_id for e in entries],
            )

    async def sweep(self, created_before_us: int, limit: int) -> int:
        raise AssertionError("Nothing is left behind here.")

    async def measure(self) -> tuple[int, int | None, int]:
        raise AssertionError("Nobody asks here.")

    async def put_back(self) -> int:
        raise AssertionError("Nothing lies aside here.")

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

    async def known(self) -> dict[bytes, Known]:
        """Every row of a message, by key; also those of which nothing but a history is known."""
        keys = await self.rows("SELECT tenant_id, message_key FROM status.messages ORDER BY 1, 2")
        async with self.database.transaction() as connection:
            found = await MessageStore(connection).read_messages([(k[0], k[1]) for k in keys])
        return {key[1]: one for key, one in zip(keys, found, strict=True) if one is not None}

    async def images(self) -> dict[bytes, tuple[int, change_pb2.MessageImage]]:
        """Version and image of every message that others were told of, by key."""
        return {
            key: (one.version, change_pb2.MessageImage.FromString(one.image + one.dimensions))
            for key, one in (await self.known()).items()
            if one.version
        }

    async def image_of(self, message_key: bytes) -> change_pb2.MessageImage:
        return (await self.images())[message_key][1]

    async def snapshot(self) -> dict[str, list[tuple[Any, ...]]]:
        """Everything that must not depend on order: rows without versions."""
        known, images = await self.known(), await self.images()
        spilled = await self.rows(
            "SELECT message_key, event, receive_time_us FROM status.history ORDER BY 1, 2"
        )
        told = [(key, *entry) for key, one in known.items() for entry in entries(one.history)]
        return {
            "images": sorted(
                (k, v.SerializeToString(deterministic=True)) for k, (_, v) in images.items()
            ),
            "messages": sorted((key, pack(one.message)) for key, one in known.items()),
            "records": sorted(
                (key, pack_record(one.message.record))
                for key, one in known.items()
                if one.message.record is not None
            ),
            "history": sorted(told + spilled),
            "acts": await self.rows("SELECT * FROM status.acts ORDER BY 1, 2, 3"),
            "refs": await self.rows("SELECT * FROM status.refs ORDER BY 1, 2"),
            "parked": await self.rows("SELECT * FROM status.parked_acts ORDER BY 1, 2, 3"),
            "sends": await self.rows("SELECT * FROM status.address_sends ORDER BY 1, 2, 3, 4"),
            "address_acts": await self.rows(
                "SELECT * FROM status.address_acts ORDER BY 1, 2, 3, 4"
            ),
            "notices": await self.rows("SELECT * FROM status.notices ORDER BY 1, 2"),
        }


def make_bench(database: Database, outbox: Outbox, clock: ManualClock, **rules: Any) -> Bench:
    use_case = ApplyEvents(StatusTransactions(database), outbox, clock, Rules(**rules))
    return Bench(database, outbox, clock, use_case)


async def empty(database: Database) -> None:
    """Empty every table of status, also those that come later."""
    async with database.transaction() as connection:
        statement = await connection.fetchval(
            "SELECT 'TRUNCATE ' || string_agg(format('%I.%I', schemaname, tablename), ', ')"
            " FROM pg_tables WHERE schemaname = 'status' AND tablename <> 'alembic_version'"
        )
        await connection.execute(statement)


def a_connection(
    database_url: str, session: Mapping[str, str], lock_timeout_s: float = 1.0
) -> LaneConnection:
    return LaneConnection(
        database_url, session, name="test", statement_timeout_s=20, lock_timeout_s=lock_timeout_s
    )


def a_delivery(seq: int, *events: event_pb2.Event) -> Delivery:
    """A broker message, as the consumer hands it out."""
    data = event_pb2.EventBatch(events=events).SerializeToString()
    return Delivery(data, EVENTS_SUBJECT, seq, STORED_US, 1, "")


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
