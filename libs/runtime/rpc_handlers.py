"""The methods of a gRPC server: collected from generated code, each wrapped once, not per call.

Requests are decoded here and not by gRPC, which answers what cannot be decoded as UNKNOWN, with
the decoder's text.
"""

from collections.abc import Callable, Mapping
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from libs.runtime.rpc_errors import InvalidArgument, abort

Decode = Callable[[bytes], Any]


class Methods:
    """Stands in for a server where generated code adds its methods; keeps them by path.

    A server asked for one method after another would keep a waiting request for each of them, and
    look at all of these for every call.
    """

    def __init__(self) -> None:
        self.by_path: dict[str, Any] = {}

    def add_generic_rpc_handlers(self, handlers: Any) -> None:
        """Pass over them: the same methods come by name."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        """Keep each method under its path."""
        self.by_path |= {f"/{service}/{name}": handler for name, handler in handlers.items()}


class ByPath(grpc.GenericRpcHandler):
    """Finds a handler by its path; None where there is none, which gRPC answers UNIMPLEMENTED."""

    def __init__(self, handlers: Mapping[str, Any]) -> None:
        self._handlers = handlers

    def service(self, handler_call_details: Any) -> Any:
        """Return the handler of the path that was called."""
        return self._handlers.get(handler_call_details.method)


def health_and_reflection(servicer: health.aio.HealthServicer, services: list[str]) -> Methods:
    """Return the methods that every server has, for ``services`` and themselves."""
    found = Methods()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, found)
    names = (*services, health.SERVICE_NAME, reflection.SERVICE_NAME)
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(
        reflection.aio.ReflectionServicer(names), found
    )
    found.by_path = {path: _decoding(handler) for path, handler in found.by_path.items()}
    return found


def decoded(request: bytes, decode: Decode, path: str) -> Any:
    """Return the request.

    Raises:
        InvalidArgument: the bytes are no message of the RPC's request type.
    """
    try:
        return decode(request)
    except DecodeError:
        rpc = path.lstrip("/")
        raise InvalidArgument(
            f"The request of {rpc} is no message of its request type; compare the protos.",
            reason="REQUEST_UNDECODABLE",
            metadata={"rpc": rpc, "request_bytes": str(len(request))},
        ) from None


def _decoding(handler: Any) -> Any:
    """Return the handler with decoding that answers; streams of requests stay as they are."""
    decode, encode = handler.request_deserializer, handler.response_serializer
    if handler.request_streaming:
        return handler
    respond = handler.unary_stream or handler.unary_unary

    async def call(request: bytes, context: Any) -> Any:
        try:
            message = decode(request)
        except DecodeError:
            await abort(context, InvalidArgument("The request cannot be decoded."))
        return await respond(message, context)

    if handler.response_streaming:
        return grpc.unary_stream_rpc_method_handler(call, None, encode)
    return grpc.unary_unary_rpc_method_handler(call, None, encode)
