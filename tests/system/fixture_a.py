"""The acceptance campaign: 12 messages for 11 people, and what happened to them.

P1 has two numbers, so two messages. P11's number is malformed, P10 is refused with a rate limit.
P8 and P9 stay pending, P7 fails. P5 and P6 have read receipts off.
"""

from dataclasses import dataclass, field

from bluetick.v1 import common_pb2 as pb
from bluetick.v1 import ingest_service_pb2 as ingest
from google.protobuf.timestamp_pb2 import Timestamp

from tests.system.outside import envelope, status

START = 1_790_000_000
SENT = ["P1a", "P1b", "P2", "P3", "P4", "P5", "P6", "P7", "P8", "P9"]
DELIVERED = ["P1a", "P1b", "P2", "P3", "P4", "P5", "P6"]
READ = ["P1a", "P2", "P3", "P4"]
CLICKS = [("P2", "L1"), ("P2", "L1"), ("P2", "L2"), ("P3", "L1"), ("P5", "L2")]

COUNTERS = {
    "targeted": 12,
    "addressable": 11,
    "dropped": 2,
    "sent": 10,
    "delivered": 7,
    "undelivered": 1,
    "pending": 2,
    "queued": 0,
    "failed": 3,
    "failed_addressable": 2,
    "read": 4,
    "read_inferred": 6,
    "clicks": 5,
    "clicked": 3,
    "unique_link_clicks": 4,
    "replies": 3,
    "replied": 2,
    "repliers": 2,
    "quick_reply_taps": 1,
    "unsubscribed": 1,
    "people_targeted": 11,
    "people_reached": 6,
}
RATES = {
    "sent_per_targeted": (10, 12),
    "sent_per_addressable": (10, 11),
    "delivered_per_sent": (7, 10),
    "delivered_per_targeted": (7, 12),
    "failed_per_targeted": (3, 12),
    "failed_addressable_per_addressable": (2, 11),
    "pending_per_targeted": (2, 12),
    "read_per_delivered": (4, 7),
    "read_per_sent": (4, 10),
    "clicks_per_delivered": (5, 7),
    "clicked_per_delivered": (3, 7),
    "quick_reply_taps_per_delivered": (1, 7),
    "interactions_per_delivered": (4, 7),
    "repliers_per_delivered": (2, 7),
    "replies_per_delivered": (3, 7),
    "unsubscribed_per_delivered": (1, 7),
}


@dataclass
class FixtureA:
    """One copy of the campaign, with ids of its own."""

    campaign_id: str
    records: list[ingest.MessageRecord] = field(default_factory=list)
    engagements: list[ingest.EngagementRecord] = field(default_factory=list)
    callbacks: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Write the scenario down."""
        for number, name in enumerate(SENT):
            record = self._record(name, number)
            record.provider_message_id = self.wamid(name)
            record.accepted.accept_time.CopyFrom(Timestamp(seconds=START + number))
            self.records.append(record)
        self._drop("P10", "130429", 10)
        malformed = self._drop("P11", "", 11)
        malformed.address = "0170-12"
        malformed.dropped.reason = pb.FAILURE_REASON_INVALID_PHONE_NUMBERS
        self._engage()
        self._call_back()

    def wamid(self, name: str) -> str:
        """Return the provider's id of a message."""
        return f"wamid.{self.campaign_id}.{name}"

    def ref(self, name: str) -> str:
        """Return the sender's id of a message."""
        return f"{self.campaign_id}-{name}"

    def _record(self, name: str, number: int) -> ingest.MessageRecord:
        person = "P1" if name in ("P1a", "P1b") else name
        return ingest.MessageRecord(
            message_ref=self.ref(name),
            campaign_id=self.campaign_id,
            contact_id=f"{self.campaign_id}-{person}",
            address=f"+4917010000{number:02}",
            channel=pb.CHANNEL_WHATSAPP,
            provider="meta",
            account="acct_1",
            template="spring",
            language="de",
            category="marketing",
        )

    def _drop(self, name: str, code: str, number: int) -> ingest.MessageRecord:
        record = self._record(name, number)
        record.dropped.drop_time.CopyFrom(Timestamp(seconds=START + number))
        record.dropped.provider_code = code
        self.records.append(record)
        return record

    def _engage(self) -> None:
        for number, (name, link) in enumerate(CLICKS):
            self.engagements.append(
                ingest.EngagementRecord(
                    engagement_id=f"{self.campaign_id}-click-{number}",
                    kind=ingest.ENGAGEMENT_KIND_CLICK,
                    message_ref=self.ref(name),
                    link_id=link,
                    url=f"https://example.com/{link}",
                    occur_time=Timestamp(seconds=START + 5_000 + number),
                )
            )
        self.engagements.append(
            ingest.EngagementRecord(
                engagement_id=f"{self.campaign_id}-stop",
                message_ref=self.ref("P3"),
                kind=ingest.ENGAGEMENT_KIND_UNSUBSCRIBE,
                occur_time=Timestamp(seconds=START + 6_000),
            )
        )

    def _call_back(self) -> None:
        def say(name: str, word: str, after: int, **more: object) -> None:
            self.callbacks.append(
                envelope(statuses=[status(self.wamid(name), word, START + after, **more)])
            )

        for name in SENT:
            say(name, "sent", 60)
        for name in DELIVERED:
            say(name, "delivered", 120)
        for name in READ:
            say(name, "read", 300)
        say("P7", "failed", 90, errors=[{"code": 131049, "title": "Not delivered"}])
        context = {"from": "4915900000001"}
        for name, number, more in (
            ("P4", 1, {"type": "button", "button": {"payload": "YES", "text": "Yes"}}),
            ("P4", 2, {"type": "text", "text": {"body": "Sounds good"}}),
            ("P6", 3, {"type": "text", "text": {"body": "Who is this?"}}),
        ):
            self.callbacks.append(
                envelope(
                    messages=[
                        {
                            "from": "491701000004",
                            "id": f"wamid.{self.campaign_id}.in{number}",
                            "timestamp": str(START + 900 + number),
                            "context": {**context, "id": self.wamid(name)},
                            **more,
                        }
                    ]
                )
            )
