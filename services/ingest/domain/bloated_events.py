"""Events whose texts are larger than anything behind the door is made for."""

from typing import Final

from services.ingest.domain.reading import Reading

# All texts of one event, bytes; those that providers send come to 2 KB, and every limit of a text
# that a reader knows comes to 16 KB. Only a body that is larger itself can break it.
TEXT_BYTES_MAX: Final = 32 * 1024


def set_bloated_aside(reading: Reading, body: bytes) -> None:
    """Put ``body`` to quarantine if events were read from it that are too large, without these.

    The part of a body that an event keeps as its raw form does not count: it is bounded by the
    body. Nothing is cut, so what was too large can still be read once somebody knows how.
    """
    events = reading.batch.events
    kept = [event for event in events if event.ByteSize() - len(event.raw) <= TEXT_BYTES_MAX]
    bloated_count = len(events) - len(kept)
    if not bloated_count:
        return
    del events[:]
    events.extend(kept)
    detail = f"{bloated_count} events with texts of more than {TEXT_BYTES_MAX} bytes"
    reading.quarantine("TEXT_TOO_LONG", detail, body, is_part=False)
