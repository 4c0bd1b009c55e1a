import json
from base64 import b64encode
from typing import Any

import pytest
from bluetick.v1 import common_pb2 as pb
from bluetick.v1.event_pb2 import Event

from libs.runtime.accounts import Account
from services.ingest.domain.reading import Reading
from services.ingest.providers.postmark import KIND_BY_BOUNCE, Postmark
from services.ingest.providers.provider import CREDENTIAL, UNPROVEN, Authentic, Refused
from tests.ingest.email_callbacks import JANE, NOW_US, account, events, post, quarantined

MESSAGE_ID = "883953f4-6105-42a2-a16a-77a8eac79483"
AT = "2026-08-04T23:19:00.1234567-04:00"
AT_US = NOW_US - 60_000_000 + 123_456


def dump(record: str, **fields: Any) -> bytes:
    """A webhook; a field that is None is left out."""
    told = {"RecordType": record, "MessageID": MESSAGE_ID, **fields}
    return json.dumps({name: value for name, value in told.items() if value is not None}).encode()


def one(record: str, **fields: Any) -> Event:
    (event,) = events(Postmark(), dump(record, **fields))
    return event


def bounce(named: str, **fields: Any) -> Event:
    told = {"Type": named, "Email": JANE, "BouncedAt": AT, "ID": 4323372036854775808}
    return one("Bounce", **{**told, **fields})


def basic(text: str) -> dict[str, str]:
    return {"authorization": "Basic " + b64encode(text.encode()).decode()}


OWNER = account("postmark", {"basic_user": ["hook"], "basic_pass": ["new", "old"]})
BY_HEADER = account("postmark", {"header": ["X-Hook-Token: a-token", "X-Hook-Token: another"]})
BY_QUERY = account("postmark", {"query_token": ["t0k"]})
OPEN = account("postmark", unproven="accept")


@pytest.mark.parametrize(
    ("owner", "headers", "query", "verdict"),
    [
        (OWNER, basic("hook:new"), "", CREDENTIAL),
        (OWNER, basic("hook:old"), "", CREDENTIAL),
        (OWNER, {"authorization": "basic " + b64encode(b"hook:old").decode()}, "", CREDENTIAL),
        (OWNER, basic("hook:wrong"), "", Refused("CREDENTIAL_WRONG")),
        (OWNER, basic("other:new"), "", Refused("CREDENTIAL_WRONG")),
        (OWNER, basic("hook:"), "", Refused("CREDENTIAL_WRONG")),
        (OWNER, {"authorization": "Basic ?é"}, "", Refused("CREDENTIAL_WRONG")),
        (OWNER, {"authorization": "Bearer new"}, "", Refused("CREDENTIAL_MISSING")),
        (OWNER, {}, "", Refused("CREDENTIAL_MISSING")),
        (BY_HEADER, {"x-hook-token": "a-token"}, "", CREDENTIAL),
        (BY_HEADER, {"x-hook-token": "another"}, "", CREDENTIAL),
        (BY_HEADER, {"x-hook-token": "a-tokenx"}, "", Refused("CREDENTIAL_WRONG")),
        (BY_HEADER, {"x-hook-token": "é\x00"}, "", Refused("CREDENTIAL_WRONG")),
        (BY_HEADER, basic("hook:new"), "", Refused("CREDENTIAL_MISSING")),
        (BY_QUERY, {}, "token=t0k", CREDENTIAL),
        (BY_QUERY, {}, "a=1&token=t0k", CREDENTIAL),
        (BY_QUERY, {}, "token=wrong", Refused("CREDENTIAL_WRONG")),
        (BY_QUERY, {}, "token=", Refused("CREDENTIAL_MISSING")),
        (BY_QUERY, {}, "&".join("a=1" for _ in range(100)), Refused("CREDENTIAL_MISSING")),
        (OPEN, {}, "", UNPROVEN),
        (account("postmark", {"basic_pass": [""]}), {}, "", Refused("SECRET_NOT_CONFIGURED", 503)),
    ],
)
def test_the_credential_in_the_address_proves_a_callback(
    owner: Account, headers: dict[str, str], query: str, verdict: Authentic | Refused
) -> None:
    """Postmark signs nothing; any live credential of any kind is enough, and none is guessed."""
    callback = post("postmark", dump("Delivery"), headers=headers, query=query)

    assert Postmark().authenticate(callback, owner) == verdict


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"a": 1}', b"\xff", b'{"RecordType": ""}'])
def test_without_a_credential_only_postmarks_form_is_taken(body: bytes) -> None:
    """Anybody can post, and quarantine must not fill with it."""
    refused = Postmark().parse(post("postmark", body), OPEN)
    kept = Postmark().parse(post("postmark", body), OWNER)
    taken = Postmark().parse(post("postmark", dump("Delivery")), OPEN)

    assert refused == Refused("BODY_NOT_OF_THE_FORM", 400)
    assert isinstance(kept, Reading)
    assert len(kept.batch.quarantined) == 1
    assert isinstance(taken, Reading)


