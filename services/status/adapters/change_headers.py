"""The headers of a broker message on CHANGES: CloudEvents 1.0 in binary mode, over NATS.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/nats-protocol-binding.md
The same batch has the same headers whenever it is published again: they come from what is stored.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from services.status.ports import OutboxEntry

PAYLOAD: Final = "bluetick.v1.MessageChangedBatch"
EVENT_TYPE: Final = "bluetick.messages.changed.v1"
CONTENT_TYPE: Final = "application/protobuf"

_FIXED: Final = {
    "Bluetick-Schema": PAYLOAD,
    "content-type": CONTENT_TYPE,
    "ce-specversion": "1.0",
    "ce-type": EVENT_TYPE,
    "ce-datacontenttype": CONTENT_TYPE,
    "ce-dataschema": f"urn:bluetick:schema:{PAYLOAD}",
}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def change_headers(entry: OutboxEntry) -> dict[str, str]:
    """Return the headers of a batch, but for the broker's own.

    ``ce-id`` is unique for ``ce-source``, which is the tenant; ``ce-subject`` is the state;
    ``ce-time`` is when the broker had stored the oldest of what is behind the changes.
    """
    return {
        **_FIXED,
        "ce-id": str(entry.outbox_id),
        "ce-source": f"/bluetick/tenants/{entry.tenant_id}",
        "ce-subject": entry.subject.rpartition(".")[2],
        "ce-time": _time(entry.oldest_event_time_us),
    }


@lru_cache(maxsize=256)
def _time(time_us: int) -> str:
    """Return it as RFC 3339, to the microsecond."""
    time = _EPOCH + timedelta(microseconds=time_us)
    return time.isoformat(timespec="microseconds").replace("+00:00", "Z")
