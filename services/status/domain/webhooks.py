"""An endpoint as it is stored, and what is posted to it."""

from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec
from bluetick.v1.change_pb2 import MessageChanged
from google.protobuf import json_format

from services.status.domain.watch_place import Place

EVENT_TYPE: Final = "bluetick.messages.changed.v1"
BY_CALL: Final = "BY_CALL"
GONE: Final = "GONE"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class EndpointSecret(msgspec.Struct, frozen=True, array_like=True):
    """One secret, sealed."""

    secret_id: str
    seal_key_id: str
    sealed: bytes
    create_time_us: int
    expire_time_us: int = 0  # 0: never

    def is_live(self, now_us: int) -> bool:
        """Return whether it signs."""
        return not self.expire_time_us or now_us < self.expire_time_us


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint. Unique by tenant and id."""

    tenant_id: str
    endpoint_id: str
    url: str
    description: str
    filter: bytes  # bluetick.v1.ChangeFilter
    disable_reason: str  # empty: it is not disabled
    secrets: list[EndpointSecret]  # newest first
    create_time_us: int
    update_time_us: int
    revision: int
    stream_id: int
    place: Place  # of the stream; all before it was taken, or waits as a letter
    missed_time_us: int = 0
    success_time_us: int = 0
    failure_time_us: int = 0
    failure: str = ""
    waiting_count: int = 0
    dead_count: int = 0


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """A change on its way to an endpoint."""

    webhook_id: str
    body: bytes
    attempt_count: int = 0
    first_time_us: int = 0
    last_time_us: int = 0
    due_time_us: int = 0
    failure: str = ""
    is_dead: bool = False


def purpose_of(tenant_id: str, endpoint_id: str, secret_id: str) -> str:
    """Return what a secret is sealed for: in another row it is worth nothing."""
    return "\x00".join(("webhook", tenant_id, endpoint_id, secret_id))


def letter_of(change: MessageChanged) -> Letter:
    """Return what is posted of a change in its public view.

    The id is the identity of the change, so it is the same at each attempt, after each replay and
    at each endpoint. A full stop would make the signed text ambiguous.
    """
    webhook_id = f"chg_{change.message_key.hex()}_{change.version}_{change.part}"
    time = _EPOCH + timedelta(microseconds=change.change_time_us)
    data = json_format.MessageToDict(change, preserving_proto_field_name=True)
    body = {
        "type": EVENT_TYPE,
        "timestamp": time.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "data": data,
    }
    return Letter(webhook_id=webhook_id, body=msgspec.json.encode(body))
