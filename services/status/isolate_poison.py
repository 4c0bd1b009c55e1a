"""Makes of what the store refused what goes into quarantine in its place."""

from bluetick.v1.event_pb2 import EventBatch

from libs.runtime.keys import content_key
from services.status.domain.flaws import REFUSED, refused
from services.status.ports import StoreRefused


def set_aside(piece: bytes, error: StoreRefused) -> EventBatch:
    """Return a batch that quarantines the one event or part of ``piece``, for its tenant."""
    # The error's class only: its text may quote the content.
    why = type(error.__cause__).__name__
    batch = EventBatch.FromString(piece)
    for event in batch.events:
        return EventBatch(quarantined=[refused(event, why)])
    for part in batch.quarantined:
        body = part.SerializeToString()
        part.reason, part.detail, part.body, part.is_part = REFUSED, why, body, True
        part.tenant_id = part.tenant_id.replace("\x00", "")
        part.quarantine_key = content_key(part.tenant_id.encode(), body)
    return EventBatch(quarantined=batch.quarantined)
