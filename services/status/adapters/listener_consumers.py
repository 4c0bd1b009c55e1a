"""The durable consumers from which other teams fetch."""

from typing import Final

import nats.errors
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import Error as JetStreamError
from nats.js.errors import NotFoundError

from libs.runtime.broker import CHANGES_STREAM, Broker, BrokerUnavailable
from libs.runtime.listeners import Listener

# What is not acknowledged in that time is given again.
_ACK_WAIT_S: Final = 30.0
# Messages that a listener may have in hand.
_ACK_PENDING_MAX: Final = 256


class ListenerConsumers:
    """``keep_listeners.Consumers`` on JetStream."""

    def __init__(self, broker: Broker) -> None:
        self._jetstream = broker.jetstream

    async def ensure(self, listener: Listener) -> bool:
        """Look, make, or change the filter; where it stands stays."""
        try:
            return await self._ensure(listener)
        except (JetStreamError, nats.errors.Error, OSError) as error:
            raise BrokerUnavailable(f"{type(error).__name__}: {error}") from error

    async def _ensure(self, listener: Listener) -> bool:
        try:
            found = await self._jetstream.consumer_info(CHANGES_STREAM, listener.consumer)
        except NotFoundError:
            await self._jetstream.add_consumer(CHANGES_STREAM, _config(listener))
            return True
        config = found.config
        one = [config.filter_subject] if config.filter_subject else []
        if (config.filter_subjects or one) != listener.subjects:
            config.filter_subject, config.filter_subjects = _filter(listener)
            await self._jetstream.add_consumer(CHANGES_STREAM, config)
        return False


def _config(listener: Listener) -> ConsumerConfig:
    single, several = _filter(listener)
    start = listener.start_time
    return ConsumerConfig(
        durable_name=listener.consumer,
        filter_subject=single,
        filter_subjects=several,
        deliver_policy=DeliverPolicy.ALL if start is None else DeliverPolicy.BY_START_TIME,
        opt_start_time=start,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=_ACK_WAIT_S,
        max_ack_pending=_ACK_PENDING_MAX,
        max_deliver=-1,
    )


def _filter(listener: Listener) -> tuple[str | None, list[str] | None]:
    subjects = listener.subjects
    return (subjects[0], None) if len(subjects) == 1 else (None, subjects)
