import pytest
from bluetick.v1 import common_pb2 as pb
from bluetick.v1 import ingest_service_pb2 as ingest

from services.ingest.domain.message_ids import canonical_id
from services.ingest.domain.smtp_codes import smtp_codes
from services.ingest.record_engagements import record_engagements
from services.ingest.record_messages import record_messages
from tests.ingest.email_callbacks import NOW_US
from tests.ingest.test_record_outside_callback import Sink


@pytest.mark.parametrize(
    ("provider", "told", "recipient", "key"),
    [
        ("sendgrid", "abc.filter0001.1.2.0", "", "abc"),
        ("sendgrid", "abc.recvd-5d9-1-64B", "", "abc"),
        ("sendgrid", "abc", "jane@example.net", "abc"),
        ("sendgrid", "abc.filter0001/Jane <jane@example.net>", "", "abc/jane@example.net"),
        ("mailgun", "<1.2@mg.example.com>", "", "1.2@mg.example.com"),
        ("mailgun", "1.2@mg.example.com", "", "1.2@mg.example.com"),
        ("ses", "id-1", "jane@example.net", "id-1/jane@example.net"),
        ("ses", "id-1/Jane@Example.net", "jane@example.net", "id-1/Jane@Example.net"),
        ("ses", "id-1", "", "id-1"),
        ("ses", "/", "", "/"),
        ("postmark", "a.b/<c>", "", "a.b/<c>"),
        ("meta", "wamid.<A>/1", "", "wamid.<A>/1"),
    ],
)
def test_an_id_has_one_form(provider: str, told: str, recipient: str, key: str) -> None:
    """A provider answers a send with one spelling and reports with another."""
    assert canonical_id(provider, told, recipient) == key
    assert canonical_id(provider, key, recipient) == key


async def test_records_are_keyed_as_callbacks_are() -> None:
    """Else a message and its reports would never meet."""
    sink = Sink()
    record = ingest.MessageRecord(
        message_ref="ref-1", provider="mailgun", provider_message_id="<a@b>",
        address="jane@example.net", channel=pb.CHANNEL_EMAIL, accepted={},
    )  # fmt: skip
    act = ingest.EngagementRecord(
        kind=ingest.ENGAGEMENT_KIND_CLICK, engagement_id="1", provider="mailgun",
        provider_message_id="a@b",
    )  # fmt: skip

    await record_messages(
        ingest.RecordMessagesRequest(messages=[record]), tenant_id="demo", now_us=NOW_US,
        events=sink,
    )  # fmt: skip
    await record_engagements(
        ingest.RecordEngagementsRequest(engagements=[act]), tenant_id="demo", now_us=NOW_US,
        events=sink,
    )  # fmt: skip

    recorded, clicked = (batch.events[0] for batch in sink.batches)
    assert recorded.provider_message_id == clicked.provider_message_id == "a@b"
    assert recorded.message_key == clicked.message_key


@pytest.mark.parametrize(
    ("text", "exact", "vague"),
    [
        ("550 5.1.1 no such user", ["5.1.1", "5.1.x"], ["550"]),
        ("smtp; 421 4.4.1 busy", ["4.4.1", "4.4.x"], ["421"]),
        ("5.0.0", [], ["5.0.0"]),
        ("554", [], ["554"]),
        ("250 2.0.0 OK", [], []),
        ("from 5.1.1.7, 10.5.1.1 and 1550 or v4.5", [], []),
        ("", [], []),
    ],
)
def test_codes_are_found_in_what_servers_say(text: str, exact: list[str], vague: list[str]) -> None:
    """An address or a count must not be taken for one."""
    assert smtp_codes(text) == (exact, vague)
