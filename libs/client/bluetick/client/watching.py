"""Changes over gRPC: one watch after the other, each from where the one before had come."""

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import grpc
from bluetick.client.errors import CallFailed, ChangesMissed
from bluetick.client.memory import Memory
from bluetick.v1.change_pb2 import MessageChanged
from bluetick.v1.message_service_pb2 import WatchChangesRequest, WatchChangesResponse

# A sign of life comes every 15 s; without one for so long the connection only looks alive.
_SILENCE_MAX_S: Final = 50.0
_PAUSE_S: Final = (0.05, 0.2, 0.5, 1.0, 2.0)
# What waiting does not mend. INVALID_ARGUMENT and the like: the next try would be told the same.
_FINAL: Final = frozenset(
    (
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.FAILED_PRECONDITION,
    )
)


@dataclass(frozen=True, slots=True)
class Answer:
    """Changes that came together, with the place behind them."""

    changes: Sequence[MessageChanged]
    """None: a sign of life."""
    cursor: str
    """Keep it together with what you did about the changes: from there on nothing is missing."""
    complete_until_time: datetime | None
    """Every change behind what was answered OK before this time was given; None: not known."""


class Changes:
    """Changes as they come: ``async for change in changes``, or ``changes.answers()``."""

    def __init__(self, method: Any, request: WatchChangesRequest, memory: int) -> None:
        self._method = method
        self._request = request
        self._memory = Memory(memory)

    @property
    def cursor(self) -> str:
        """The place behind everything that you are done with.

        A change counts as done when the next one is asked for; the place moves when all changes of
        an answer are. After a crash some changes may come again from there, none is missing.
        """
        return self._request.cursor

    async def __aiter__(self) -> AsyncIterator[MessageChanged]:
        """Give each change once."""
        async with aclosing(self._responses()) as responses:
            async for response in responses:
                for change in response.changes:
                    if not self._memory.knows(change):
                        yield change
                        self._memory.keep(change)
                self._done(response)

    async def answers(self) -> AsyncIterator[Answer]:
        """Give changes as they come together, signs of life included.

        Raises:
            ChangesMissed: the stream no longer has what comes next.
            CallFailed: the key, or the request, is refused.
        """
        async with aclosing(self._responses()) as responses:
            async for response in responses:
                fresh = [one for one in response.changes if not self._memory.knows(one)]
                yield Answer(fresh, response.cursor, _time(response))
                for change in fresh:
                    self._memory.keep(change)
                self._done(response)

    def _done(self, response: WatchChangesResponse) -> None:
        self._request.cursor = response.cursor
        self._request.ClearField("start_time")

    async def _responses(self) -> AsyncGenerator[WatchChangesResponse, None]:
        failures = 0
        while True:
            try:
                async with aclosing(self._watch()) as responses:
                    async for response in responses:
                        failures = 0
                        yield response
            except grpc.aio.AioRpcError as error:
                failure = error if isinstance(error, CallFailed) else CallFailed(error, "")
                if failure.code() is grpc.StatusCode.OUT_OF_RANGE:
                    raise ChangesMissed(failure) from None
                if failure.code() in _FINAL:
                    raise failure from None
                pause_s = _PAUSE_S[min(failures, len(_PAUSE_S) - 1)]
                failures += 1
                await asyncio.sleep(
                    max(pause_s * random.uniform(0.5, 1.0), failure.retry_s or 0.0)  # noqa: S311
                )
            except TimeoutError:
                continue  # silent for too long: by another connection

    async def _watch(self) -> AsyncGenerator[WatchChangesResponse, None]:
        call = self._method(self._request)
        try:
            while True:
                response = await asyncio.wait_for(call.read(), _SILENCE_MAX_S)
                if response is grpc.aio.EOF:
                    code = await call.code()
                    if code is not grpc.StatusCode.OK:
                        raise grpc.aio.AioRpcError(
                            code,
                            await call.initial_metadata(),
                            await call.trailing_metadata(),
                            await call.details(),
                        )
                    return
                yield response
        finally:
            call.cancel()


def _time(response: WatchChangesResponse) -> datetime | None:
    if not response.HasField("complete_until_time"):
        return None
    return response.complete_until_time.ToDatetime(tzinfo=UTC)
