"""Hands one stream, answer by answer, from the service that owns it to its caller.

A stream ends in words: when the service ends it, when it has lived as long as streams do, when
this gateway stops. The call behind is ended with it: gRPC does not do that by itself.
"""

import asyncio
import random
from typing import Any

from libs.runtime.rpc_context import STREAM_LIFE
from libs.runtime.rpc_errors import RpcError
from libs.runtime.rpc_streams import ServerDraining
from services.gateway.answer_error import StreamAged
from services.gateway.domain.deadlines import DeadlineLimits, timeout_of
from services.gateway.receive_call import Reception
from services.gateway.upstream_port import StreamCall, UpstreamPort

# For a caller who reads: the answer on its way arrives before the words. One who has stopped
# reading never gets them; this is how long the gateway keeps the stream for that.
_UNREAD_S = 10.0
# Streams that began together end together; their callers need not come back together.
_RETRY_S = (0.1, 2.0)


class _Ending:
    """Ends a stream from outside its own course, with words for the caller."""

    def __init__(self, stream: StreamCall, life_s: float) -> None:
        self.words: RpcError | None = None
        self.is_cut = False
        self._stream = stream
        self._task = asyncio.current_task()
        self._loop = asyncio.get_running_loop()
        self._life_s = life_s
        self._timer = self._loop.call_later(life_s, self.age)

    def age(self) -> None:
        """Its life is over."""
        self._say(
            StreamAged(
                f"A stream lives {self._life_s:g} s; call again, and resume after what you have.",
                metadata={"life_s": f"{self._life_s:g}"},
                retry_s=random.uniform(*_RETRY_S),  # noqa: S311 spreads load, hides nothing
            )
        )

    def drain(self) -> None:
        """The gateway stops; another one takes the stream."""
        self._say(ServerDraining(random.uniform(*_RETRY_S)))  # noqa: S311 as above

    def _say(self, words: RpcError) -> None:
        if self.words is None:
            self.words = words
            self._timer.cancel()
            self._timer = self._loop.call_later(_UNREAD_S, self._cut)
            # Reading from it ends; an answer that is being written to the caller is not broken.
            self._stream.cancel()

    def _cut(self) -> None:
        self.is_cut = True
        if self._task is not None:
            self._task.cancel()

    def close(self) -> None:
        """Nothing is left to end."""
        self._timer.cancel()
        self._stream.cancel()


class StreamForwarder:
    """Forwards the calls of one RPC with many answers."""

    def __init__(
        self, reception: Reception, *, upstreams: UpstreamPort, limits: DeadlineLimits
    ) -> None:
        self._reception = reception
        self._upstreams = upstreams
        self._limits = limits
        # The service ends the stream before we would, with its own last words.
        self._life = ((STREAM_LIFE, f"{limits.stream_max_s:g}"),)

    async def forward(self, request: bytes, context: Any) -> None:
        """Forward a stream at the pace at which its caller reads."""
        reception = self._reception
        call = reception.begin(context)
        try:
            metadata = await reception.admit(call, context) + self._life
            if reception.drain.is_draining:
                raise ServerDraining
            timeout_s = timeout_of(context.time_remaining(), self._limits, is_stream=True)
            start = self._upstreams.stream(reception.route.path)
            await self._pass_on(start(request, timeout=timeout_s, metadata=metadata), context)
            call.code = "OK"
        except Exception as error:
            await reception.fail(context, error, call)
        finally:
            reception.end(call)

    async def _pass_on(self, stream: StreamCall, context: Any) -> None:
        ending = _Ending(stream, self._limits.stream_max_s)
        drain = ending.drain
        self._reception.drain.open_stream(drain)
        try:
            async for response in stream:
                await context.write(response)
        except asyncio.CancelledError:
            # Ours, or the caller's, who gets no words any more.
            if ending.words is None or ending.is_cut:
                raise
            raise ending.words from None
        finally:
            self._reception.drain.close_stream(drain)
            ending.close()
