"""Publishes change batches to CHANGES and forgets them."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from libs.runtime import logs
from libs.runtime.broker import (
    CHANGES_STREAM,
    Broker,
    BrokerRefused,
    BrokerUnavailable,
    OutboundMessage,
)
from libs.runtime.database import Database, DatabaseUnavailable
from services.status.adapters import outbox_sql
from services.status.adapters.change_headers import change_headers
from services.status.adapters.lane_connection import LaneConnection
from services.status.log_events import LogEvent
from services.status.ports import OutboxEntry

# What subject and headers take of a broker message.
_ENVELOPE_BYTES: Final = 4 * 1024
_TOO_LARGE: Final = "TOO_LARGE"
# A pause gathers what is forgotten, so that deleting costs one statement for many.
_GATHER_S: Final = 0.01
_RETRY_S: Final = 0.5

# An atomic batch costs the broker 6 ms whatever is in it, and is not needed: rows go only when all
# are acknowledged. From here on it is cheaper all the same.
_ATOMIC_MIN: Final = 100
# The stream's own limit: "message size exceeds maximum allowed".
_MESSAGE_TOO_LARGE: Final = 10054

_log = logs.get_logger()


@dataclass(slots=True)
class _Sent:
    """What became of entries that were to be published; with an error, the rest is still there."""

    out: list[OutboxEntry] = field(default_factory=list)
    large: list[OutboxEntry] = field(default_factory=list)
    error: BrokerUnavailable | None = None


class OutboxStore:
    """``ports.Outbox`` on PostgreSQL and JetStream."""

    def __init__(
        self,
        database: Database,
        broker: Broker,
        janitor: LaneConnection,
        *,
        entries_max: int = 1_000,
    ) -> None:
        """Build it.

        Args:
            database: where the rows are.
            broker: where they go.
            janitor: a connection of its own that deletes what was published.
            entries_max: rows from which on nothing more is taken; the limit of all replicas.
        """
        self._database = database
        self._broker = broker
        self._janitor = janitor
        self._entries_max = entries_max
        self._has_failed = False
        self._is_full = False
        self._published: list[tuple[str, Any]] = []
        self._forgetting: asyncio.Task[None] | None = None

    @property
    def is_blocked(self) -> bool:
        """Whether the last publish failed and nothing went through since, or too much waits."""
        return self._has_failed or self._is_full

    async def publish(self, entries: Sequence[OutboxEntry]) -> None:
        """Publish side by side; rows are deleted soon after.

        A crash in between leaves the entries to the sweeper, which sends them with the same ids.
        """
        sent = await self._send(entries)
        if sent.large:
            async with self._database.transaction() as connection:
                await _set_aside(connection, sent.large)
        self._published += [(entry.tenant_id, entry.outbox_id) for entry in sent.out]
        if self._forgetting is None or self._forgetting.done():
            self._forgetting = asyncio.create_task(self._forget(), name="outbox_janitor")
        if sent.error is not None:
            self._has_failed = True
            raise sent.error

    async def sweep(self, created_before_us: int, limit: int) -> int:
        """Publish what was left behind, holding its rows so that no other replica does."""
        async with self._database.transaction() as connection:
            rows = await connection.fetch(outbox_sql.TAKE_OUTBOX, created_before_us, limit)
            sent = await self._send([OutboxEntry(*row) for row in rows])
            await _set_aside(connection, sent.large)
            if sent.out:
                await connection.execute(outbox_sql.DELETE_OUTBOX, *_keys(sent.out))
        if sent.error is not None:
            self._has_failed = True
            raise sent.error
        if len(rows) < limit:
            self._has_failed = False
        return len(rows)

    async def measure(self) -> tuple[int, int | None, int]:
        """Return how many entries there are, when the oldest was made, and how many lie aside."""
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(outbox_sql.MEASURE_OUTBOX)
        self._is_full = row[0] > self._entries_max
        return row[0], row[1], row[2]

    async def put_back(self) -> int:
        """Put what was set aside back, for the sweeper to publish; return how many entries."""
        async with self._database.transaction() as connection:
            done: str = await connection.execute(outbox_sql.PUT_BACK)
        return int(done.rpartition(" ")[2])

    async def settle(self) -> None:
        """Return when the rows of all that was published are deleted."""
        if self._forgetting is not None:
            await self._forgetting

    async def _send(self, entries: Sequence[OutboxEntry]) -> _Sent:
        if len(entries) >= _ATOMIC_MIN and all(map(self._fits, entries)):
            return await self._send_atomic(entries)
        sent = _Sent()
        answers = await asyncio.gather(*map(self._publish, entries), return_exceptions=True)
        for entry, answer in zip(entries, answers, strict=True):
            if not isinstance(answer, BaseException):
                (sent.out if answer else sent.large).append(entry)
            elif isinstance(answer, BrokerUnavailable):
                sent.error = answer
            else:
                raise answer
        return sent

    async def _send_atomic(self, entries: Sequence[OutboxEntry]) -> _Sent:
        messages = [
            OutboundMessage(
                entry.subject, entry.payload, str(entry.outbox_id), change_headers(entry)
            )
            for entry in entries
        ]
        try:
            await self._broker.publish_all(messages, CHANGES_STREAM)
        except BrokerUnavailable as error:
            return _Sent(error=error)
        return _Sent(out=list(entries))

    def _fits(self, entry: OutboxEntry) -> bool:
        return len(entry.payload) <= self._broker.payload_bytes_max - _ENVELOPE_BYTES

    async def _publish(self, entry: OutboxEntry) -> bool:
        """Return whether the broker has it; if not, it can never take it as it stands."""
        if not self._fits(entry):
            return False
        try:
            await self._broker.publish(
                entry.subject,
                entry.payload,
                msg_id=str(entry.outbox_id),
                stream=CHANGES_STREAM,
                headers=change_headers(entry),
            )
        except BrokerRefused as refusal:
            if refusal.error_code == _MESSAGE_TOO_LARGE:
                return False
            raise
        return True

    async def _forget(self) -> None:
        """Delete rows in bulk. A row that stays is published again with the same id: no harm."""
        while self._published:
            await asyncio.sleep(_GATHER_S)
            ids, self._published = self._published, []
            tenants, outbox_ids = zip(*ids, strict=True)
            try:
                await self._janitor.execute(outbox_sql.DELETE_OUTBOX, tenants, outbox_ids)
            except DatabaseUnavailable:
                self._published = ids + self._published
                await asyncio.sleep(_RETRY_S)


async def _set_aside(connection: Any, entries: Sequence[OutboxEntry]) -> None:
    """Move rows to where they keep nobody, and the operator sees them."""
    if not entries:
        return
    for entry in entries:
        await connection.execute(outbox_sql.SET_ASIDE, entry.tenant_id, entry.outbox_id, _TOO_LARGE)
        event: LogEvent = "outbox.set_aside"
        _log.error(event, outbox_id=str(entry.outbox_id), payload_bytes=len(entry.payload))
    await connection.execute(outbox_sql.DELETE_OUTBOX, *_keys(entries))


def _keys(entries: Sequence[OutboxEntry]) -> tuple[list[str], list[object]]:
    return [e.tenant_id for e in entries], [e.outbox_id for e in entries]
