"""Turns whatever went wrong into what the caller may know: a code, a text, rich details.

A service's own rich error passes untouched. Everything else is a transport speaking, with
addresses and internals in its text; the caller gets our words instead.
"""

from dataclasses import dataclass

import grpc
from grpc_status import rpc_status

from libs.runtime import logs
from libs.runtime.rpc_errors import RpcError, Unavailable, Unimplemented, status_of
from services.gateway.domain.routes import Route

_log = logs.get_logger()

_RICH = "grpc-status-details-bin"
_RETRY_S = 1.0
# The code stands, and so does the text: a service chose both, although without details.
_PLAIN = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.OUT_OF_RANGE,
    }
)


@dataclass(frozen=True, slots=True)
class Answer:
    """The end of a call that failed."""

    code: grpc.StatusCode
    text: str
    trailing_metadata: tuple[tuple[str, str | bytes], ...]


class DeadlineExceeded(RpcError):
    """The call's time is over. gRPC code: DEADLINE_EXCEEDED."""

    code = grpc.StatusCode.DEADLINE_EXCEEDED
    reason = "DEADLINE_EXCEEDED"


class LimitReached(RpcError):
    """Too much at once, or too large. gRPC code: RESOURCE_EXHAUSTED."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    reason = "LIMIT_REACHED"


class StreamAged(Unavailable):
    """The stream lived as long as streams do; nothing is wrong. gRPC code: UNAVAILABLE."""

    reason = "STREAM_AGED"


class ServicePlain(RpcError):
    """A service's own code and text; it gave no reason, so the code is the reason."""

    def __init__(self, code: grpc.StatusCode, text: str) -> None:
        super().__init__(text, reason=code.name)
        self.code = code


def answer_to(error: Exception, route: Route, request_id: str) -> Answer:
    """Return the answer to ``error``, which the gateway raised or a service's call ended with."""
    if isinstance(error, grpc.aio.AioRpcError):
        rich = _rich_details(error)
        if rich is not None and error.code() is not grpc.StatusCode.UNAUTHENTICATED:
            return Answer(error.code(), error.details() or "", ((_RICH, rich),))
        return _answer(_in_our_words(error, route), request_id)
    if isinstance(error, RpcError):
        return _answer(error, request_id)
    _log.error("call.broke", rpc=route.path, request_id=request_id, exc_info=error)
    return _answer(RpcError("An error of ours; tell us the request id."), request_id)


def _rich_details(error: grpc.aio.AioRpcError) -> str | bytes | None:
    return next((value for name, value in error.trailing_metadata() if name == _RICH), None)


def _answer(error: RpcError, request_id: str) -> Answer:
    status = rpc_status.to_status(status_of(error, request_id))
    return Answer(status.code, status.details, tuple(status.trailing_metadata))


def _in_our_words(error: grpc.aio.AioRpcError, route: Route) -> RpcError:
    code, acts = error.code(), {"service": str(route.upstream)}
    if code is grpc.StatusCode.UNAUTHENTICATED:
        # The caller's key was good; it is the gateway that the service did not recognise.
        _log.error("upstream.refused", upstream=str(route.upstream))
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return DeadlineExceeded("The call took longer than its deadline.", metadata=acts)
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return Unimplemented("This call is not available yet.", metadata=acts)
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return LimitReached("Too much at once, or too large.", metadata=acts)
    if code in _PLAIN:
        return ServicePlain(code, error.details() or "")
    if code in (grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL, grpc.StatusCode.DATA_LOSS):
        return RpcError("An error of ours; tell us the request id.", metadata=acts)
    return Unavailable(
        f"The {route.upstream} service cannot be reached; try again.",
        metadata=acts,
        retry_s=_RETRY_S,
    )
