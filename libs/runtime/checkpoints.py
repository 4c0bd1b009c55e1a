"""Makes a consumer go back when its database was restored to an older state.

The broker remembers what was acknowledged, and an older database lacks the end of it. So each
service keeps beside its work the sequence up to which everything is committed, and afterwards tells
the broker the same number and which database holds it. When the two do not agree any more, or the
database is not the one that ran a moment ago, work begins again right after the number that the
database has. What was there already is applied once more, which changes nothing.

Several replicas may do all this at once: going back twice costs time only.

What was published of the lost work stays published, so whoever counts changes must count anew: when
a database lost work is kept beside the checkpoints (``restored_us``).
"""

import asyncio
from collections.abc import Callable
from time import time
from typing import Any, Final

import msgspec
import nats.errors
from nats.js.api import StreamInfo
from nats.js.errors import Error as JetStreamError
from nats.js.errors import NotFoundError

from libs.runtime import logs, measures
from libs.runtime.broker import Broker, BrokerUnavailable
from libs.runtime.checkpoint_table import NAME
from libs.runtime.database import Database, DatabaseUnavailable
from libs.runtime.streams import CHECKPOINTS_STREAM, CHECKPOINTS_SUBJECT

_log = logs.get_logger()

_EVERY_S: Final = 1.0
_PASSING: Final = (DatabaseUnavailable, BrokerUnavailable, JetStreamError, nats.errors.Error)

_RESTORED_SUBJECT: Final = f"{CHECKPOINTS_SUBJECT}.restored"

# Changes with the server's start (also that of a standby), the database, the table's file, and when
# a server goes on from a state that was not the last one: whatever a restore replaces. A plain
# restart changes the first of them too, and costs a second of work again.
_WHICH: Final = """
    SELECT concat_ws('/', extract(epoch FROM pg_postmaster_start_time()),
      (SELECT oid FROM pg_database WHERE datname = current_database()),
      pg_relation_filenode($1::text::regclass),
      left(pg_walfile_name(pg_current_wal_insert_lsn()), 8)),
      pg_wal_lsn_diff(pg_current_wal_flush_lsn(), '0/0')::bigint
"""


class _Told(msgspec.Struct, frozen=True):
    """What the broker was told last."""

    seq: int
    stream_time_us: int
    which: str
    # Bytes that the server had on disk in its life: a crash takes none of them.
    written: int = 0

    def may_have_lost(self, now: "_Told") -> bool:
        """Whether more than a restart lies between, or work is missing."""
        is_other = self.which.partition("/")[2] != now.which.partition("/")[2]
        return is_other or now.written < self.written or now.seq < self.seq


class _Restored(msgspec.Struct, frozen=True):
    """When a database was last found to have lost work, microseconds since 1970."""

    time_us: int


async def restored_us(broker: Broker) -> int:
    """Return when any service last found that its database had lost work, microseconds since 1970;
    0: never.

    Raises:
        JetStreamError, nats.errors.Error: the broker does not answer.
    """
    try:
        found = await broker.jetstream.get_last_msg(CHECKPOINTS_STREAM, _RESTORED_SUBJECT)
        return msgspec.json.decode(found.data or b"", type=_Restored).time_us
    except (NotFoundError, msgspec.MsgspecError):
        return 0