@pytest.mark.parametrize(
    ("record", "fields", "kind"),
    [
        ("Delivery", {"Recipient": JANE, "DeliveredAt": AT}, pb.EVENT_KIND_DELIVERED),
        ("Bounce", {"Email": JANE, "BouncedAt": AT, "Type": "HardBounce"},
         pb.EVENT_KIND_UNDELIVERED),
        ("Open", {"Recipient": JANE, "ReceivedAt": AT}, pb.EVENT_KIND_READ),
        ("Click", {"Recipient": JANE, "ReceivedAt": AT}, pb.EVENT_KIND_CLICKED),
        ("SpamComplaint", {"Email": JANE, "BouncedAt": AT}, pb.EVENT_KIND_COMPLAINED),
        ("SubscriptionChange", {"Recipient": JANE, "ChangedAt": AT, "SuppressSending": False},
         pb.EVENT_KIND_RESUBSCRIBED),
        ("Tomorrow", {"Recipient": JANE, "ReceivedAt": AT}, pb.EVENT_KIND_UNKNOWN),
    ],
)  # fmt: skip
def test_each_record_has_its_kind_and_its_time(
    record: str, fields: dict[str, Any], kind: int
) -> None:
    """Each record has the time under another name, with an offset and seven digits."""
    event = one(record, **fields)

    assert event.kind == kind
    assert (event.provider_message_id, event.address) == (MESSAGE_ID, JANE)
    assert (event.occur_time_us, event.is_time_clamped) == (AT_US, False)
    assert bool(event.raw) == (record == "Tomorrow")


@pytest.mark.parametrize(
    ("named", "kind"),
    [
        ("HardBounce", pb.EVENT_KIND_UNDELIVERED),
        ("SoftBounce", pb.EVENT_KIND_UNDELIVERED),
        ("Undeliverable", pb.EVENT_KIND_UNDELIVERED),
        ("Unconfirmed", pb.EVENT_KIND_UNDELIVERED),
        ("Unknown", pb.EVENT_KIND_UNDELIVERED),
        ("VirusNotification", pb.EVENT_KIND_UNDELIVERED),
        ("Transient", pb.EVENT_KIND_DEFERRED),
        ("DnsError", pb.EVENT_KIND_DEFERRED),
        ("OpenRelayTest", pb.EVENT_KIND_DEFERRED),
        ("BadEmailAddress", pb.EVENT_KIND_DROPPED),
        ("ManuallyDeactivated", pb.EVENT_KIND_DROPPED),
        ("Blocked", pb.EVENT_KIND_DROPPED),
        ("DMARCPolicy", pb.EVENT_KIND_DROPPED),
        ("SMTPApiError", pb.EVENT_KIND_DROPPED),
        ("TemplateRenderingFailed", pb.EVENT_KIND_DROPPED),
        ("AutoResponder", pb.EVENT_KIND_INFO),
        ("AddressChange", pb.EVENT_KIND_INFO),
        ("ChallengeVerification", pb.EVENT_KIND_INFO),
        ("InboundError", pb.EVENT_KIND_INFO),
        ("SpamNotification", pb.EVENT_KIND_COMPLAINED),
        ("SpamComplaint", pb.EVENT_KIND_COMPLAINED),
        ("Unsubscribe", pb.EVENT_KIND_UNSUBSCRIBED),
        ("Subscribe", pb.EVENT_KIND_RESUBSCRIBED),
        ("Tomorrow", pb.EVENT_KIND_UNKNOWN),
    ],
)
def test_each_type_of_bounce_has_its_kind(named: str, kind: int) -> None:
    """Not everything that is called a bounce is one, and not every bounce is final."""
    event = bounce(named, Details="smtp;450 4.2.2")

    assert (named in KIND_BY_BOUNCE) == (kind != pb.EVENT_KIND_UNKNOWN)
    assert (event.kind, event.provider_word) == (kind, named)
    is_failure = kind in (pb.EVENT_KIND_UNDELIVERED, pb.EVENT_KIND_DROPPED)
    assert bool(event.reason) == is_failure
    assert event.reason != pb.FAILURE_REASON_UNMAPPED
    if is_failure or kind == pb.EVENT_KIND_DEFERRED:
        assert (event.provider_code, event.detail) == (named, "smtp;450 4.2.2")


