"""Answers status, which asks over the broker to have quarantined callbacks read again."""

from bluetick.v1.event_pb2 import Quarantined
from google.protobuf.message import DecodeError
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from libs.runtime import logs, replay
from libs.runtime.accounts import Accounts
from libs.runtime.broker import Broker, BrokerUnavailable
from services.ingest.log_events import LogEvent
from services.ingest.record_callback import EventSink
from services.ingest.replay_callback import replay_callback

_log = logs.get_logger()


async def serve_replays(broker: Broker, accounts: Accounts, events: EventSink) -> None:
    """Answer requests until the broker closes; of several replicas one answers each.

    A request that is not answered leaves the callback where it is.
    """

    async def answer(request: Msg) -> None:
        # An exception in a callback would end the client's read loop.
        try:
            kept = Quarantined.FromString(request.data)
            answered = await replay_callback(kept, accounts, events)
            await request.respond(replay.encode(answered))
        except (BrokerUnavailable, NatsError, DecodeError, OSError) as error:
            failed: LogEvent = "replay.unanswered"
            _log.warning(failed, error=f"{type(error).__name__}: {error}"[:200])
        except Exception as error:
            failed = "replay.unanswered"
            _log.error(failed, exc_info=error)

    await broker.client.subscribe(replay.SUBJECT, queue=replay.QUEUE, cb=answer)