class Checkpoints:
    """The checkpoint of one consumer."""

    def __init__(
        self,
        database: Database,
        broker: Broker,
        *,
        schema: str,
        stream: str,
        consumer: str,
        forget: Callable[[], None] = lambda: None,
    ) -> None:
        """Build it.

        Args:
            database: where the checkpoint is, beside the work.
            broker: where the stream is.
            schema: the schema of the checkpoint.
            stream: the stream that the consumer works on.
            consumer: its name.
            forget: called when the database is not the one that was looked at before, so that
                nothing that was read from that one is taken for true.
        """
        self._database = database
        self._broker = broker
        self._table = f"{schema}.{NAME}"
        self._stream = stream
        self._consumer = consumer
        self._subject = f"{CHECKPOINTS_SUBJECT}.{stream}.{consumer}"
        self._forget = forget
        self._which = ""

    async def start(self) -> int:
        """Return the first sequence of the stream that is not known to be committed here."""
        stream = await self._broker.jetstream.stream_info(self._stream)
        async with self._database.transaction() as connection:
            seq = await self._read(connection, _made_us(stream))
        # A broker that was restored to an older state knows less than we do, and counts on.
        return seq + 1 if seq <= stream.state.last_seq else 1

    async def keep(self, stopping: asyncio.Event) -> None:
        """Keep the checkpoint, and notice a restored database, until ``stopping``."""
        while not stopping.is_set():
            try:
                await self.look()
            except _PASSING as error:
                _log.debug("checkpoint.postponed", error=type(error).__name__)
            try:
                await asyncio.wait_for(stopping.wait(), _EVERY_S)
            except TimeoutError:
                continue

    async def look(self) -> None:
        """Compare, then write what is acknowledged by now; or go back.

        The order is the guarantee. What was told is read before the floor, so that the floor is
        that of the consumer which goes with it; the database's identity is read in the transaction
        that writes the floor, so that a floor never gets into another database than the one whose
        commits it stands for; the broker is told last.
        """
        told, revision = await self._told()
        stream = await self._broker.jetstream.stream_info(self._stream)
        made_us = _made_us(stream)
        floor = await self._floor()
        async with self._database.transaction() as connection:
            which, written = await connection.fetchrow(_WHICH, self._table)
            if which != self._which:
                if self._which:
                    self._forget()
                self._which = which
            seq = await self._read(connection, made_us)
            is_known = told is not None and told.stream_time_us == made_us
            if not is_known or told is None or (told.which == which and told.seq <= seq):
                if floor > seq or told is None:
                    seq = max(seq, floor)
                    await self._write(connection, made_us, seq)
                must_go_back = False
            else:
                must_go_back = True
        now = _Told(seq, made_us, which, written)
        if must_go_back:
            assert told is not None
            await self._go_back(now, told)
        if told is None or (seq, made_us, which) != (told.seq, told.stream_time_us, told.which):
            await self._tell(now, revision)

    async def _go_back(self, now: _Told, told: _Told) -> None:
        lost = told.may_have_lost(now)
        say = _log.error if lost else _log.info
        say(
            "database.restored" if lost else "database.changed",
            consumer=self._consumer,
            from_seq=now.seq + 1,
            known_seq=told.seq,
        )
        measures.WENT_BACK.labels(self._consumer, "restored" if lost else "restarted").inc()
        if lost:
            # Before work begins again, so that no crash keeps it unsaid.
            await self._tell_restored(now, told, "begin")
        try:
            # Made again at once, by whoever of the replicas looks first, from ``start``.
            await self._broker.jetstream.delete_consumer(self._stream, self._consumer)
        except NotFoundError:
            return
        finally:
            if lost:
                # Until here somebody may have been told that all is done.
                await self._tell_restored(now, told, "end")

    async def _tell_restored(self, now: _Told, told: _Told, moment: str) -> None:
        await self._broker.publish(
            _RESTORED_SUBJECT,
            msgspec.json.encode(_Restored(int(time() * 1e6))),
            msg_id=f"{self._subject}:{told.which}:{now.which}:{now.seq}:{moment}",
            stream=CHECKPOINTS_STREAM,
        )

    async def _floor(self) -> int:
        try:
            found = await self._broker.jetstream.consumer_info(self._stream, self._consumer)
        except NotFoundError:
            return 0
        return (found.ack_floor.stream_seq or 0) if found.ack_floor else 0

    async def _read(self, connection: Any, made_us: int) -> int:
        """Return the checkpoint; 0: none for a stream that was made then."""
        seq = await connection.fetchval(
            f"SELECT seq FROM {self._table} WHERE stream = $1 AND consumer = $2"  # noqa: S608
            " AND stream_time_us = $3",
            self._stream,
            self._consumer,
            made_us,
        )
        return int(seq or 0)

    async def _write(self, connection: Any, made_us: int, seq: int) -> None:
        await connection.execute(
            f"INSERT INTO {self._table} AS known (stream, consumer, stream_time_us, seq)"  # noqa: S608
            " VALUES ($1, $2, $3, $4) ON CONFLICT (stream, consumer) DO UPDATE"
            " SET stream_time_us = excluded.stream_time_us, seq = excluded.seq"
            " WHERE known.stream_time_us <> excluded.stream_time_us OR known.seq < excluded.seq",
            self._stream,
            self._consumer,
            made_us,
            seq,
        )

    async def _told(self) -> tuple[_Told | None, int]:
        """Return what the broker was told last, and its revision."""
        try:
            found = await self._broker.jetstream.get_last_msg(CHECKPOINTS_STREAM, self._subject)
        except NotFoundError:
            return None, 0
        try:
            return msgspec.json.decode(found.data or b"", type=_Told), found.seq or 0
        except msgspec.MsgspecError:
            return None, found.seq or 0

    async def _tell(self, now: _Told, revision: int) -> None:
        # Whoever told something since we read is as right as we are; we look again soon.
        await self._broker.publish(
            self._subject,
            msgspec.json.encode(now),
            msg_id=f"{self._subject}:{revision}:{now.seq}:{now.which}",
            stream=CHECKPOINTS_STREAM,
            headers={"Nats-Expected-Last-Subject-Sequence": str(revision)},
        )


def _made_us(stream: StreamInfo) -> int:
    made = stream.created
    return int(made.timestamp() * 1e6) if made else 0
