"""How far the flow has come, asked over the broker."""

import msgspec
import nats.errors
from nats.js.api import StreamInfo
from nats.js.errors import Error as JetStreamError
from nats.js.errors import NotFoundError

from libs.runtime import checkpoints, progress
from libs.runtime.broker import CHANGES_STREAM, Broker
from services.analytics.adapters.folded_sequences import FoldedSequences
from services.analytics.domain.sequences import StreamState
from services.analytics.fold_changes import Incoming
from services.analytics.follow_progress import FlowUnknown

DURABLE = "analytics"
_ANSWER_TIMEOUT_S = 1.0
_OUTAGE = (TimeoutError, OSError, nats.errors.Error, JetStreamError)


class BrokerFlowProbe:
    """See follow_progress.FlowProbe."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def progress(self) -> progress.Progress:
        """See follow_progress.FlowProbe.progress."""
        try:
            answer = await self._broker.client.request(
                progress.SUBJECT, b"", timeout=_ANSWER_TIMEOUT_S
            )
            return progress.decode(answer.data)
        except (*_OUTAGE, msgspec.MsgspecError) as error:
            raise FlowUnknown(f"status: {type(error).__name__}") from error

    async def stream(self) -> StreamState:
        """See follow_progress.FlowProbe.stream; all replicas share the one consumer.

        What the consumer calls pending is not asked: the broker counts that a moment after it has
        acknowledged a message, and a report would promise a change that is still on its way.
        """
        try:
            stream = await self._broker.jetstream.stream_info(CHANGES_STREAM)
            found = await self._broker.jetstream.consumer_info(
                CHANGES_STREAM, DURABLE, timeout=_ANSWER_TIMEOUT_S
            )
        except _OUTAGE as error:
            raise FlowUnknown(f"consumer: {type(error).__name__}") from error
        place = found.delivered if found.num_ack_pending == 0 else found.ack_floor
        acknowledged = (place.stream_seq or 0) if place is not None else 0
        return StreamState(
            _made_us(stream),
            stream.state.first_seq or 1,
            stream.state.last_seq,
            acknowledged,
        )

    async def restored_us(self) -> int:
        """See mend_restored.RestoreProbe.restored_us."""
        try:
            return await checkpoints.restored_us(self._broker)
        except _OUTAGE as error:
            raise FlowUnknown(f"checkpoints: {type(error).__name__}") from error

    async def made_us(self) -> int:
        """Return when CHANGES was made, microseconds since 1970; it is there."""
        return _made_us(await self._broker.jetstream.stream_info(CHANGES_STREAM))

    async def first_unfolded_seq(self, sequences: FoldedSequences) -> int:
        """Return where a consumer that is made (again) begins: the first that is not in the cells.

        Without it, a deleted consumer would have all that the stream holds folded, and skipped,
        once more.
        """
        found = await self._broker.jetstream.stream_info(CHANGES_STREAM)
        state = StreamState(_made_us(found), found.state.first_seq or 1, found.state.last_seq, 0)
        await sequences.know(state)
        folded_seq = (await sequences.standing(state)).folded_seq
        # A broker that was restored to an older state counts on from there.
        return folded_seq + 1 if folded_seq <= state.last_seq else 1

    async def message(self, seq: int) -> Incoming | None:
        """See follow_progress.FlowProbe.message."""
        try:
            found = await self._broker.jetstream.get_msg(CHANGES_STREAM, seq)
        except NotFoundError:
            return None
        except _OUTAGE as error:
            raise FlowUnknown(f"message {seq}: {type(error).__name__}") from error
        stored = found.time
        stored_us = int(stored.timestamp() * 1e6) if stored is not None else 0
        return Incoming(found.data or b"", seq, stored_us)


def _made_us(stream: StreamInfo) -> int:
    return int(stream.created.timestamp() * 1e6) if stream.created is not None else 0
