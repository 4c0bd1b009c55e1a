"""What a call ends with when it fails: a stable reason and its acts, read from the rich status."""

from collections.abc import Mapping
from typing import Any, Final

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_RICH: Final = "grpc-status-details-bin"


class CallFailed(grpc.aio.AioRpcError):
    """A call failed. An ``AioRpcError`` like any other, with what Bluetick says about it."""

    def __init__(self, error: grpc.aio.AioRpcError, request_id: str) -> None:
        """Read what ``error`` carries."""
        super().__init__(
            error.code(),
            error.initial_metadata(),
            error.trailing_metadata(),
            error.details(),
            error.debug_error_string(),
        )
        found = _Details(error)
        self.request_id = request_id
        """Id under which the call is in the logs."""
        self.reason: str = found.reason
        """Stable word for the cause (``CURSOR_EXPIRED``); empty: no service of ours answered."""
        self.metadata: Mapping[str, str] = found.metadata
        """Acts to the reason."""
        self.retry_s: float | None = found.retry_s
        """When to try again, seconds; None: not said."""
        self.fields: Mapping[str, str] = found.fields
        """By field of the request, what is wrong with it, and the cure."""

    def __str__(self) -> str:
        """Code, reason, text."""
        said = f" {self.reason}" if self.reason else ""
        return f"{self.code().name}{said}: {self.details()} (request {self.request_id})"


class ChangesMissed(Exception):
    """The stream no longer has what comes next: changes were missed, and cannot be had any more."""

    def __init__(self, failure: CallFailed) -> None:
        """Take what the failure tells."""
        super().__init__(failure.details())
        self.reason = failure.reason
        self.oldest_cursor = failure.metadata.get("oldest_cursor", "")
        """Where the stream begins now: ``client.changes(cursor=...)`` goes on there."""
        self.oldest_time = failure.metadata.get("oldest_time", "")
        """When that was stored, RFC 3339; empty: the stream is empty."""


class _Details:
    """google.rpc.Status, as far as it is needed."""

    def __init__(self, error: grpc.aio.AioRpcError) -> None:
        self.reason = ""
        self.metadata: dict[str, str] = {}
        self.retry_s: float | None = None
        self.fields: dict[str, str] = {}
        raw = next((value for name, value in error.trailing_metadata() if name == _RICH), b"")
        status = _MESSAGES["Status"].FromString(raw) if isinstance(raw, bytes) else None
        for detail in status.details if status is not None else ():
            kind = detail.type_url.rpartition("/")[2]
            if kind == "google.rpc.ErrorInfo":
                info = _MESSAGES["ErrorInfo"].FromString(detail.value)
                self.reason, self.metadata = info.reason, dict(info.metadata)
            elif kind == "google.rpc.RetryInfo":
                delay = _MESSAGES["RetryInfo"].FromString(detail.value).retry_delay
                self.retry_s = delay.seconds + delay.nanos / 1e9
            elif kind == "google.rpc.BadRequest":
                bad = _MESSAGES["BadRequest"].FromString(detail.value)
                self.fields = {one.field: one.description for one in bad.field_violations}


_STRING, _BYTES, _INT64, _INT32 = 9, 12, 3, 5
# (message, field, number, type; a message's name, or a scalar's number, is repeated)
_FIELDS: Final[tuple[tuple[str, str, int, int | str, bool], ...]] = (
    ("Any", "type_url", 1, _STRING, False),
    ("Any", "value", 2, _BYTES, False),
    ("Status", "details", 3, "Any", True),
    ("ErrorInfo", "reason", 1, _STRING, False),
    ("ErrorInfo", "metadata", 3, "ErrorInfo.MetadataEntry", True),
    ("Duration", "seconds", 1, _INT64, False),
    ("Duration", "nanos", 2, _INT32, False),
    ("RetryInfo", "retry_delay", 1, "Duration", False),
    ("Violation", "field", 1, _STRING, False),
    ("Violation", "description", 2, _STRING, False),
    ("BadRequest", "field_violations", 1, "Violation", True),
)


def _messages() -> dict[str, Any]:
    """Return the classes: of a pool of our own, so that nobody's google.rpc is in the way."""
    file = descriptor_pb2.FileDescriptorProto(
        name="bluetick_client_status.proto", package="bluetick_client", syntax="proto3"
    )
    found = {
        name: file.message_type.add(name=name) for name in dict.fromkeys(f[0] for f in _FIELDS)
    }
    entry = found["ErrorInfo"].nested_type.add(name="MetadataEntry")
    entry.options.map_entry = True
    for number, name in enumerate(("key", "value"), 1):
        entry.field.add(name=name, number=number, type=_STRING, label=1)
    for message, name, number, kind, is_repeated in _FIELDS:
        field = found[message].field.add(name=name, number=number, label=3 if is_repeated else 1)
        if isinstance(kind, str):
            field.type = field.TYPE_MESSAGE
            field.type_name = f".bluetick_client.{kind}"
        else:
            field.type = kind  # type: ignore[assignment]
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    get = message_factory.GetMessageClass
    return {name: get(pool.FindMessageTypeByName(f"bluetick_client.{name}")) for name in found}


_MESSAGES: Final = _messages()
