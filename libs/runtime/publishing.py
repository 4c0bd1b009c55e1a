"""Publishing with an answer that is heard: stored, refused (at once), or silence (in time).

The client library's own asynchronous publish loses what a refusal says: building the error raises
it, inside a callback where nobody hears it, and the publisher waits for its time-out.
"""

import asyncio
import itertools
from typing import Final

import msgspec
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from libs.runtime.outages import Outage

_NO_RESPONDERS: Final = "503"


class BrokerUnavailable(Outage):
    """The broker did not acknowledge. Whether it stored the message is unknown: send it again."""


class BrokerRefused(BrokerUnavailable):
    """The broker answered with an error: it is not stored. Later, or with more room, it may be."""

    def __init__(self, code: int, error_code: int, text: str) -> None:
        super().__init__(f"{text} ({error_code or code})")
        self.code = code
        # See https://github.com/nats-io/nats-server/blob/main/server/errors.json
        self.error_code = error_code


class _Problem(msgspec.Struct):
    code: int = 0
    err_code: int = 0
    description: str = ""


class Stored(msgspec.Struct):
    """The broker's acknowledgement."""

    stream: str = ""
    seq: int = 0
    duplicate: bool = False
    error: _Problem | None = None


_decode: Final = msgspec.json.Decoder(Stored).decode


class Publisher:
    """All publishes of one connection that wait for an answer, on one inbox."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._prefix = ""
        self._numbers = itertools.count(1)
        self._waiting: dict[str, asyncio.Future[Stored]] = {}

    @property
    def waiting_count(self) -> int:
        """Publishes that have no answer yet."""
        return len(self._waiting)

    async def open(self) -> None:
        """Listen for answers."""
        self._prefix = self._client.new_inbox() + "."
        await self._client.subscribe(f"{self._prefix}*", cb=self._hear)

    async def publish(
        self, subject: str, payload: bytes, headers: dict[str, str], timeout_s: float
    ) -> Stored:
        """Publish and return the acknowledgement: it is on disk.

        Raises:
            BrokerRefused: the broker says no, at once.
            BrokerUnavailable: no answer within ``timeout_s``.
        """
        reply = f"{self._prefix}{next(self._numbers)}"
        future: asyncio.Future[Stored] = asyncio.get_running_loop().create_future()
        self._waiting[reply] = future
        try:
            async with asyncio.timeout(timeout_s):
                await self._client.publish(subject, payload, reply=reply, headers=headers)
                return await future
        except (TimeoutError, nats.errors.Error, OSError) as error:
            raise BrokerUnavailable(f"{type(error).__name__}: {error}") from error
        finally:
            del self._waiting[reply]

    def give_up(self, why: str) -> None:
        """Fail all that wait: no answer can come any more."""
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(BrokerUnavailable(why))

    async def _hear(self, message: Msg) -> None:
        # Nothing may escape from here: an exception in a callback is heard by nobody.
        future = self._waiting.get(message.subject)
        if future is None or future.done():
            return
        try:
            future.set_result(stored(message))
        except BrokerUnavailable as error:
            future.set_exception(error)


def stored(message: Msg) -> Stored:
    """Return what the broker answered to a publish.

    Raises:
        BrokerRefused: it says no.
        BrokerUnavailable: nobody stores that subject, or the answer cannot be read.
    """
    if not message.data and (message.headers or {}).get("Status") == _NO_RESPONDERS:
        raise BrokerUnavailable("no stream takes this subject")
    try:
        answer = _decode(message.data)
    except msgspec.MsgspecError as error:
        raise BrokerUnavailable(f"the answer cannot be read: {error}") from error
    if answer.error is not None:
        problem = answer.error
        raise BrokerRefused(problem.code, problem.err_code, problem.description)
    return answer
