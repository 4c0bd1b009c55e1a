"""A steady load whose truth is known: all are delivered, every second one is read."""

import asyncio
import time

import grpc
from bluetick.v1 import common_pb2 as pb
from bluetick.v1 import ingest_service_pb2 as ingest
from google.protobuf.timestamp_pb2 import Timestamp

from tests.system.outside import Outside, envelope, status

START = 1_790_000_000
_PART = 50


class Load:
    """Sends like a sender and a provider: again and again until it is answered OK."""

    def __init__(
        self, outside: Outside, campaign_id: str, pause_s: float = 0.0, begin: int = 0
    ) -> None:
        """Tell a campaign; ``begin``: so many of its messages were told before."""
        self._outside = outside
        self._pause_s = pause_s
        self._stopped = asyncio.Event()
        self.campaign_id = campaign_id
        self.message_count = begin

    async def run_for(self, seconds: float, workers: int = 4) -> None:
        """Send for some time."""
        asyncio.get_running_loop().call_later(seconds, self.stop)
        await self.until_stopped(workers)

    def stop(self) -> None:
        """Begin nothing more; what was begun is told to its end."""
        self._stopped.set()

    async def until_stopped(self, workers: int = 4) -> None:
        """Send until ``stop``."""

        async def work() -> None:
            while not self._stopped.is_set():
                first = self.message_count
                self.message_count += _PART
                await self._part(range(first, first + _PART))
                await asyncio.sleep(self._pause_s)

        await asyncio.gather(*(work() for _ in range(workers)))

    def wamid(self, number: int) -> str:
        """Return the provider's id of a message."""
        return f"wamid.{self.campaign_id}.{number}"

    def counters(self) -> dict[str, int]:
        """Return what a report must say."""
        count = self.message_count
        read = len(range(0, count, 2))
        return {
            "targeted": count,
            "sent": count,
            "delivered": count,
            "read": read,
            "pending": 0,
            "undelivered": 0,
            "dropped": 0,
            "people_targeted": count,
            "people_reached": count,
        }

    async def _part(self, numbers: range) -> None:
        """Records and callbacks race each other, as they do in the world."""
        words = [
            ("sent", numbers),
            ("delivered", numbers),
            ("read", [n for n in numbers if n % 2 == 0]),
        ]
        bodies = [
            envelope(statuses=[status(self.wamid(n), word, START + n % 900) for n in chosen])
            for word, chosen in words
        ]
        await asyncio.gather(
            self._record(numbers),
            *(self._outside.callback_until_taken(body) for body in reversed(bodies)),
        )

    async def _record(self, numbers: range) -> None:
        records = [
            ingest.MessageRecord(
                message_ref=f"{self.campaign_id}-{number}",
                campaign_id=self.campaign_id,
                contact_id=f"person-{number}",
                address=f"+49170{number:07}",
                channel=pb.CHANNEL_WHATSAPP,
                provider="meta",
                account="acct_1",
                provider_message_id=self.wamid(number),
                accepted=ingest.Accepted(accept_time=Timestamp(seconds=START)),
            )
            for number in numbers
        ]
        request = ingest.RecordMessagesRequest(messages=records)
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                answer = await self._outside.call(
                    self._outside.ingest.RecordMessages, request, "sender"
                )
                assert answer.recorded_count == len(records), answer
                return
            except grpc.aio.AioRpcError as error:
                assert error.code() in (
                    grpc.StatusCode.UNAVAILABLE,
                    grpc.StatusCode.DEADLINE_EXCEEDED,
                ), error
                await asyncio.sleep(0.1)
        raise AssertionError("the records were never taken")
