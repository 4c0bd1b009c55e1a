"""What an event may not hold, since no store of ours could keep it; such an event goes aside alone.

The limits lie above what ingest lets through. They are the first link of the chain of sizes: with
them a change, its two images and one part of its acts stay below what the broker takes.
"""

from collections.abc import Iterator
from typing import Any, Final

from bluetick.v1.event_pb2 import Event, Quarantined
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message as Proto

from libs.runtime.keys import content_key

KEY_BYTES: Final = 16
# Names: tenants, accounts, ids, references, codes, addresses.
NAME_BYTES_MAX: Final = 4_096
# It is part of a unique key.
ACT_ID_BYTES_MAX: Final = 1_024
# Enums of ours are stored in two bytes.
REASON_MAX: Final = 32_767
# Sub-messages that a change carries.
PART_BYTES_MAX: Final = {"pricing": 4_096, "engagement": 65_536, "registration": 65_536}
# An event that is shorter than this passes no limit of its parts.
SMALL_BYTES: Final = ACT_ID_BYTES_MAX

# The body is then no callback, but the event that ingest made of it.
REFUSED: Final = "EVENT_REFUSED_BY_STORE"
_NUL: Final = "\x00"
_UNLIMITED: Final = ("raw", "detail")


def find_flaw(event: Event) -> str:
    """Return why the event cannot be kept, with the field and the limit; empty: it can be.

    Never a value of the event.
    """
    if event.message_key and len(event.message_key) != KEY_BYTES:
        return f"message_key has {len(event.message_key)} bytes, it needs {KEY_BYTES}."
    if not 0 <= event.reason <= REASON_MAX:
        return f"reason is none of 0 to {REASON_MAX:,}."
    for name, limit in PART_BYTES_MAX.items():
        if event.HasField(name) and (size := getattr(event, name).ByteSize()) > limit:  # type: ignore[arg-type]
            return f"{name} has {size:,} bytes, the limit is {limit:,}."
    if (size := len(event.engagement.act_id.encode())) > ACT_ID_BYTES_MAX:
        return f"engagement.act_id has {size:,} bytes, the limit is {ACT_ID_BYTES_MAX:,}."
    for field, _, value in _texts(event):
        if _NUL in value:
            return f"{field} holds a NUL."
    for field, is_own, value in _texts(event):
        if is_own and field not in _UNLIMITED and (size := len(value.encode())) > NAME_BYTES_MAX:
            return f"{field} has {size:,} bytes, the limit is {NAME_BYTES_MAX:,}."
    return ""


def refused(event: Event, flaw: str) -> Quarantined:
    """Return what goes into quarantine in place of the event, for the tenant that it names."""
    body = event.SerializeToString()
    tenant_id = event.tenant_id.replace(_NUL, "")
    return Quarantined(
        quarantine_key=content_key(tenant_id.encode(), body),
        tenant_id=tenant_id,
        provider=event.provider,
        account=event.account,
        reason=REFUSED,
        detail=flaw,
        body=body,
        is_part=True,
        receive_time_us=max(event.receive_time_us, 0),
    )


def _texts(message: Proto, path: str = "") -> Iterator[tuple[str, bool, str]]:
    """Yield (field, whether it is the event's own, value) of every text in a message."""
    for field, value in message.ListFields():
        name = path + field.name
        if field.type == FieldDescriptor.TYPE_STRING:
            for text in value if _is_repeated(value) else (value,):
                yield name, not path, text
        elif field.type == FieldDescriptor.TYPE_MESSAGE:
            kind = field.message_type
            if kind is not None and kind.GetOptions().map_entry:
                for key, text in value.items():
                    yield name, False, key
                    yield name, False, str(text)
            else:
                for part in value if _is_repeated(value) else (value,):
                    yield from _texts(part, f"{name}.")


def _is_repeated(value: Any) -> bool:
    return not isinstance(value, str | Proto)
