"""Reads the operator's quarantine, and puts messages back onto the streams that they came from."""

from collections.abc import AsyncIterator
from typing import Final

import msgspec
import nats.errors
from nats.js.errors import Error as JetStreamError
from nats.js.errors import NotFoundError

from libs.runtime.broker import Broker, BrokerUnavailable
from libs.runtime.set_aside import ORIGINAL, REASON, SEQUENCE, SERVICE, STORED_US, STREAM, SUBJECT
from libs.runtime.streams import SET_ASIDE_STREAM

# Sequences looked at for one page: those that were put back are no longer there.
_LOOKS_MAX: Final = 10_000
# The broker's own; they would be about another publish.
_NOT_REPEATED: Final = ("Nats-",)


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """One message that was set aside."""

    seq: int  # in SET_ASIDE; never reused
    service: str
    stream: str
    stream_seq: int
    subject: str
    stored_time_us: int
    reason: str
    body: bytes
    headers: dict[str, str]  # those that it had


class SetAsideShelf:
    """The stream SET_ASIDE."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def newest(self, before_seq: int | None) -> AsyncIterator[Kept]:
        """Yield messages, newest first; ``before_seq``: only older ones.

        Raises:
            BrokerUnavailable: the broker does not answer.
        """
        first, last = await self._ends()
        seq = last if before_seq is None else min(last, before_seq - 1)
        for looked in range(seq, max(first, seq - _LOOKS_MAX, 1) - 1, -1):
            if (kept := await self.read(looked)) is not None:
                yield kept

    async def oldest(self, limit: int) -> list[int]:
        """Return the sequences of the oldest messages."""
        first, last = await self._ends()
        found: list[int] = []
        for looked in range(max(first, 1), min(last, first + _LOOKS_MAX) + 1):
            if len(found) == limit:
                break
            if await self.read(looked) is not None:
                found.append(looked)
        return found

    async def read(self, seq: int) -> Kept | None:
        """Return one message, None if it is not there (any more)."""
        try:
            found = await self._broker.jetstream.get_msg(SET_ASIDE_STREAM, seq)
        except NotFoundError:
            return None
        except (JetStreamError, nats.errors.Error, OSError) as error:
            raise BrokerUnavailable(f"SET_ASIDE: {type(error).__name__}") from error
        told = found.headers or {}
        return Kept(
            seq=seq,
            service=told.get(SERVICE, ""),
            stream=told.get(STREAM, ""),
            stream_seq=int(told.get(SEQUENCE, "0")),
            subject=told.get(SUBJECT, ""),
            stored_time_us=int(told.get(STORED_US, "0")),
            reason=told.get(REASON, ""),
            body=found.data or b"",
            headers={
                name.removeprefix(ORIGINAL): value
                for name, value in told.items()
                if name.startswith(ORIGINAL)
            },
        )

    async def put_back(self, kept: Kept) -> None:
        """Publish a message to its stream again, then let go of it.

        Whoever is killed in between leaves it here, and it is put back twice: its consumers take
        the same content any number of times. It says where it was before.

        Raises:
            BrokerUnavailable: it stays.
        """
        headers = {
            name: value
            for name, value in kept.headers.items()
            if not name.startswith(_NOT_REPEATED)
        }
        headers |= {STREAM: kept.stream, SEQUENCE: str(kept.stream_seq)}
        await self._broker.publish(
            kept.subject,
            kept.body,
            msg_id=f"set-aside:{kept.seq}",
            stream=kept.stream,
            headers=headers,
        )
        try:
            await self._broker.jetstream.delete_msg(SET_ASIDE_STREAM, kept.seq)
        except NotFoundError:
            return
        except (JetStreamError, nats.errors.Error, OSError) as error:
            raise BrokerUnavailable(f"SET_ASIDE: {type(error).__name__}") from error

    async def count(self) -> int:
        """Return how many messages there are."""
        try:
            return (await self._broker.jetstream.stream_info(SET_ASIDE_STREAM)).state.messages
        except (JetStreamError, nats.errors.Error, OSError) as error:
            raise BrokerUnavailable(f"SET_ASIDE: {type(error).__name__}") from error

    async def _ends(self) -> tuple[int, int]:
        try:
            state = (await self._broker.jetstream.stream_info(SET_ASIDE_STREAM)).state
        except (JetStreamError, nats.errors.Error, OSError) as error:
            raise BrokerUnavailable(f"SET_ASIDE: {type(error).__name__}") from error
        return state.first_seq, state.last_seq