@pytest.mark.parametrize(
    ("suppressed", "named", "kind"),
    [
        (True, "ManualSuppression", pb.EVENT_KIND_UNSUBSCRIBED),
        (True, "SpamComplaint", pb.EVENT_KIND_COMPLAINED),
        (True, "HardBounce", pb.EVENT_KIND_UNDELIVERED),
        (True, "Tomorrow", pb.EVENT_KIND_UNKNOWN),
        (True, None, pb.EVENT_KIND_UNKNOWN),
        (False, None, pb.EVENT_KIND_RESUBSCRIBED),
        (False, "HardBounce", pb.EVENT_KIND_RESUBSCRIBED),
        ("yes", "ManualSuppression", pb.EVENT_KIND_UNKNOWN),
    ],
)
def test_a_suppression_is_an_opt_out_only_if_the_person_left(
    suppressed: object, named: str | None, kind: int
) -> None:
    """After a hard bounce Postmark stops sending, too, and nobody opted out."""
    event = one("SubscriptionChange", Recipient=JANE, ChangedAt=AT, Origin="Recipient",
                SuppressSending=suppressed, SuppressionReason=named)  # fmt: skip

    assert event.kind == kind
    if kind == pb.EVENT_KIND_UNSUBSCRIBED:
        assert event.engagement.act_id
        assert event.detail == "Recipient"


def test_a_suppression_by_hand_belongs_to_no_message() -> None:
    """Its id is all zeros, and would tie strangers to one message."""
    event = one("SubscriptionChange", MessageID="00000000-0000-0000-0000-000000000000",
                Recipient=JANE, ChangedAt=AT, SuppressSending=True,
                SuppressionReason="ManualSuppression")  # fmt: skip

    assert (event.message_key, event.address) == (b"", JANE)


def test_a_complaint_told_twice_is_one() -> None:
    """It comes by itself, and again as the suppression that follows."""
    first = one("SpamComplaint", Email=JANE, BouncedAt=AT, ID=7)
    second = one("SubscriptionChange", Recipient=JANE, ChangedAt="2026-08-05T03:19:30Z",
                 SuppressSending=True, SuppressionReason="SpamComplaint")  # fmt: skip

    assert first.engagement.act_id == second.engagement.act_id == "complaint"


def test_clicks_differ_by_link_and_time() -> None:
    """Postmark gives clicks no id."""
    told = {"Recipient": JANE, "ReceivedAt": AT, "OriginalLink": "https://x.test/a"}
    first, again = one("Click", **told), one("Click", **told)
    other = one("Click", **{**told, "OriginalLink": "https://x.test/b"})
    later = one("Click", **{**told, "ReceivedAt": "2026-08-05T03:19:01Z"})

    assert first.engagement.url == "https://x.test/a"
    assert first.engagement.act_id == again.engagement.act_id
    ids = {event.engagement.act_id for event in (first, other, later)}
    assert len(ids) == 3


