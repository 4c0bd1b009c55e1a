"""Senders' records with good defaults, and a sink that keeps what it is given."""

from typing import Any

from bluetick.v1 import common_pb2 as pb
from bluetick.v1.event_pb2 import EventBatch
from bluetick.v1.ingest_service_pb2 import (
    ENGAGEMENT_KIND_CLICK,
    Accepted,
    Dropped,
    EngagementRecord,
    MessageRecord,
)
from google.protobuf.timestamp_pb2 import Timestamp

from libs.runtime.broker import BrokerUnavailable

NOW_US = 1_785_900_000_000_000
AT = Timestamp(seconds=1_785_899_000)


class KeptEvents:
    """Takes events at once, or says that the broker is away."""

    def __init__(self, *, is_away: bool = False) -> None:
        self.batch = EventBatch()
        self._is_away = is_away

    async def submit(self, batch: EventBatch) -> None:
        if self._is_away:
            raise BrokerUnavailable("away")
        self.batch.MergeFrom(batch)


def a_record(**fields: Any) -> MessageRecord:
    """A record without an outcome."""
    given: dict[str, Any] = {
        "message_ref": "ref-1",
        "campaign_id": "camp-1",
        "contact_id": "contact-1",
        "address": "+14155550101",
        "channel": pb.CHANNEL_WHATSAPP,
        "provider": "meta",
        "account": "acct_1",
        **fields,
    }
    return MessageRecord(**given)


def an_accepted(**fields: Any) -> MessageRecord:
    """A record of a message that the provider took."""
    accepted = fields.pop("accepted", Accepted(accept_time=AT))
    return a_record(accepted=accepted, **{"provider_message_id": "wamid.1", **fields})


def a_dropped(*, provider_code: str = "", **fields: Any) -> MessageRecord:
    """A record of a message that was never handed over."""
    dropped = fields.pop("dropped", Dropped(drop_time=AT, provider_code=provider_code))
    return a_record(dropped=dropped, **fields)


def an_engagement(**fields: Any) -> EngagementRecord:
    """A click."""
    given: dict[str, Any] = {
        "engagement_id": "act-1",
        "kind": ENGAGEMENT_KIND_CLICK,
        "message_ref": "ref-1",
        "occur_time": AT,
        **fields,
    }
    return EngagementRecord(**given)
