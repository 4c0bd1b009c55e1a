"""Sets aside what cannot be decoded or stored, so that its neighbours go on."""

from collections.abc import Iterator

import msgspec
from bluetick.v1.event_pb2 import Event, EventBatch, Quarantined

from libs.runtime.keys import content_key
from services.status.ports import StoreRefused

# The body is then no callback, but the event or the part that ingest made of it.
REFUSED_BY_STORE = "EVENT_REFUSED_BY_STORE"


class Piece(msgspec.Struct, frozen=True):
    """One event, or one part that ingest could not read, still serialized."""

    event: bytes = b""
    quarantined: bytes = b""

    def batch(self) -> EventBatch:
        """Return a fresh batch of this piece alone."""
        if self.event:
            return EventBatch(events=[Event.FromString(self.event)])
        return EventBatch(quarantined=[Quarantined.FromString(self.quarantined)])


def pieces_of(batch: EventBatch) -> Iterator[Piece]:
    """Yield what a batch consists of."""
    for event in batch.events:
        yield Piece(event=event.SerializeToString())
    for quarantined in batch.quarantined:
        yield Piece(quarantined=quarantined.SerializeToString())


def set_aside(piece: Piece, error: StoreRefused) -> EventBatch:
    """Return a batch that quarantines what the store refused, for the tenant that it names."""
    told = Event.FromString(piece.event) if piece.event else None
    part = told or Quarantined.FromString(piece.quarantined)
    body = piece.event or piece.quarantined
    tenant_id = part.tenant_id.replace("\x00", "")
    quarantined = Quarantined(
        quarantine_key=content_key(tenant_id.encode(), body),
        tenant_id=tenant_id,
        provider=part.provider,
        account=part.account,
        reason=REFUSED_BY_STORE,
        # The error's class only: its text may quote the content.
        detail=type(error.__cause__).__name__,
        body=body,
        is_part=True,
        receive_time_us=max(part.receive_time_us, 0),
    )
    return EventBatch(quarantined=[quarantined])
