"""Millions of stored messages, brought in by the product's own way as fast as it takes them."""

from __future__ import annotations

import asyncio
import time
from uuid import uuid4

from bluetick.v1 import common_pb2, event_pb2

from libs.bench.broker_control import BrokerControl
from libs.runtime.broker import CHANGES_STREAM, EVENTS_STREAM, EVENTS_SUBJECT
from libs.runtime.keys import message_key, person_key
from libs.simulator.truth import COUNTERS, Truth

_MESSAGES_A_BATCH = 250
_MESSAGES_A_BLOCK = 100_000  # published, then worked off, then forgotten by the streams
_BLOCK_MAX_S = 900.0
_SILENT_EVERY = 20  # every so many-th message is never delivered
# Stand-ins of the lengths of what is filled in: the wire format has lengths before its strings.
_NUMBER = "0000000000"
_KEY = bytes(range(1, 17))
_PERSON = bytes(range(101, 117))


class StoredMessages:
    """Messages recorded and, but for every twentieth, delivered; told together, like a record
    that comes with its first callbacks. The first `campaign_messages` are of one campaign.
    """

    def __init__(self, control: BrokerControl, tenant_id: str, campaign_messages: int) -> None:
        self._control = control
        self._tenant_id = tenant_id
        self._campaign_messages = campaign_messages
        self._name = f"bench-stored-{time.time_ns()}"
        self._now_us = time.time_ns() // 1000
        self.count = 0

    @property
    def campaign_id(self) -> str:
        """The large campaign."""
        return f"{self._name}-0"

    def truth(self) -> dict[str, Truth]:
        """What the report of the large campaign must say by now."""
        count = min(self.count, self._campaign_messages)
        silent = -(-count // _SILENT_EVERY)
        told = dict.fromkeys(
            ("targeted", "sent", "addressable", "attempts", "people_targeted"), count
        )
        told |= dict.fromkeys(("delivered", "people_reached"), count - silent)
        told |= {"pending": silent}
        return {self.campaign_id: Truth({name: told.get(name, 0) for name in COUNTERS}, {})}

    async def grow_to(self, count: int) -> float:
        """Store until there are so many; returns the seconds.

        Raises:
            NotDrained: a block of messages was not worked off in fifteen minutes.
        """
        started = time.monotonic()
        while self.count < count:
            block = range(self.count, min(count, self.count + _MESSAGES_A_BLOCK))
            payloads = await asyncio.to_thread(self._payloads, block)
            # The next block is written while this one is worked off; two are the most on disk.
            await self._control.drain(EVENTS_STREAM, _BLOCK_MAX_S)
            await self._control.forget(EVENTS_STREAM)
            await self._control.forget(CHANGES_STREAM)
            await self._control.publish(EVENTS_SUBJECT, payloads)
            self.count = block.stop
        await self._control.drain(EVENTS_STREAM, _BLOCK_MAX_S)
        await self._control.drain(CHANGES_STREAM, _BLOCK_MAX_S)
        return time.monotonic() - started

    def _payloads(self, block: range) -> list[bytes]:
        forms: dict[str, tuple[bytes, bytes]] = {}
        payloads = []
        for start in range(block.start, block.stop, _MESSAGES_A_BATCH):
            parts = []
            for message in range(start, min(start + _MESSAGES_A_BATCH, block.stop)):
                campaign_id = f"{self._name}-{message // self._campaign_messages}"
                if campaign_id not in forms:
                    forms[campaign_id] = self._forms(campaign_id)
                parts += self._events(message, forms[campaign_id])
            head = event_pb2.EventBatch(batch_id=uuid4().hex).SerializeToString()
            payloads.append(head + b"".join(parts))
        return payloads

    def _events(self, message: int, forms: tuple[bytes, bytes]) -> list[bytes]:
        number = f"{message:010d}"
        key = message_key(self._tenant_id, "meta", f"wamid.{self._name}.{number}")
        person = person_key(self._tenant_id, f"{self._name}.{number}")
        recorded, delivered = (
            form.replace(_NUMBER.encode(), number.encode())
            .replace(_KEY, key)
            .replace(_PERSON, person)
            for form in forms
        )
        return [recorded] if message % _SILENT_EVERY == 0 else [recorded, delivered]

    def _forms(self, campaign_id: str) -> tuple[bytes, bytes]:
        """A record and a delivery as parts of a batch, with stand-ins."""
        delivered = event_pb2.Event(
            message_key=_KEY,
            kind=common_pb2.EVENT_KIND_DELIVERED,
            tenant_id=self._tenant_id,
            provider="meta",
            account="acct_1",
            provider_message_id=f"wamid.{self._name}.{_NUMBER}",
            occur_time_us=self._now_us - 3_000_000,
            receive_time_us=self._now_us,
            address=f"+49{_NUMBER}",
        )
        recorded = event_pb2.Event()
        recorded.CopyFrom(delivered)
        recorded.kind = common_pb2.EVENT_KIND_ACCEPTED
        recorded.occur_time_us = self._now_us - 5_000_000
        recorded.message_ref = f"{self._name}.{_NUMBER}"
        recorded.registration.CopyFrom(
            event_pb2.Registration(
                campaign_id=campaign_id,
                contact_id=f"{self._name}.{_NUMBER}",
                channel=common_pb2.CHANNEL_WHATSAPP,
                sender="+15550100200",
                template="spring_sale",
                language="de",
                category="marketing",
                variant="A",
                country="DE",
                person_key=_PERSON,
            )
        )
        parts = (event_pb2.EventBatch(events=[event]) for event in (recorded, delivered))
        recorded_part, delivered_part = (part.SerializeToString() for part in parts)
        return recorded_part, delivered_part
