"""Errors for RPC callers: a stable reason with its acts, turned into gRPC in one place."""

from collections.abc import Mapping, Sequence

import grpc
from google.protobuf.any_pb2 import Any as AnyProto
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

DOMAIN = "bluetick"


class RpcError(Exception):
    """An answer to the caller. Everything in it is meant to be read by them."""

    code = grpc.StatusCode.INTERNAL
    reason = "INTERNAL"

    def __init__(
        self,
        message: str,
        *,
        reason: str | None = None,
        metadata: Mapping[str, str] | None = None,
        violations: Sequence[tuple[str, str]] = (),
        retry_s: float | None = None,
    ) -> None:
        """Keep the answer; ``violations`` are (field path, what is wrong and the cure)."""
        super().__init__(message)
        self.message = message
        self.reason = reason or type(self).reason
        self.metadata = dict(metadata or {})
        self.violations = list(violations)
        self.retry_s = retry_s


class InvalidArgument(RpcError):
    """The request cannot be understood or breaks a limit. gRPC code: INVALID_ARGUMENT."""

    code = grpc.StatusCode.INVALID_ARGUMENT
    reason = "INVALID_ARGUMENT"

    @classmethod
    def of(cls, field: str, problem: str) -> "InvalidArgument":
        """Return the error for one field; ``problem`` names the limit and the cure."""
        return cls(f"{field}: {problem}", violations=[(field, problem)])


class NotFound(RpcError):
    """There is no such thing for this tenant. gRPC code: NOT_FOUND."""

    code = grpc.StatusCode.NOT_FOUND
    reason = "NOT_FOUND"


class AlreadyExists(RpcError):
    """The id is taken by something else. gRPC code: ALREADY_EXISTS."""

    code = grpc.StatusCode.ALREADY_EXISTS
    reason = "ALREADY_EXISTS"


class FailedPrecondition(RpcError):
    """Not in this state. gRPC code: FAILED_PRECONDITION."""

    code = grpc.StatusCode.FAILED_PRECONDITION
    reason = "FAILED_PRECONDITION"


class OutOfRange(RpcError):
    """What is asked for is no longer, or not yet, there. gRPC code: OUT_OF_RANGE."""

    code = grpc.StatusCode.OUT_OF_RANGE
    reason = "OUT_OF_RANGE"


class Unauthenticated(RpcError):
    """No credential, or an unknown one. gRPC code: UNAUTHENTICATED."""

    code = grpc.StatusCode.UNAUTHENTICATED
    reason = "API_KEY_UNKNOWN"


class PermissionDenied(RpcError):
    """The credential's role is too small. gRPC code: PERMISSION_DENIED."""

    code = grpc.StatusCode.PERMISSION_DENIED
    reason = "ROLE_TOO_SMALL"


class Unavailable(RpcError):
    """Our own trouble, passing. gRPC code: UNAVAILABLE, with the time after which to retry."""

    code = grpc.StatusCode.UNAVAILABLE
    reason = "SERVICE_UNAVAILABLE"


class Unimplemented(RpcError):
    """Not built yet. gRPC code: UNIMPLEMENTED."""

    code = grpc.StatusCode.UNIMPLEMENTED
    reason = "UNIMPLEMENTED"


def _packed(message: object) -> AnyProto:
    packed = AnyProto()
    packed.Pack(message)  # type: ignore[arg-type]
    return packed


def status_of(error: RpcError, request_id: str = "") -> status_pb2.Status:
    """Return the rich status: ErrorInfo always, then what else is known."""
    details = [
        _packed(
            error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata)
        )
    ]
    if error.violations:
        bad = error_details_pb2.BadRequest()
        for field, problem in error.violations:
            bad.field_violations.add(field=field, description=problem)
        details.append(_packed(bad))
    if error.retry_s is not None:
        delay = Duration(seconds=int(error.retry_s), nanos=int(error.retry_s % 1 * 1e9))
        details.append(_packed(error_details_pb2.RetryInfo(retry_delay=delay)))
    if request_id:
        details.append(_packed(error_details_pb2.RequestInfo(request_id=request_id)))
    return status_pb2.Status(code=error.code.value[0], message=error.message, details=details)


async def abort(
    context: "grpc.aio.ServicerContext[object, object]", error: RpcError, request_id: str = ""
) -> None:
    """End the call with ``error``; does not return."""
    status = rpc_status.to_status(status_of(error, request_id))
    context.set_trailing_metadata(tuple(status.trailing_metadata))
    await context.abort(status.code, status.details)
