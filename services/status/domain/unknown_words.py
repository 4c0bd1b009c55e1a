"""Events whose word has no meaning here: found in what a batch keeps anyway."""

from collections.abc import Iterator

from bluetick.v1.common_pb2 import EVENT_KIND_UNKNOWN
from bluetick.v1.event_pb2 import Event

from services.status.domain.gathered import Gathered

# tenant_id, fingerprint, provider, account, word, receive_time_us
UnknownWord = tuple[str, bytes, str, str, str, int]


def unknown_words(gathered: Gathered) -> Iterator[UnknownWord]:
    """Yield the unknown words of a batch; the same event told twice has the same fingerprint."""
    for tenant_id, place, event, receive_time_us in gathered.unknown:
        yield _word(tenant_id, place, event, receive_time_us)
    for (tenant_id, fingerprint), notice in gathered.notices.items():
        if notice.kind == EVENT_KIND_UNKNOWN:
            yield _word(tenant_id, fingerprint, notice.event, notice.receive_time_us)


def _word(tenant_id: str, fingerprint: bytes, event: bytes, receive_time_us: int) -> UnknownWord:
    told = Event.FromString(event)
    return (
        tenant_id, fingerprint, told.provider, told.account, told.provider_word, receive_time_us
    )  # fmt: skip
