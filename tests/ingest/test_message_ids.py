import pytest
from bluetick.v1 import common_pb2 as pb
from bluetick.v1 import ingest_service_pb2 as ingest

from libs.runtime.accounts import Account, Accounts
from libs.runtime.message_ids import ANSWERED, names_of
from services.ingest.domain.reading import Reading
from services.ingest.domain.smtp_codes import smtp_codes
from services.ingest.providers.registry import BY_NAME
from services.ingest.record_engagements import record_engagements
from services.ingest.record_messages import record_messages
from tests.ingest.email_callbacks import NOW_US
from tests.ingest.test_record_outside_callback import Sink


@pytest.mark.parametrize(
    ("provider", "told", "shown"),
    [
        ("sendgrid", "abc.filter0001.1.2.0", "abc"),
        ("sendgrid", "abc.recvd-5d9-1-64B", "abc"),
        (
            "sendgrid",
            "14c5d75ce93.dfd.64b469.filter0001.16648.5515E0B88.0",
            "14c5d75ce93.dfd.64b469",
        ),
        ("sendgrid", "<14c5d75ce93.dfd.64b469@ismtpd-555>", "14c5d75ce93.dfd.64b469"),
        ("sendgrid", "abc.filter0001/Jane <jane@example.net>", "abc/jane@example.net"),
        ("mailgun", "<1.2@mg.example.com>", "1.2@mg.example.com"),
        ("ses", "<id-1@eu-west-1.amazonses.com>", "id-1/Ann@Example.net"),
        ("ses", "id-1/Jane@Example.net", "id-1/Jane@Example.net"),
        ("postmark", "<A-1@mtasv.net>", "A-1"),
        ("meta", "wamid.<A>/1", "wamid.<A>/1"),
    ],
)
def test_an_id_is_shown_without_what_only_wraps_it(provider: str, told: str, shown: str) -> None:
    """A provider answers a send with one spelling and reports with another."""
    names = names_of("demo", provider, "", told, "Ann@Example.net")

    assert names.shown == shown
    assert names_of("demo", provider, "", shown, "ann@example.net").key == names.key


# Spellings of one message's name, by provider: (account, id, recipient).
SPELLINGS = {
    "meta": [("", "wamid.HBg/A=", ""), ("x", "wamid.HBg/A=", "+4915100000001")],
    "dialog360": [("", "wamid.G/4915100000001", ""), ("", "wamid.G/+4915100000001", "")],
    "twilio": [("", "SM" + "ab" * 16, ""), ("y", "sm" + "AB" * 16, "+1555")],
    "gupshup": [("", "0a1b2c3d-0000-4000-8000-00000000000a", ""),
                ("", "0A1B2C3D-0000-4000-8000-00000000000A", "")],
    "vonage": [("", "aaaaaaaa-0000-4000-8000-00000000000b", ""),
               ("", "AAAAAAAA-0000-4000-8000-00000000000B", "")],
    "infobip": [("", "m-1", "Kim@Mail.example"), ("", "m-1", "kim@mail.example")],
    "messagebird": [("", "e1/31612345678", ""), ("", "e1/+31612345678", ""),
                    ("", "e1/0031612345678", "")],
    "sinch": [("", "01B/46700000001", ""), ("", "01B/+46 70 000 00 01", "")],
    "generic": [("smpp", "5F3A1B", ""), ("smpp", "6240795", ""), ("smpp", "0005f3a1b", ""),
                ("smpp", "0006240795", ""), ("smpp", "0x5F3A1B", "")],
    "sendgrid": [("", "wrfRRvF7Q0GgwUo2CvDmEA", "Kim@Mail.example"),
                 ("", "wrfRRvF7Q0GgwUo2CvDmEA.filter0199p1las1.4745.0", "kim@mail.example"),
                 ("", "<wrfRRvF7Q0GgwUo2CvDmEA@ismtpd0006p1sjc2.sendgrid.net>",
                  "Kim <kim@mail.example>"),
                 ("", "wrfRRvF7Q0GgwUo2CvDmEA.recvd-5b6594c664-csn64-1/KIM@mail.example", "")],
    "sendgrid's older ids": [
        ("", "15a0b3c4d5e.77f.1a2b3c", "kim@mail.example"), ("", "15a0b3c4d5e", "kim@mail.example"),
        ("", "<15a0b3c4d5e.77f.1a2b3c@ismtpd-12>", "Kim@mail.example"),
        ("", "15a0b3c4d5e.77f.1a2b3c.filter-9.21.4.0", "kim@mail.example"),
        ("", "15a0b3c4d5e.77f.1a2b3c.new-name-1.2", "kim@mail.example")],
    "ses": [("", "0102-a", "kim@mail.example"), ("", "0102-a/Kim@mail.example", ""),
            ("", "<0102-a@eu-west-1.amazonses.com>", "KIM@MAIL.EXAMPLE"),
            ("", "0102-a@email.amazonses.com", "Kim <kim@mail.example>")],
    "mailgun": [("", "<2026.1@mg.example.net>", "kim@mail.example"),
                ("", "2026.1@mg.example.net", "Kim@mail.example")],
    "postmark": [("", "883953f4-6105-42a2-a16a-77a8eac79483", "kim@mail.example"),
                 ("", "<883953F4-6105-42A2-A16A-77A8EAC79483@mtasv.net>", "Kim@mail.example")],
    "resend": [("", "56761188-7520-42d8-8898-ff6fc54ce618", "kim@mail.example"),
               ("", "56761188-7520-42D8-8898-FF6FC54CE618", "KIM@mail.example")],
    "brevo": [("", "<202611.1@smtp-relay.mailin.fr>", "kim@mail.example"),
              ("", "202611.1@smtp-relay.mailin.fr", "Kim@mail.example")],
    "azure": [("", "00000000-0000-0000-0000-00000000000c", "kim@mail.example"),
              ("", "00000000-0000-0000-0000-00000000000C", "KIM@mail.example")],
}  # fmt: skip


