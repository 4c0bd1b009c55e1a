"""What is on the broker's disk."""

from bluetick.v1.event_pb2 import Event, EventBatch

from libs.runtime.broker import EVENTS_STREAM, Broker


async def stored_batches(broker: Broker) -> list[EventBatch]:
    """Every broker message of the stream, oldest first."""
    state = (await broker.jetstream.stream_info(EVENTS_STREAM)).state
    batches = []
    for sequence in range(state.first_seq or 1, state.last_seq + 1):
        message = await broker.jetstream.get_msg(EVENTS_STREAM, sequence)
        batches.append(EventBatch.FromString(message.data or b""))
    return batches


async def stored_events(broker: Broker) -> list[Event]:
    """Every event of the stream, oldest first."""
    return [event for batch in await stored_batches(broker) for event in batch.events]