def test_an_open_is_a_read_and_a_second_open_another_event() -> None:
    """The earliest of them is when it was read."""
    first = one("Open", Recipient=JANE, ReceivedAt=AT, FirstOpen=True, UserAgent="Mozilla/5.0")
    machine = one("Open", Recipient=JANE, ReceivedAt=AT, UserAgent="Barracuda Link Protect")

    assert (first.kind, first.detail) == (pb.EVENT_KIND_READ, "pixel")
    assert not first.HasField("engagement")
    assert machine.engagement.is_machine
    assert machine.engagement.act_id


def test_the_reference_is_metadata() -> None:
    """Metadata comes back with every event."""
    event = one("Delivery", DeliveredAt=AT, Metadata={"message_ref": "ref-1", "x": "y"})

    assert event.message_ref == "ref-1"


def _inbound(**fields: Any) -> bytes:
    told = {
        "From": f"Jane <{JANE}>",
        "FromFull": {"Email": JANE, "Name": "Jane"},
        "MessageID": "in-1",
        "Date": "Wed, 5 Aug 2026 05:19:00 +0200",
        "TextBody": "Unsubscribe me from this list, please",
        "Headers": [{"Name": "In-Reply-To", "Value": f"<{MESSAGE_ID}@mtasv.net>"}],
        **fields,
    }
    return json.dumps(told).encode()


@pytest.mark.parametrize("fields", [{}, {"RecordType": "Inbound"}])
def test_an_answer_finds_its_message(fields: dict[str, Any]) -> None:
    """Older inbound webhooks have no record type."""
    (reply,) = events(Postmark(), _inbound(**fields))

    assert (reply.kind, reply.address) == (pb.EVENT_KIND_REPLIED, JANE)
    assert reply.provider_message_id == MESSAGE_ID
    assert reply.engagement.act_id == "in-1"
    assert (reply.occur_time_us, reply.is_time_clamped) == (NOW_US - 60_000_000, False)


def test_an_answer_to_something_else_names_no_message() -> None:
    """The header is the sender's, and may name a message of anybody."""
    headers = [{"Name": "In-Reply-To", "Value": "<a@b>"}, 5, {"Name": None}]

    (reply,) = events(Postmark(), _inbound(Headers=headers, Date="soon"))

    assert reply.message_key == b""
    assert (reply.occur_time_us, reply.is_time_untold) == (NOW_US, True)


def test_a_whole_text_that_says_stop_is_an_opt_out() -> None:
    """The same people who tap "unsubscribe" answer by mail."""
    reply, opt_out = events(Postmark(), _inbound(StrippedTextReply="STOP"))

    assert (reply.kind, opt_out.kind) == (pb.EVENT_KIND_REPLIED, pb.EVENT_KIND_UNSUBSCRIBED)


@pytest.mark.parametrize(
    "header",
    [("Auto-Submitted", "auto-replied"), ("Precedence", "auto_reply"), ("X-Autoreply", "yes")],
)
def test_an_answering_machine_is_no_reply(header: tuple[str, str]) -> None:
    """Half of a campaign's answers are holidays."""
    (event,) = events(Postmark(), _inbound(Headers=[{"Name": header[0], "Value": header[1]}]))

    assert event.kind == pb.EVENT_KIND_INFO


@pytest.mark.parametrize(
    ("body", "reasons"),
    [
        (b"", ["BODY_NOT_JSON"]),
        (b"[]", ["BODY_NOT_AN_OBJECT"]),
        (b"{}", ["EVENT_MISSING"]),
        (dump("Delivery", Recipient="x" * 600), ["ID_TOO_LONG"]),
        (dump("Delivery", Recipient="a\x00"), ["INVALID_TEXT"]),
        (dump("Delivery", MessageID="\ud800"), ["INVALID_TEXT"]),
    ],
)
def test_what_cannot_be_read_is_kept(body: bytes, reasons: list[str]) -> None:
    """It is authentic, so it is never thrown away."""
    assert quarantined(Postmark(), body) == reasons
