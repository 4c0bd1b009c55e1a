"""Puts the gateway together."""

from collections.abc import Mapping

from libs.runtime import logs, metrics
from libs.runtime.api_keys import load_api_keys
from libs.runtime.clock import SystemClock
from libs.runtime.lifecycle import Scope, settle
from libs.runtime.rpc_drain import Drain
from services.gateway.adapters.event_door import EventDoor
from services.gateway.adapters.rpc_door import RpcDoor
from services.gateway.adapters.upstreams import Upstreams
from services.gateway.adapters.web_door import open_web_door
from services.gateway.admit_call import Gatekeeper, RequestIds
from services.gateway.domain.budgets import Budget
from services.gateway.domain.routes import Route, health_owners, routes
from services.gateway.follow_keys import KeyFollower
from services.gateway.forward_call import CallForwarder
from services.gateway.forward_stream import StreamForwarder
from services.gateway.key_book import KeyBook
from services.gateway.receive_call import Reception
from services.gateway.settings import GatewaySettings
from services.gateway.watch_upstreams import UpstreamWatch

_log = logs.get_logger()
_REVOKE = "/bluetick.v1.AdminService/RevokeApiKey"

_calls_in_flight = metrics.gauge("gateway_calls_in_flight", "Unary calls that run now")
_streams_open = metrics.gauge("gateway_streams_open", "Streams that are open now")


async def build(scope: Scope, settings: GatewaySettings) -> int:
    """Start everything; return the port of the gRPC door.

    Raises:
        AccountsProblem: the API keys cannot be read.
        RuntimeError: the gRPC port is taken.
        OSError: an HTTP port is taken.
    """
    keys = KeyBook(load_api_keys(settings.api_keys_file), SystemClock().now_us)
    known = routes()
    upstreams = Upstreams(
        settings.targets(),
        known,
        internal_token=settings.internal_token,
        request_bytes_max=settings.gateway_request_bytes_max,
        response_bytes_max=settings.gateway_response_bytes_max,
    )
    scope.defer(upstreams.close)
    drain = Drain()
    follower = KeyFollower(keys, upstreams)
    gatekeeper = Gatekeeper(keys, follower, settings.internal_token)
    door = RpcDoor(
        known,
        _forwarders(known, upstreams, gatekeeper, drain, settings),
        drain,
        request_bytes_max=settings.gateway_request_bytes_max,
        response_bytes_max=settings.gateway_response_bytes_max,
        connection_age_s=settings.gateway_connection_age_s,
        reuse_port=settings.gateway_reuse_port,
    )
    watch = UpstreamWatch(upstreams, door, health_owners(), settings.gateway_ready_needs)
    events = EventDoor()
    await _open_web_doors(scope, settings, watch, events)
    scope.defer(events.close)
    port = await _open_rpc_door(scope, settings, door)
    events.open(settings.gateway_grpc_host, port)
    # Known before the first caller asks; from here on it is looked at again and again.
    await watch.look(timeout_s=settings.gateway_upstream_check_s)
    scope.spawn(watch.run(settings.gateway_upstream_check_s, scope.stopping), "watch_upstreams")
    scope.spawn(follower.run(settings.gateway_keys_interval_s, scope.stopping), "follow_keys")
    settle(scope)
    return port


def _forwarders(
    known: Mapping[str, Route],
    upstreams: Upstreams,
    gatekeeper: Gatekeeper,
    drain: Drain,
    settings: GatewaySettings,
) -> dict[str, CallForwarder | StreamForwarder]:
    calls, streams = Budget(settings.call_budget()), Budget(settings.stream_budget())
    _calls_in_flight.set_function(lambda: calls.taken)
    _streams_open.set_function(lambda: streams.taken)
    request_ids, limits = RequestIds(), settings.deadlines()
    made: dict[str, CallForwarder | StreamForwarder] = {}
    for path, route in known.items():
        reception = Reception(
            route,
            gatekeeper=gatekeeper,
            budget=streams if route.is_stream else calls,
            drain=drain,
            request_ids=request_ids,
        )
        if route.is_stream:
            made[path] = StreamForwarder(reception, upstreams=upstreams, limits=limits)
            continue
        # A key that was revoked here is refused here from the answer on.
        after = gatekeeper.hear_of_keys if path == _REVOKE else None
        made[path] = CallForwarder(reception, upstreams=upstreams, limits=limits, after=after)
    return made


async def _open_web_doors(
    scope: Scope, settings: GatewaySettings, watch: UpstreamWatch, events: EventDoor
) -> None:
    host = settings.gateway_web_host
    ports = {
        "web": (settings.gateway_web_port, events),
        # For scrapers, where the web door is public: nothing but probes.
        "probe": (settings.gateway_probe_port, None),
    }
    for name, (port, told) in ports.items():
        await open_web_door(scope, watch, host=host, port=port, name=name, events=told)


async def _open_rpc_door(scope: Scope, settings: GatewaySettings, door: RpcDoor) -> int:
    for service in health_owners():
        await door.set_health(service, is_serving=False)
    port = await door.open(settings.gateway_grpc_host, settings.gateway_grpc_port)

    async def close() -> None:
        await door.close(settings.gateway_unready_s, settings.gateway_drain_s)

    scope.defer(close)
    _log.info("door.opened", grpc=f"{settings.gateway_grpc_host}:{port}")
    return port
