"""Connections keep idle streams, for as long as these may live."""

import asyncio
from typing import Any

import grpc

from libs.runtime.rpc_connections import PENDING_MAX, Options, channel_options, server_options

_PATH = "/test.Watch/Changes"
_KEEPALIVE_S = 0.2
_IDLE_S = 5.0


class _Silent(grpc.GenericRpcHandler):
    """A stream that says one thing, then nothing for long, then another."""

    def service(self, _details: Any) -> Any:
        async def stream(_request: bytes, context: Any) -> None:
            await context.write(b"first")
            await asyncio.sleep(_IDLE_S)
            await context.write(b"second")

        return grpc.unary_stream_rpc_method_handler(stream)


async def _watch(server_has: Options) -> list[bytes]:
    server = grpc.aio.server(options=(("grpc.so_reuseport", 0), *server_has))
    server.add_generic_rpc_handlers((_Silent(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    options = (("grpc.use_local_subchannel_pool", 1), *channel_options(_KEEPALIVE_S))
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
            return [answer async for answer in channel.unary_stream(_PATH)(b"", timeout=20)]
    finally:
        await server.stop(0)


async def test_an_idle_stream_outlives_the_pings_that_keep_it() -> None:
    """A watch of a quiet campaign says nothing for an hour; it is no attack.

    A server with gRPC's defaults ends such a stream, which is why servers and channels take their
    arguments from one place, and how one sees that this waits for long enough.
    """
    ours, defaults = await asyncio.gather(
        _watch(server_options(keepalive_s=_KEEPALIVE_S)), _watch(()), return_exceptions=True
    )

    assert ours == [b"first", b"second"]
    assert isinstance(defaults, grpc.aio.AioRpcError)
    assert defaults.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_burst_larger_than_grpcs_own_queue_is_not_dropped() -> None:
    """Above 1,000 calls that nobody looked at yet gRPC drops some, as CANCELLED."""

    class Echo(grpc.GenericRpcHandler):
        def service(self, _details: Any) -> Any:
            async def echo(request: bytes, _context: Any) -> bytes:
                return request

            return grpc.unary_unary_rpc_method_handler(echo)

    server = grpc.aio.server(options=(("grpc.so_reuseport", 0), *server_options()))
    server.add_generic_rpc_handlers((Echo(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary("/test.Echo/Echo")
        burst = 2_500
        assert 1_000 < burst < PENDING_MAX

        answers = await asyncio.gather(
            *(call(b"%d" % number, timeout=60) for number in range(burst)), return_exceptions=True
        )

        assert answers == [b"%d" % number for number in range(burst)]
    await server.stop(0)
