"""Makes a consumer go back when its database was restored to an older state.

The broker remembers what was acknowledged, and an older database lacks the end of it. So each
service keeps beside its work the sequence up to which everything is committed, and afterwards tells
the broker the same number and which database holds it. When the two do not agree any more, or the
database is not the one that ran a moment ago, work begins again right after the number that the
database has. What was there already is applied once more, which changes nothing.

Several replicas may do all this at once: going back twice costs time only.
"""

import asyncio
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

# Changes with the server's start (also that of a standby), the database and the table's file:
# whatever a restore replaces. A plain restart changes it too, and costs a second of work again.
_WHICH: Final = """
    SELECT concat_ws('/', extract(epoch FROM pg_postmaster_start_time()),
      (SELECT oid FROM pg_database WHERE datname = current_database()),
      pg_relation_filenode($1::text::regclass))
"""


class _Told(msgspec.Struct, frozen=True):
    """What the broker was told last."""

    seq: int
    stream_time_us: int
    which: str


class Checkpoints:
    """The checkpoint of one consumer."""

    def __init__(
        self, database: Database, broker: Broker, *, schema: str, stream: str, consumer: str
    ) -> None:
        self._database = database
        self._broker = broker
        self._table = f"{schema}.{NAME}"
        self._stream = stream
        self._consumer = consumer
        self._subject = f"{CHECKPOINTS_SUBJECT}.{stream}.{consumer}"

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
            which = str(await connection.fetchval(_WHICH, self._table))
            seq = await self._read(connection, made_us)
            is_known = told is not None and told.stream_time_us == made_us
            if not is_known or told is None or (told.which == which and told.seq <= seq):
                if floor > seq or told is None:
                    seq = max(seq, floor)
                    await self._write(connection, made_us, seq)
                must_go_back = False
            else:
                must_go_back = True
        if must_go_back:
            assert told is not None
            await self._go_back(seq, told)
        now = _Told(seq, made_us, which)
        if now != told:
            await self._tell(now, revision)

    async def _go_back(self, seq: int, told: _Told) -> None:
        lost = max(0, told.seq - seq)
        say = _log.error if lost else _log.info
        say(
            "database.restored" if lost else "database.changed",
            consumer=self._consumer,
            from_seq=seq + 1,
            known_seq=told.seq,
            cure="`bluetick rebuild`: changes are told once more" if lost else "",
        )
        measures.WENT_BACK.labels(self._consumer, "restored" if lost else "restarted").inc()
        try:
            # Made again at once, by whoever of the replicas looks first, from ``start``.
            await self._broker.jetstream.delete_consumer(self._stream, self._consumer)
        except NotFoundError:
            return

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
