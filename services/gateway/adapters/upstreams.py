"""Connections to the services behind the gateway: one channel each, over all of its replicas."""

import json
from collections.abc import Mapping
from typing import Any

import grpc
from bluetick.v1.key_service_pb2 import ListIssuedKeysRequest, ListIssuedKeysResponse
from bluetick.v1.key_service_pb2_grpc import KeyServiceStub
from grpc_health.v1 import health_pb2, health_pb2_grpc

from libs.runtime.rpc_connections import channel_options
from libs.runtime.rpc_context import INTERNAL_TOKEN
from libs.runtime.rpc_health import WHY
from services.gateway.domain.routes import Route, Upstream
from services.gateway.domain.upstream_states import UpstreamState
from services.gateway.follow_keys import KeysUnread

_KEYS_TIMEOUT_S = 2.0
# Every address that the name resolves to gets its share of the calls.
_SERVICE_CONFIG = json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})

_OPTIONS: tuple[tuple[str, Any], ...] = (
    ("grpc.service_config", _SERVICE_CONFIG),
    ("grpc.service_config_disable_resolution", 1),
    # gRPC's own retries keep a copy of each call and cost a sixth of its time; the gateway tries
    # reads twice itself (forward_call).
    ("grpc.enable_retries", 0),
    # A proxy of the environment is for the outside, not for our own services.
    ("grpc.enable_http_proxy", 0),
    # Connections of our own: a shared one may still be backing off from whoever had the address
    # before.
    ("grpc.use_local_subchannel_pool", 1),
    # A replica that comes back is found within two seconds.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.dns_min_time_between_resolutions_ms", 2_000),
    # A peer that vanished without a word is noticed, also behind an idle stream.
    *channel_options(),
)


class Upstreams:
    """The services behind the gateway."""

    def __init__(
        self,
        targets: Mapping[Upstream, str],
        routes: Mapping[str, Route],
        *,
        internal_token: str,
        request_bytes_max: int,
        response_bytes_max: int,
    ) -> None:
        """Open the channels; nothing is connected before the first call or health check."""
        self._internal_token = internal_token
        options = (
            *_OPTIONS,
            ("grpc.max_send_message_length", request_bytes_max),
            ("grpc.max_receive_message_length", response_bytes_max),
        )
        self._channels = {
            upstream: grpc.aio.insecure_channel(target, options=options)
            for upstream, target in targets.items()
        }
        # Without serializers, bytes go through as they are.
        self._unary: dict[str, Any] = {
            route.path: self._channels[route.upstream].unary_unary(route.path)
            for route in routes.values()
            if not route.is_stream
        }
        self._stream: dict[str, Any] = {
            route.path: self._channels[route.upstream].unary_stream(route.path)
            for route in routes.values()
            if route.is_stream
        }

    def unary(self, path: str) -> Any:
        """Return what starts calls of the RPC, at the service that owns it."""
        return self._unary[path]

    def stream(self, path: str) -> Any:
        """Return what starts streams of the RPC, at the service that owns it."""
        return self._stream[path]

    async def list_issued(self, request: ListIssuedKeysRequest) -> ListIssuedKeysResponse:
        """See follow_keys.IssuedKeys: ingest keeps them."""
        stub = KeyServiceStub(self._channels[Upstream.INGEST])
        metadata = ((INTERNAL_TOKEN, self._internal_token),)
        try:
            return await stub.ListIssuedKeys(request, metadata=metadata, timeout=_KEYS_TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            # Its text holds addresses; the code says enough.
            raise KeysUnread(f"ingest answers {error.code().name}") from error

    async def check(self, upstream: Upstream, timeout_s: float) -> UpstreamState:
        """Return SERVING, another word of the health protocol, or UNREACHABLE, and why."""
        stub = health_pb2_grpc.HealthStub(self._channels[upstream])
        call = stub.Check(health_pb2.HealthCheckRequest(), timeout=timeout_s)
        try:
            answer = await call
        except grpc.aio.AioRpcError as error:
            # Its text holds addresses; the code says enough.
            return UpstreamState("UNREACHABLE", f"its health check ends with {error.code().name}")
        word = str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))
        told = dict(await call.trailing_metadata())
        return UpstreamState(word, str(told.get(WHY, "")))

    async def close(self) -> None:
        """Close the channels."""
        for channel in self._channels.values():
            await channel.close()