def test_every_provider_has_spellings_to_be_compared() -> None:
    """A new one is not forgotten here."""
    assert {name.partition("'")[0] for name in SPELLINGS} == BY_NAME.keys()


@pytest.mark.parametrize("source", SPELLINGS)
async def test_every_spelling_names_the_same_message_in_records_acts_and_callbacks(
    source: str,
) -> None:
    """One key, whoever writes it: the sender's record, the sender's act, the reader."""
    keys = set()
    provider = source.partition("'")[0]
    accounts = Accounts([Account(provider=provider, account="smpp", tenant="demo")])
    is_email = "@" in str(SPELLINGS[source])
    for account, message_id, recipient in SPELLINGS[source]:
        sink = Sink()
        record = ingest.MessageRecord(
            message_ref="r", provider=provider, account=account, provider_message_id=message_id,
            address=recipient or ("kim@mail.example" if is_email else "+4915100000001"),
            channel=pb.CHANNEL_EMAIL if is_email else pb.CHANNEL_SMS, accepted={},
        )  # fmt: skip
        act = ingest.EngagementRecord(
            kind=ingest.ENGAGEMENT_KIND_CLICK, engagement_id="1", provider=provider,
            account=account, provider_message_id=message_id, address=record.address,
        )  # fmt: skip
        await record_messages(
            ingest.RecordMessagesRequest(messages=[record]), tenant_id="demo", now_us=NOW_US,
            events=sink, accounts=accounts,
        )  # fmt: skip
        await record_engagements(
            ingest.RecordEngagementsRequest(engagements=[act]), tenant_id="demo", now_us=NOW_US,
            events=sink, accounts=accounts,
        )  # fmt: skip
        reading = Reading(
            tenant_id="demo", provider=provider, account=account or "smpp", receive_time_us=NOW_US
        )
        read = reading.add(pb.EVENT_KIND_DELIVERED, NOW_US)
        reading.name_message(read, message_id, record.address)
        keys |= {batch.events[0].message_key for batch in sink.batches} | {read.message_key}

    assert len(keys) == 1


def test_ids_of_two_accounts_are_two_messages_where_the_provider_says_no_more() -> None:
    """Two message centres count from one; UUIDs are nobody else's."""
    first, second = (names_of("demo", "generic", name, "1") for name in ("a", "b"))
    here, there = (names_of("demo", "meta", name, "wamid.1") for name in ("a", "b"))

    assert first.key != second.key
    assert here.key == there.key


@pytest.mark.parametrize(
    ("id_format", "answered", "reported", "is_same"),
    [
        ("auto", "12345678", "12345678", True),
        ("hex_decimal", "12345678", "305419896", True),
        ("decimal_hex", "305419896", "12345678", True),
        ("hex", "00ab", "AB", True),
        ("decimal", "0010", "10", True),
        ("exact", "AB", "ab", False),
        ("auto", "id-A", "ID-a", True),
        # Too long for a number of a message centre: a text.
        ("auto", "f" * 17, "F" * 17, True),
    ],
)
def test_an_account_may_say_how_its_centre_writes_ids(
    id_format: str, answered: str, reported: str, is_same: bool
) -> None:
    """An id of digits only may be either; its look alone cannot tell."""
    sent = names_of("demo", "generic", "a", answered, id_format=id_format, side=ANSWERED)
    told = names_of("demo", "generic", "a", reported, id_format=id_format)

    assert (sent.key == told.key) == is_same


async def test_a_record_without_account_is_of_the_only_one_or_refused() -> None:
    """Where ids are unique in one account only, a guess would mix two messages."""
    record = ingest.MessageRecord(
        message_ref="r", provider="generic", provider_message_id="1", address="+4915100000001",
        channel=pb.CHANNEL_SMS, accepted={},
    )  # fmt: skip
    one = Account(provider="generic", account="a", tenant="demo")
    others = [
        Account(provider="generic", account="b", tenant="demo"),
        Account(provider="generic", account="c", tenant="another"),
    ]
    request = ingest.RecordMessagesRequest(messages=[record])
    sink = Sink()

    await record_messages(
        request, tenant_id="demo", now_us=NOW_US, events=sink, accounts=Accounts([one, others[1]])
    )
    refused = await record_messages(
        request, tenant_id="demo", now_us=NOW_US, events=sink, accounts=Accounts([one, *others])
    )

    assert sink.batches[0].events[0].account == "a"
    assert [rejection.reason for rejection in refused.rejections] == ["ACCOUNT_AMBIGUOUS"]
    assert "account" in refused.rejections[0].detail


async def test_records_are_keyed_as_callbacks_are() -> None:
    """Else a message and its reports would never meet."""
    sink = Sink()
    record = ingest.MessageRecord(
        message_ref="ref-1", provider="mailgun", provider_message_id="<a@b>",
        address="jane@example.net", channel=pb.CHANNEL_EMAIL, accepted={},
    )  # fmt: skip
    act = ingest.EngagementRecord(
        kind=ingest.ENGAGEMENT_KIND_CLICK, engagement_id="1", provider="mailgun",
        provider_message_id="a@b", address="Jane@example.net",
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
