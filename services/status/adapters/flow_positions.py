"""Reads the positions of the flow, and answers who asks for them over the broker."""

from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.errors import Error as JetStreamError
from nats.js.errors import NotFoundError

from libs.runtime import logs, progress
from libs.runtime.broker import CHANGES_STREAM, EVENTS_STREAM, EVENTS_SUBJECTS, Broker
from libs.runtime.clock import Clock
from libs.runtime.database import Database, DatabaseUnavailable
from services.status.adapters import outbox_sql
from services.status.answer_progress import answer_progress

DURABLE = "status"
_log = logs.get_logger()


class FlowPositions:
    """``answer_progress.Flow`` on JetStream and PostgreSQL."""

    def __init__(self, broker: Broker, database: Database) -> None:
        self._jetstream = broker.jetstream
        self._database = database

    async def last_event_seq(self) -> int:
        """Ask the stream."""
        return (await self._jetstream.stream_info(EVENTS_STREAM)).state.last_seq

    async def done_event_seq(self) -> int:
        """Ask the consumer that all replicas share."""
        info = await self._jetstream.consumer_info(EVENTS_STREAM, DURABLE)
        return (info.ack_floor.stream_seq or 0) if info.ack_floor else 0

    async def event_time_us(self, seq: int) -> int | None:
        """Read the message; the next one, if retention has removed it."""
        try:
            found = await self._jetstream.get_msg(
                EVENTS_STREAM, seq, subject=EVENTS_SUBJECTS, next=True
            )
        except NotFoundError:
            return None
        return int(found.time.timestamp() * 1_000_000) if found.time else 0

    async def oldest_unpublished_us(self) -> int | None:
        """Ask the outbox."""
        async with self._database.transaction() as connection:
            oldest: int | None = await connection.fetchval(outbox_sql.OLDEST_OUTBOX)
            return oldest

    async def last_change_seq(self) -> int:
        """Ask the stream."""
        return (await self._jetstream.stream_info(CHANGES_STREAM)).state.last_seq


async def serve_progress(broker: Broker, flow: FlowPositions, clock: Clock) -> None:
    """Answer requests until the broker closes; of several replicas one answers each."""

    async def answer(request: Msg) -> None:
        # An exception in a callback would end the client's read loop.
        try:
            found = await answer_progress(flow, clock)
            await request.respond(progress.encode(found))
        except (NatsError, JetStreamError, DatabaseUnavailable, OSError) as error:
            _log.warning("progress.unanswered", error=f"{type(error).__name__}: {error}"[:200])

    await broker.client.subscribe(progress.SUBJECT, queue=progress.QUEUE, cb=answer)
