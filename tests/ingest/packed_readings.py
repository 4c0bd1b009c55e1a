"""Bytes put together by hand say what the messages say, no more and no less."""

from bluetick.v1.event_pb2 import EventBatch

from libs.runtime.accounts import Account
from services.ingest.adapters.message_pieces import PieceLimits, pieces_of
from services.ingest.domain.reading import Reading
from services.ingest.providers.provider import Callback, PacksEvents, Refused


def check_same(provider: PacksEvents, account: Account, asked: Callback) -> None:
    """Check that both readings of ``asked`` say the same."""
    whole = provider.parse(asked, account)
    packed = provider.parse_packed(asked, account)
    if isinstance(whole, Refused):
        assert packed == whole
        return
    assert isinstance(whole, Reading)
    assert isinstance(packed, Reading)
    pieces = pieces_of(packed.batch, PieceLimits(), packed.packed)
    together = b"".join(piece for piece, _ in pieces)
    assert _sorted_events(together) == _sorted_events(whole.batch.SerializeToString())
    assert packed.batch.quarantined == whole.batch.quarantined
    assert packed.event_count == whole.event_count


def _sorted_events(payload: bytes) -> list[bytes]:
    batch = EventBatch.FromString(payload)
    return sorted(event.SerializeToString(deterministic=True) for event in batch.events)
