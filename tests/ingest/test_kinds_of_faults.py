"""Kinds of faults that were seen in the field, each in every provider where it can occur."""

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

import pytest
from bluetick.v1 import common_pb2 as pb
from bluetick.v1 import ingest_service_pb2 as ingest
from bluetick.v1.event_pb2 import (
    CALLBACK_PROOF_CREDENTIAL,
    CALLBACK_PROOF_NOTHING,
    Event,
)

from libs.runtime.accounts import Account, Accounts
from services.ingest.domain.long_messages import shared_by_parts
from services.ingest.domain.reading import Reading
from services.ingest.providers.azure import Azure
from services.ingest.providers.dialog360 import Dialog360
from services.ingest.providers.generic import Generic
from services.ingest.providers.gupshup import Gupshup
from services.ingest.providers.infobip import Infobip
from services.ingest.providers.mailgun import Mailgun
from services.ingest.providers.messagebird import MessageBird
from services.ingest.providers.meta import Meta
from services.ingest.providers.postmark import Postmark
from services.ingest.providers.provider import Provider
from services.ingest.providers.registry import BY_NAME
from services.ingest.providers.resend import Resend
from services.ingest.providers.sendgrid import SendGrid
from services.ingest.providers.ses import Ses
from services.ingest.providers.sinch import Sinch
from services.ingest.providers.twilio import Twilio
from services.ingest.providers.vonage import Vonage
from services.ingest.try_callback import try_callback
from tests.ingest.provider_readings import AT, AT_US, NOW_S, NOW_US, Reader, without

PERSON = "491511234567"
OURS = "4930901820"
ISO = "2026-08-05T03:19:00.000Z"


def read(provider: Provider, body: Any, **options: str) -> Reading:
    """What an authentic callback says; proof is another test's."""
    reader = Reader(provider, secrets={}, options=options)
    form = urlencode(body).encode() if isinstance(body, dict) and "form" in options else body
    reading = provider.parse(reader.callback(form), reader.account)
    assert isinstance(reading, Reading), reading
    return reading


def events(provider: Provider, body: Any, **options: str) -> list[Event]:
    """The events of a body that is readable to the last item."""
    reading = read(provider, body, **options)
    assert not reading.batch.quarantined, reading.batch.quarantined
    return list(reading.batch.events)


def form(**fields: str) -> bytes:
    """A form; a name with a dash is written with "__"."""
    return urlencode({name.replace("__", "-"): value for name, value in fields.items()}).encode()


# ---- inbound messages of every source, with a text in them


def _meta(text: str, **fields: Any) -> dict[str, Any]:
    message = {"id": "wamid.IN", "timestamp": str(AT), "from": PERSON, "type": "text",
               "text": {"body": text}, **fields}  # fmt: skip
    value = {"messaging_product": "whatsapp", "metadata": {"display_phone_number": OURS},
             "messages": [message]}  # fmt: skip
    change = {"field": "messages", "value": value}
    return {"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [change]}]}


def _gupshup(text: str, **fields: Any) -> dict[str, Any]:
    payload = {"id": "in", "source": PERSON, "destination": OURS, "type": "text",
               "payload": {"text": text}, **fields}  # fmt: skip
    return {"app": "A", "timestamp": AT * 1_000, "version": 2, "type": "message",
            "payload": payload}  # fmt: skip


def _infobip(text: str, **fields: Any) -> dict[str, Any]:
    return {"results": [{"messageId": "in", "from": PERSON, "to": OURS, "receivedAt": ISO,
                         "smsCount": 1, "text": text, **fields}]}  # fmt: skip


def _sinch(text: str, **fields: Any) -> dict[str, Any]:
    message = {"id": "in", "direction": "TO_APP", "sender_id": OURS, **fields,
               "contact_message": {"text_message": {"text": text}},
               "channel_identity": {"channel": "SMS", "identity": PERSON}}  # fmt: skip
    return {"event_time": ISO, "message": message}


def _telnyx(text: str) -> dict[str, Any]:
    payload = {"id": "in", "from": {"phone_number": f"+{PERSON}"}, "text": text,
               "to": [{"phone_number": f"+{OURS}", "status": "webhook_delivered"}],
               "received_at": ISO}  # fmt: skip
    return {"data": {"event_type": "message.received", "occurred_at": ISO, "payload": payload}}


def _bandwidth(text: str) -> list[dict[str, Any]]:
    message = {"id": "in", "from": f"+{PERSON}", "to": [f"+{OURS}"], "text": text, "time": ISO}
    return [{"type": "message-received", "time": ISO, "to": f"+{OURS}", "message": message}]


def _bird(text: str) -> dict[str, Any]:
    payload = {"id": "in", "sender": {"contact": {"identifierValue": f"+{PERSON}"}},
               "receiver": {"connector": {"identifierValue": f"+{OURS}"}},
               "body": {"type": "text", "text": {"text": text}}, "createdAt": ISO}  # fmt: skip
    return {"service": "channels", "event": "sms.inbound", "payload": payload}


def _azure(text: str) -> list[dict[str, Any]]:
    data = {"messageId": "in", "from": f"+{PERSON}", "to": f"+{OURS}", "message": text,
            "receivedTimestamp": ISO}  # fmt: skip
    return [{"eventType": "Microsoft.Communication.SMSReceived", "eventTime": ISO, "data": data}]


INBOUND: dict[str, tuple[Provider, Any, dict[str, str]]] = {
    "meta": (Meta(), _meta, {}),
    "dialog360": (Dialog360(), _meta, {}),
    "gupshup v3": (Gupshup(), lambda text: {**_meta(text), "gs_app_id": "a"}, {}),
    "gupshup v2": (Gupshup(), _gupshup, {}),
    "gupshup enterprise": (
        Gupshup(),
        lambda text: form(waNumber=OURS, mobile=PERSON, type="text", text=text, messageId="in",
                          timestamp=str(AT * 1_000)),
        {},
    ),
    "infobip": (Infobip(), _infobip, {}),
    "infobip whatsapp": (
        Infobip(),
        lambda text: without(_infobip("")["results"][0], "text")
        | {"integrationType": "WHATSAPP", "message": {"type": "TEXT", "text": text}},
        {},
    ),
    "infobip mms": (
        Infobip(),
        lambda text: _infobip("", message=[
            {"contentType": "image/png", "url": "https://x"},
            {"contentType": "text/plain", "value": text}]),
        {},
    ),
    "infobip messages api": (
        Infobip(),
        lambda text: without(_infobip("")["results"][0], "text")
        | {"event": "MO", "content": [{"type": "IMAGE"}, {"type": "TEXT", "text": text}]},
        {},
    ),
    "vonage": (
        Vonage(),
        lambda text: {"channel": "sms", "message_uuid": "in", "from": PERSON, "to": OURS,
                      "timestamp": ISO, "message_type": "text", "text": text},
        {},
    ),
    "vonage sms": (
        Vonage(),
        lambda text: form(msisdn=PERSON, to=OURS, messageId="in", type="text", text=text,
                          message__timestamp="2026-08-05 03:19:00"),
        {},
    ),
    "messagebird": (
        MessageBird(),
        lambda text: form(originator=PERSON, recipient=OURS, id="in", body=text,
                          createdDatetime="2026-08-05T03:19:00Z"),
        {},
    ),
    "messagebird conversations": (
        MessageBird(),
        lambda text: {"type": "message.created", "contact": {"msisdn": PERSON},
                      "message": {"id": "in", "direction": "received", "status": "received",
                                  "type": "text", "content": {"text": text},
                                  "createdDatetime": ISO}},
        {},
    ),
    "bird": (MessageBird(), _bird, {}),
    "sinch": (Sinch(), _sinch, {}),
    "sinch redacted": (
        Sinch(),
        lambda text: {"event_time": ISO, "message_redaction": _sinch(text)["message"]},
        {},
    ),
    "sinch sms": (
        Sinch(),
        lambda text: {"type": "mo_text", "id": "in", "from": PERSON, "to": OURS, "body": text,
                      "received_at": ISO},
        {},
    ),
    "sinch mms": (
        Sinch(),
        lambda text: {"type": "mo_media", "id": "in", "from": PERSON, "to": OURS,
                      "body": {"message": text, "media": []}, "received_at": ISO},
        {},
    ),
    "twilio": (
        Twilio(),
        lambda text: form(MessageSid="SM1", SmsStatus="received", From=f"+{PERSON}",
                          To=f"+{OURS}", Body=text, NumMedia="1"),
        {},
    ),
    "telnyx": (Generic(), _telnyx, {}),
    "bandwidth": (Generic(), _bandwidth, {}),
    "plivo": (
        Generic(),
        lambda text: form(From=PERSON, To=OURS, Type="sms", Text=text, MessageUUID="in"),
        {},
    ),
    "clickatell": (
        Generic(),
        lambda text: {"messageId": "in", "fromNumber": PERSON, "toNumber": OURS, "text": text,
                      "timestamp": AT * 1_000},
        {},
    ),
    "africastalking": (
        Generic(),
        lambda text: form(**{"from": f"+{PERSON}"}, linkId="l", text=text, to=OURS, id="in",
                          date="2026-08-05 03:19:00"),
        {},
    ),
    "kannel": (
        Generic(),
        lambda text: form(sender=f"+{PERSON}", message=text, ts=str(AT), id="in", to=OURS),
        {"preset": "kannel"},
    ),
    "jasmin": (
        Generic(),
        lambda text: form(id="in", **{"from": PERSON}, to=OURS, origin__connector="c",
                          content=text, priority="1", coding="0"),
        {},
    ),
    "smpp": (
        Generic(),
        lambda text: {"message_id": "in", "source_addr": PERSON, "destination_addr": OURS,
                      "short_message": text},
        {"preset": "smpp"},
    ),
    "azure": (Azure(), _azure, {}),
}  # fmt: skip
inbound_everywhere = pytest.mark.parametrize("source", INBOUND)


def inbound(source: str, text: str, **options: str) -> list[Event]:
    provider, body, own = INBOUND[source]
    return events(provider, body(text), **own, **options)


def is_ours(address: str) -> bool:
    return address.removeprefix("+") in (OURS, "") or address == "l"


@inbound_everywhere
def test_an_inbound_message_names_its_person_and_our_number(source: str) -> None:
    """The last message to that person, from our number that was written to, may be meant."""
    (reply,) = inbound(source, "hello")

    assert (reply.kind, reply.address) == (pb.EVENT_KIND_REPLIED, f"+{PERSON}")
    assert is_ours(reply.own_address)
    assert not reply.message_key
    assert reply.engagement.act_id
    assert reply.occur_time_us == AT_US or reply.is_time_untold


@inbound_everywhere
@pytest.mark.parametrize("text", ["STOP", "Stop. Thank you", "STOP 36111", "unsubscribe me pls"])
def test_an_opt_out_with_a_little_more_text_counts_in_every_source(source: str, text: str) -> None:
    """In MMS, in a later part, in whatever interface."""
    reply, left = inbound(source, text)

    assert (reply.kind, left.kind) == (pb.EVENT_KIND_REPLIED, pb.EVENT_KIND_UNSUBSCRIBED)
    assert left.address == reply.address
    assert left.engagement.act_id == f"{reply.engagement.act_id}/stop"


@inbound_everywhere
def test_an_opt_out_behind_the_accounts_keyword_counts_in_every_source(source: str) -> None:
    """On a shared number the keyword only routes the message."""
    assert len(inbound(source, "SHOP STOP", keywords="shop, sale")) == 2
    assert len(inbound(source, "SHOP STOP")) == 1
    assert len(inbound(source, "SHOP hello", keywords="shop")) == 1


CAPTIONS: dict[str, tuple[Provider, Any]] = {
    "meta": (Meta(), lambda text: _meta("", type="image", image={"id": "1", "caption": text})),
    "gupshup": (Gupshup(), lambda text: _gupshup("", type="image", payload={
        "url": "https://x", "caption": text})),
    "infobip": (Infobip(), lambda text: _infobip("", message={
        "type": "VIDEO", "url": "https://x", "caption": text})),
    "vonage": (Vonage(), lambda text: {
        "channel": "whatsapp", "message_uuid": "in", "from": PERSON, "to": OURS,
        "timestamp": ISO, "message_type": "image", "image": {"url": "x", "caption": text}}),
    "vonage mms": (Vonage(), lambda text: {
        "channel": "mms", "message_uuid": "in", "from": PERSON, "to": OURS, "timestamp": ISO,
        "message_type": "content", "content": [{"type": "image", "url": "x"},
                                               {"type": "text", "text": text}]}),
    "messagebird conversations": (MessageBird(), lambda text: {
        "type": "message.created", "contact": {"msisdn": PERSON},
        "message": {"id": "in", "direction": "received", "type": "image",
                    "content": {"image": {"url": "x", "caption": text}},
                    "createdDatetime": ISO}}),
    "bird": (MessageBird(), lambda text: {
        **_bird(""), "payload": {**_bird("")["payload"],
                                 "body": {"type": "image", "image": {"caption": text}}}}),
    "azure": (Azure(), lambda text: [{
        "id": "1", "eventTime": ISO,
        "eventType": "Microsoft.Communication.AdvancedMessageReceived",
        "data": {"messageId": "in", "channelKind": "whatsapp", "messageType": "image",
                 "from": PERSON, "to": OURS, "receivedTimestamp": ISO,
                 "media": {"id": "1", "mimeType": "image/jpeg", "caption": text}}}]),
    "sinch": (Sinch(), lambda text: {"event_time": ISO, "message": {
        **_sinch("")["message"],
        "contact_message": {"media_card_message": {"url": "x", "caption": text}}}}),
}  # fmt: skip


@pytest.mark.parametrize("source", CAPTIONS)
def test_an_opt_out_beside_a_picture_counts(source: str) -> None:
    """Whoever answers by a picture writes beneath it."""
    provider, body = CAPTIONS[source]

    kinds = [event.kind for event in events(provider, body("STOP"))]

    assert kinds == [pb.EVENT_KIND_REPLIED, pb.EVENT_KIND_UNSUBSCRIBED]
    assert len(events(provider, body("my receipt"))) == 1


@pytest.mark.parametrize("options", [{}, {"preset": "africastalking"}])
def test_a_notice_that_somebody_left_is_an_opt_out(options: dict[str, str]) -> None:
    """Africa's Talking takes the choice itself, and tells who left which sender's list."""
    (event,) = events(Generic(), form(phoneNumber="+254711000001", senderId="SHOP"), **options)

    assert (event.kind, event.address) == (pb.EVENT_KIND_UNSUBSCRIBED, "+254711000001")
    assert event.engagement.act_id


def test_the_keyword_that_a_provider_names_is_taken_off() -> None:
    """Infobip and Clickatell know the account's keywords themselves."""
    named = _infobip("SHOP STOP", cleanText="STOP", keyword="SHOP")

    assert len(events(Infobip(), named)) == 2
    assert len(events(Generic(), {"messageId": "in", "fromNumber": PERSON, "toNumber": OURS,
                                  "text": "SHOP STOP", "keyword": "SHOP"})) == 2  # fmt: skip


@pytest.mark.parametrize(
    ("provider", "advert"),
    [
        (Meta(), _meta("hi", referral={"source_type": "ad", "source_id": "1"})),
        (Dialog360(), _meta("hi", referral={"source_type": "post"})),
        (Gupshup(), _gupshup("hi", referral={"source_type": "ad"})),
        (Infobip(), _infobip("", message={"type": "TEXT", "text": "hi",
                                          "referral": {"sourceType": "AD"}})),
        (Vonage(), {"channel": "whatsapp", "message_uuid": "in", "from": PERSON, "to": OURS,
                    "timestamp": ISO, "message_type": "text", "text": "hi",
                    "whatsapp": {"referral": {"source_id": "1"}}}),
        (Sinch(), _sinch("hi", referral={"source_id": "1"})),
        (Twilio(), form(MessageSid="SM1", SmsStatus="received", From=f"whatsapp:+{PERSON}",
                        To=f"whatsapp:+{OURS}", Body="hi", ReferralSourceId="1")),
        (Vonage(), {"channel": "whatsapp", "message_uuid": "in", "from": PERSON, "to": OURS,
                    "timestamp": ISO, "message_type": "text", "text": "hi",
                    "referral": {"source_type": "ad"}}),
        (Twilio(), form(MessageSid="SM1", SmsStatus="received", From=f"whatsapp:+{PERSON}",
                        To=f"whatsapp:+{OURS}", Body="hi", ReferralCtwaClid="c")),
        (MessageBird(), {"type": "message.created", "contact": {"msisdn": PERSON},
                         "message": {"id": "in", "direction": "received", "type": "text",
                                     "content": {"text": "hi"}, "createdDatetime": ISO,
                                     "referral": {"sourceType": "ad"}}}),
        (Meta(), _meta("hi", group_id="Y2FwaV9ncm91cDox")),
        (Vonage(), {"channel": "whatsapp", "message_uuid": "in", "from": PERSON, "to": OURS,
                    "timestamp": ISO, "message_type": "text", "text": "hi",
                    "whatsapp": {"group_id": "g"}}),
    ],
)  # fmt: skip
def test_what_came_from_an_advert_or_a_group_answers_nothing(
    provider: Provider, advert: Any
) -> None:
    """It answers the advert, or the group."""
    (event,) = events(provider, advert)

    assert event.kind == pb.EVENT_KIND_REPLIED
    assert event.engagement.answers_nothing


def test_a_count_of_no_pictures_is_no_advert() -> None:
    """Twilio writes it beside every message on WhatsApp."""
    told = form(MessageSid="SM1", SmsStatus="received", From=f"whatsapp:+{PERSON}",
                To=f"whatsapp:+{OURS}", Body="hi", ReferralNumMedia="0")  # fmt: skip

    assert not events(Twilio(), told)[0].engagement.answers_nothing


def test_an_opt_out_in_an_advertised_chat_is_one_and_in_a_group_is_none() -> None:
    """There it is made to us; here it is said to somebody."""
    chat = events(Meta(), _meta("STOP", referral={"source_type": "ad"}))
    group = events(Meta(), _meta("STOP", group_id="g"))

    assert [event.kind for event in chat] == [pb.EVENT_KIND_REPLIED, pb.EVENT_KIND_UNSUBSCRIBED]
    assert not chat[1].engagement.answers_nothing
    assert [event.kind for event in group] == [pb.EVENT_KIND_REPLIED]


def test_what_nobody_wrote_is_information() -> None:
    """A permission that WhatsApp gives by itself, and an answering machine's note."""
    granted = {
        "type": "interactive",
        "interactive": {
            "type": "call_permission_reply",
            "call_permission_reply": {"response_source": "automatic"},
        },
    }
    by_hand = {
        "type": "interactive",
        "interactive": {
            "type": "call_permission_reply",
            "call_permission_reply": {"response_source": "user_action"},
        },
    }

    passed_on = _infobip("", message={"type": "INTERACTIVE_CALL_PERMISSION_REPLY",
                                      "responseSource": "AUTOMATIC"})  # fmt: skip

    assert events(Infobip(), passed_on)[0].kind == pb.EVENT_KIND_INFO
    assert events(Meta(), _meta("", **granted))[0].kind == pb.EVENT_KIND_INFO
    assert events(Meta(), _meta("", **by_hand))[0].kind == pb.EVENT_KIND_REPLIED


# ---- reactions

REACTIONS: dict[str, tuple[Provider, Any]] = {
    "meta": (Meta(), lambda emoji, n: _meta("", id=f"in{n}", type="reaction", reaction={
        "message_id": "wamid.OUT", **({"emoji": emoji} if emoji else {})})),
    "gupshup": (Gupshup(), lambda emoji, n: _gupshup(
        "", id=f"in{n}", type="reaction", payload={"id": "out", "emoji": emoji})),
    "infobip": (Infobip(), lambda emoji, n: _infobip("", messageId=f"in{n}", message={
        "type": "REACTION", "emoji": emoji or "👍", "action": "ADDED" if emoji else "REMOVED",
        "context": {"id": "out"}})),
    "vonage": (Vonage(), lambda emoji, n: {
        "channel": "whatsapp", "message_uuid": f"in{n}", "from": PERSON, "to": OURS,
        "timestamp": ISO, "message_type": "reaction", "context": {"message_uuid": "out"},
        "reaction": {"action": "react" if emoji else "unreact", "emoji": emoji}}),
    "messagebird": (MessageBird(), lambda emoji, n: {
        "type": "message.created", "contact": {"msisdn": PERSON},
        "message": {"id": f"in{n}", "direction": "received", "type": "reaction",
                    "content": {"reaction": {"messageId": "out", "emoji": emoji}},
                    "createdDatetime": ISO}}),
    "bird": (MessageBird(), lambda emoji, n: {
        **_bird(""), "payload": {**_bird("")["payload"], "id": f"in{n}", "replyTo": {"id": "out"},
                                 "body": {"type": "reaction", "reaction": {"emoji": emoji}}}}),
    "sinch": (Sinch(), lambda emoji, n: {"event_time": ISO, "event": {
        "id": f"in{n}", "channel_identity": {"channel": "WHATSAPP", "identity": PERSON},
        "contact_event": {"reaction_event": {
            "message_id": "out", "emoji": emoji,
            "action": "REACTION_ACTION_REACT" if emoji else "REACTION_ACTION_UNREACT"}}}}),
}  # fmt: skip


@pytest.mark.parametrize("source", REACTIONS)
def test_a_reaction_is_one_act_of_a_person_on_a_message(source: str) -> None:
    """Changed it is replaced, taken back it is gone: all under one identity."""
    provider, body = REACTIONS[source]
    told = [events(provider, body(emoji, n))[0] for n, emoji in enumerate(("👍", "❤", ""))]

    acts = [event.engagement for event in told]
    assert {event.kind for event in told} == {pb.EVENT_KIND_REPLIED}
    assert len({act.act_id for act in acts}) == 1
    assert [act.is_withdrawn for act in acts] == [False, False, True]
    assert all(act.is_replaceable for act in acts)


# ---- one act told twice


def _resend_click(url: str, n: int) -> dict[str, Any]:
    click = {"link": url, "timestamp": ISO, "userAgent": "Mozilla/5.0 (iPhone)"}
    data = {"email_id": "id", "to": ["kim@mail.example"], "click": click}
    return {"type": "email.clicked", "created_at": ISO, "data": data}


CLICKS: dict[str, tuple[Provider, Any]] = {
    "sendgrid": (SendGrid(), lambda url, n: [{
        "email": "Kim@mail.example" if n else "kim@mail.example", "event": "click",
        "timestamp": AT, "sg_event_id": f"e{n}", "sg_message_id": "id.recvd-1", "url": url,
        "useragent": "Mozilla/5.0 (iPhone)"}]),
    "ses": (Ses(), lambda url, n: {"Type": "Notification", "MessageId": f"e{n}", "Message":
        json.dumps({"eventType": "Click", "mail": {"messageId": "id",
                    "destination": ["kim@mail.example"]},
                    "click": {"timestamp": f"2026-08-05T03:19:00.{n}00Z", "link": url,
                              "userAgent": "Mozilla/5.0 (iPhone)"}})}),
    "mailgun": (Mailgun(), lambda url, n: {"event-data": {
        "id": f"e{n}", "event": "clicked", "timestamp": AT + n / 10, "url": url,
        "recipient": "kim@mail.example", "message": {"headers": {"message-id": "id@x"}},
        "client-info": {"user-agent": "Mozilla/5.0 (iPhone)"}}}),
    "postmark": (Postmark(), lambda url, n: {
        "RecordType": "Click", "MessageID": "id", "Recipient": "kim@mail.example",
        "ReceivedAt": f"2026-08-05T03:19:00.{n}000000Z", "OriginalLink": url,
        "UserAgent": "Mozilla/5.0 (iPhone)"}),
    "infobip": (Infobip(), lambda url, n: {
        "notificationType": "CLICKED", "eventId": f"e{n}", "messageId": "id", "url": url,
        "recipient": "kim@mail.example", "sendDateTime": AT * 1_000 + n}),
    "resend": (Resend(), _resend_click),
    "brevo": (BY_NAME["brevo"], lambda url, n: {
        "event": "click", "email": "kim@mail.example", "message-id": "<id@x>", "link": url,
        "ts_epoch": AT * 1_000 + n}),
    "azure": (Azure(), lambda url, n: [{
        "id": f"e{n}", "eventTime": ISO,
        "eventType": "Microsoft.Communication.EmailEngagementTrackingReportReceived",
        "data": {"messageId": "id", "recipient": "kim@mail.example", "engagementType": "click",
                 "engagementContext": url, "userActionTimeStamp": ISO}}]),
}  # fmt: skip


@pytest.mark.parametrize("source", CLICKS)
def test_a_click_told_under_two_ids_is_one_act(source: str) -> None:
    """What was done is the identity: who, when, which link, with what."""
    provider, body = CLICKS[source]
    first, again = (events(provider, body("https://x.test/a", n))[0] for n in (0, 1))
    other = events(provider, body("https://x.test/b", 2))[0]

    assert first.kind == again.kind == pb.EVENT_KIND_CLICKED
    assert first.message_key == again.message_key
    assert first.engagement.act_id == again.engagement.act_id != other.engagement.act_id


# ---- soft labels and final codes


@pytest.mark.parametrize(
    ("provider", "body", "code"),
    [
        (SendGrid(), [{"email": "a@b.c", "event": "bounce", "timestamp": AT, "sg_message_id": "i",
                       "type": "blocked", "status": "5.1.1", "reason": "550 5.1.1 no"}], "5.1.1"),
        (Ses(), {"Type": "Notification", "Message": json.dumps({
            "eventType": "Bounce", "mail": {"messageId": "i", "destination": ["a@b.c"]},
            "bounce": {"bounceType": "Transient", "bounceSubType": "General", "timestamp": ISO,
                       "bouncedRecipients": [{"emailAddress": "a@b.c", "status": "5.4.4"}]}})},
         "5.4.4"),
        (Mailgun(), {"event-data": {
            "event": "failed", "severity": "permanent", "reason": "espblock", "timestamp": AT,
            "recipient": "a@b.c", "message": {"headers": {"message-id": "i@x"}},
            "delivery-status": {"code": 550, "message": "5.1.1 unknown user"}}}, "5.1.1"),
        (Postmark(), {"RecordType": "Bounce", "Type": "SoftBounce", "MessageID": "i",
                      "Email": "a@b.c", "BouncedAt": ISO, "Details": "smtp;550 5.1.1 unknown"},
         "5.1.1"),
        (Resend(), {"type": "email.bounced", "created_at": ISO, "data": {
            "email_id": "i", "to": ["a@b.c"],
            "bounce": {"type": "Transient", "message": "550 5.1.1 unknown user"}}}, "5.1.1"),
        (BY_NAME["brevo"], {"event": "soft_bounce", "email": "a@b.c", "message-id": "<i@x>",
                            "ts_epoch": AT * 1_000, "reason": "550 5.1.1 unknown"}, "5.1.1"),
        (Infobip(), {"results": [{
            "messageId": "i", "to": "a@b.c", "channel": "EMAIL", "doneAt": ISO,
            "status": {"groupName": "UNDELIVERABLE", "id": 4},
            "error": {"id": 6010, "name": "EC_SOFT_BOUNCE", "description": "550 5.1.1 no"}}]},
         "5.1.1"),
        (Infobip(), {"notificationType": "LATE_BOUNCE", "messageId": "i", "recipient": "a@b.c",
                     "sendDateTime": AT * 1_000, "reason": "550 5.1.1 no such user"}, "5.1.1"),
    ],
)  # fmt: skip
def test_a_final_code_of_the_mail_server_outranks_a_soft_label(
    provider: Provider, body: Any, code: str
) -> None:
    """The server knows whether the mailbox is there."""
    (event,) = events(provider, body)

    assert (event.kind, event.provider_code) == (pb.EVENT_KIND_UNDELIVERED, code)
    assert event.reason == pb.FAILURE_REASON_RECIPIENT_RELATED_ERRORS


# ---- times


def test_a_time_ahead_of_its_receipt_is_clamped_by_the_accounts_of_all_sources() -> None:
    """A message centre in another zone tells tomorrow's afternoon."""
    done = "2608050620"  # three hours ahead
    receipt = {"short_message": f"id:1 done date:{done} stat:DELIVRD err:000"}
    (smpp,) = events(Generic(), receipt)
    (mail,) = events(SendGrid(), [{"email": "a@b.c", "event": "delivered", "sg_message_id": "i",
                                   "timestamp": NOW_S + 3_600}])  # fmt: skip

    for event in (smpp, mail):
        assert (event.occur_time_us, event.is_time_clamped) == (NOW_US, True)
        assert not event.is_time_untold


@pytest.mark.parametrize(
    ("provider", "body"),
    [
        (Twilio(), form(MessageSid="SM1", MessageStatus="delivered", To="+1555")),
        (Generic(), form(id="k", status="1")),
        (Sinch(), {"type": "delivery_report_sms", "batch_id": "b",
                   "statuses": [{"status": "Delivered", "recipients": ["1555"]}]}),
    ],
)  # fmt: skip
def test_a_report_without_a_time_is_marked_and_is_the_same_when_it_is_repeated(
    provider: Provider, body: Any
) -> None:
    """Its time of receipt differs, and nothing else does."""
    reader = Reader(provider, secrets={})
    told = []
    for later in (0, 90_000_000):
        callback = reader.callback(body, receive_time_us=NOW_US + later)
        reading = provider.parse(callback, reader.account)
        assert isinstance(reading, Reading)
        event = reading.batch.events[0]
        assert event.is_time_untold
        event.ClearField("occur_time_us")
        event.ClearField("receive_time_us")
        told.append(event.SerializeToString(deterministic=True))

    assert told[0] == told[1]


# ---- parts


def test_parts_of_one_long_inbound_message_are_one_reply() -> None:
    """Of one person, to one number, with one reference."""

    def part(n: int, reference: str = "7", **other: str) -> str:
        fields = {"msisdn": PERSON, "to": OURS, "messageId": f"m{n}", "type": "text",
                  "text": f"part {n}", "concat": "true", "concat__ref": reference,
                  "concat__total": "2", "concat__part": str(n),
                  "message__timestamp": "2026-08-05 03:19:00", **other}  # fmt: skip
        return events(Vonage(), form(**fields))[0].engagement.act_id

    def short(n: int) -> str:
        body = {"message_id": f"m{n}", "source_addr": PERSON, "destination_addr": OURS,
                "short_message": f"part {n}", "sar_msg_ref_num": 9,
                "sar_total_segments": 2}  # fmt: skip
        return events(Generic(), body, preset="smpp")[0].engagement.act_id

    assert part(1) == part(2)
    assert part(1) != part(1, reference="8")
    assert part(1) != part(1, msisdn="491510000000")
    assert short(1) == short(2)


@pytest.mark.parametrize("source", ["kannel", "smpp", "clickatell", "sinch"])
@pytest.mark.parametrize("form_of_header", ["050003{:02X}02{:02X}", "060804{:04x}02{:02x}"])
def test_parts_of_an_inbound_sms_are_one_reply_by_their_header(
    source: str, form_of_header: str
) -> None:
    """Gateways that put nothing together pass the header on."""

    def part(number: int, reference: int = 7) -> str:
        header = form_of_header.format(reference, number)
        if source == "sinch":
            told: Any = {"type": "mo_binary", "id": f"m{number}", "from": PERSON, "to": OURS,
                         "body": "cGFydA==", "udh": header, "received_at": ISO}  # fmt: skip
            return events(Sinch(), told)[0].engagement.act_id
        names = {"kannel": ("id", "sender", "to", "text"),
                 "smpp": ("message_id", "source_addr", "destination_addr", "short_message"),
                 "clickatell": ("messageId", "fromNumber", "toNumber", "text")}[source]  # fmt: skip
        values = (f"m{number}", PERSON, OURS, f"part {number}")
        told = {**dict(zip(names, values, strict=True)), "udh": header}
        return events(Generic(), told, preset=source)[0].engagement.act_id

    assert part(1) == part(2) != part(1, reference=8)


@pytest.mark.parametrize(
    "header", ["", "zz", "00", "05", "050003070101", "0A0003", "0605040B8423F0"]
)
def test_a_header_without_parts_joins_nothing(header: str) -> None:
    """A message of one part, a port address, or no header at all."""
    assert shared_by_parts(header) == ("", "")


def test_a_report_of_a_part_names_the_part_and_their_number() -> None:
    """One good part must not hide a lost one."""
    (event,) = events(Generic(), form(
        MessageUUID="p2", ParentMessageUUID="parent", Status="undelivered", To=PERSON,
        PartInfo="2 of 3", ErrorCode="200"))  # fmt: skip
    (whole,) = events(Generic(), form(MessageUUID="one", Status="delivered", To=PERSON))

    assert (event.provider_message_id, event.part_id, event.part_count) == ("parent", "p2", 3)
    assert (whole.part_id, whole.part_count) == ("", 0)
    assert event.reason == pb.FAILURE_REASON_RECIPIENT_RELATED_ERRORS


# ---- names of one person


@pytest.mark.parametrize(
    ("provider", "body", "names"),
    [
        (Meta(), _meta("hi", from_user_id="DE.7"), {f"+{PERSON}", "DE.7"}),
        (Meta(), _meta("", type="system", system={
            "type": "user_changed_number", "new_wa_id": "491510000009"}),
         {f"+{PERSON}", "+491510000009"}),
        (Vonage(), {"channel": "whatsapp", "message_uuid": "u", "status": "delivered",
                    "timestamp": ISO, "to": PERSON,
                    "whatsapp": {"recipient": {"user_id": "DE.7"}}}, {f"+{PERSON}", "DE.7"}),
        (Twilio(), form(MessageSid="SM1", SmsStatus="received", From="whatsapp:DE.7",
                        WaId=PERSON, Body="x"), {"DE.7", f"+{PERSON}"}),
    ],
)  # fmt: skip
def test_the_pair_of_names_that_a_callback_tells_is_kept(
    provider: Provider, body: Any, names: set[str]
) -> None:
    """What comes later may know only one of them."""
    event = events(provider, body)[0]

    assert {event.address, *event.also_known_as} == names


@pytest.mark.parametrize("provider", [Meta(), Dialog360(), Gupshup()])
def test_contacts_beside_a_status_join_its_names(provider: Provider) -> None:
    """Phone and business-scoped id stand in another list of the same body."""
    body = _meta("")
    value = body["entry"][0]["changes"][0]["value"]
    del value["messages"]
    value["statuses"] = [{"id": "wamid.1", "status": "delivered", "timestamp": str(AT),
                          "recipient_id": PERSON}]  # fmt: skip
    value["contacts"] = [{"wa_id": PERSON, "user_id": "DE.7"}, {"wa_id": "49", "user_id": "DE.8"}]

    (event,) = events(provider, body)

    assert (event.address, list(event.also_known_as)) == (f"+{PERSON}", ["DE.7"])
    assert event.own_address == f"+{OURS}"


# ---- shapes of bodies


@pytest.mark.parametrize("source", [name for name in INBOUND if "sms" not in name])
def test_a_byte_order_mark_is_no_part_of_a_json_body(source: str) -> None:
    """RFC 8259 lets a reader ignore it; the signature covers it all the same."""
    provider, body, own = INBOUND[source]
    told = body("STOP")
    if isinstance(told, bytes):
        pytest.skip("a form")
    owner = Account(provider=provider.name, account="acct_1", tenant="demo",
                    secrets={"header": ["X-Key: k"]}, options=own)  # fmt: skip
    if provider.name not in ("gupshup", "infobip", "generic", "dialog360", "azure"):
        pytest.skip("proven by a signature, which other tests make")
    request = ingest.TestCallbackRequest(
        provider=provider.name, account="acct_1", headers={"X-Key": "k"},
        body=b"\xef\xbb\xbf" + json.dumps(told).encode(),
    )  # fmt: skip

    answer = _tried(request, owner)

    assert not answer.quarantined
    assert [event.kind for event in answer.events] == [
        pb.EVENT_KIND_REPLIED, pb.EVENT_KIND_UNSUBSCRIBED,
    ]  # fmt: skip
    assert {event.proof for event in answer.events} == {CALLBACK_PROOF_CREDENTIAL}


@pytest.mark.parametrize(
    ("provider", "body", "kind"),
    [
        (Infobip(), {"results": [{"sender": PERSON, "receivedAt": ISO,
                                  "event": {"type": "TYPING_INDICATOR"}}]}, pb.EVENT_KIND_INFO),
        (Generic(), {"data": {"event_type": "10dlc.campaign.update", "occurred_at": ISO,
                              "payload": {}}}, pb.EVENT_KIND_INFO),
        (Generic(), {"data": {"event_type": "message.tomorrow", "payload": {}}},
         pb.EVENT_KIND_UNKNOWN),
        (Generic(), {"receipt": "id:a sub:001 done date:2608050319 UNDELIV err:001 Text:"},
         pb.EVENT_KIND_UNDELIVERED),
        (Generic(), {"receipt": "id:a done date:20260805031900 state:DELIVRD err:000"},
         pb.EVENT_KIND_DELIVERED),
        (Generic(), {"data": {"event_type": "message.finalized", "occurred_at": ISO, "payload": {
            "id": "t", "to": [{"phone_number": "+1555", "status": "read"}]}}},
         pb.EVENT_KIND_READ),
        (Infobip(), {"results": [{"messageId": "m", "to": PERSON, "doneAt": ISO,
                                  "status": {"groupName": "Delivered"}}]},
         pb.EVENT_KIND_DELIVERED),
        (Generic(), form(id="a", message_status="DELIVRD", level="2", donedate="2608050319"),
         pb.EVENT_KIND_DELIVERED),
        (Gupshup(), {"response": json.dumps([{"externalId": "a", "eventType": "DELIVERED",
                                              "destAddr": PERSON, "eventTs": AT}])},
         pb.EVENT_KIND_DELIVERED),
        (Gupshup(), form(externalId="a", deliveredTS=str(AT * 1_000), status="SUCCESS",
                         phoneNo=PERSON), pb.EVENT_KIND_DELIVERED),
        (Meta(), _meta("", type="voice", voice={"id": "1"}), pb.EVENT_KIND_REPLIED),
        (MessageBird(), {"service": "channels", "event": "whatsapp.outbound", "payload": {
            "id": "a", "status": "delivery_failed", "reason": "131026", "lastStatusAt": ISO}},
         pb.EVENT_KIND_UNDELIVERED),
    ],
)  # fmt: skip
def test_documented_shapes_and_words_are_read(provider: Provider, body: Any, kind: int) -> None:
    """Each was refused, or unknown, in some callback of the field."""
    (event,) = events(provider, body)

    assert event.kind == kind


@pytest.mark.parametrize(
    ("body", "is_tap"),
    [({"subtype": "flow", "text": "sent", "payload": "{}"}, False),
     ({"text": "Yes", "payload": "yes"}, True)],
)  # fmt: skip
def test_a_form_that_was_filled_in_is_no_tap(body: dict[str, str], is_tap: bool) -> None:
    """Vonage tells both as a button."""
    (event,) = events(Vonage(), {"channel": "whatsapp", "message_uuid": "in", "from": PERSON,
                                 "timestamp": ISO, "message_type": "button",
                                 "button": body})  # fmt: skip

    assert event.engagement.is_tap == is_tap


def _tried(request: ingest.TestCallbackRequest, owner: Account) -> ingest.TestCallbackResponse:
    return try_callback(
        request,
        tenant_id="demo",
        accounts=Accounts([owner]),
        now_us=NOW_US,
        public_url="https://hooks.example.com",
        body_bytes_max=100_000,
        signature_age_s_max=0,
    )


# ---- proof


def _owner(secrets: dict[str, list[str]], **options: str) -> Account:
    return Account(provider="gupshup", account="acct_1", tenant="demo", secrets=secrets,
                   options=options)  # fmt: skip


@pytest.mark.parametrize(
    ("owner", "headers", "proof"),
    [
        (_owner({}), {}, None),
        (_owner({}, unproven="accept"), {}, CALLBACK_PROOF_NOTHING),
        (_owner({"header": ["X-Key: k"]}, unproven="accept"), {}, None),
        (_owner({"header": ["X-Key: k"]}), {"x-key": "k"}, CALLBACK_PROOF_CREDENTIAL),
    ],
)  # fmt: skip
def test_what_nothing_proves_is_refused_unless_the_account_says_so(
    owner: Account, headers: dict[str, str], proof: int | None
) -> None:
    """And an account with a secret never says so. What proved it travels with what was read."""
    body = json.dumps(_gupshup("hello")).encode()
    answer = _tried(
        ingest.TestCallbackRequest(provider="gupshup", account="acct_1", body=body,
                                   headers=headers), owner,
    )  # fmt: skip

    if proof is None:
        assert answer.refused.http_status == 401
        assert answer.refused.cure
    else:
        assert [event.proof for event in answer.events] == [proof]


def codes_of(provider: str, codes: Sequence[str]) -> list[int]:
    told = [{"app": "A", "timestamp": AT * 1_000, "version": 2, "type": "message-event",
             "payload": {"gsId": "g", "type": "failed", "payload": {"code": code}}}
            for code in codes]  # fmt: skip
    return [events(BY_NAME[provider], body)[0].reason for body in told]


@pytest.mark.parametrize(
    ("provider", "body", "topic"),
    [
        (SendGrid(), [{"email": "a@b.c", "event": "dropped", "timestamp": AT, "sg_message_id": "i",
                       "reason": "Unsubscribed Address"}], pb.FAILURE_TOPIC_OPT_OUT),
        (SendGrid(), [{"email": "a@b.c", "event": "dropped", "timestamp": AT, "sg_message_id": "i",
                       "reason": "Spam Reporting Address"}], pb.FAILURE_TOPIC_COMPLAINT),
        (Mailgun(), {"event-data": {
            "event": "failed", "severity": "permanent", "reason": "suppress-complaint",
            "timestamp": AT, "recipient": "a@b.c", "message": {"headers": {"message-id": "i@x"}},
            "delivery-status": {"code": 607}}}, pb.FAILURE_TOPIC_COMPLAINT),
        (Infobip(), {"results": [{
            "messageId": "i", "to": PERSON, "doneAt": ISO, "status": {"groupName": "REJECTED"},
            "error": {"id": 7033, "name": "EC_MARKETING_OPT_OUT"}}]}, pb.FAILURE_TOPIC_OPT_OUT),
        (Generic(), form(MessageUUID="u", Status="undelivered", ErrorCode="200", To=PERSON),
         pb.FAILURE_TOPIC_OPT_OUT),
        (Generic(), {"data": {"event_type": "message.finalized", "occurred_at": ISO, "payload": {
            "id": "t", "to": [{"phone_number": "+1555", "status": "sending_failed"}],
            "errors": [{"code": "40300"}]}}}, pb.FAILURE_TOPIC_OPT_OUT),
        (Twilio(), form(MessageSid="SM1", MessageStatus="undelivered", ErrorCode="30630",
                        To="+1555"), pb.FAILURE_TOPIC_OPT_OUT),
        (Azure(), [{"id": "1", "eventTime": ISO, "data": {
            "messageId": "i", "to": "+1555", "from": "+1", "deliveryStatus": "Failed",
            "deliveryStatusDetails": "4006", "receivedTimestamp": ISO},
            "eventType": "Microsoft.Communication.SMSDeliveryReportReceived"}],
         pb.FAILURE_TOPIC_OPT_OUT),
    ],
)  # fmt: skip
def test_a_refusal_of_who_had_said_no_before_says_so(
    provider: Provider, body: Any, topic: int
) -> None:
    """It counts as such in the numbers, whichever provider tells it."""
    (event,) = events(provider, body)

    assert event.topic == topic


def test_a_receipt_without_a_text_tells_its_state_as_a_number() -> None:
    """SMPP has optional parameters for it, and some bridges pass on nothing else."""
    told = {"receipted_message_id": "a", "message_state": 5, "short_message": ""}
    (event,) = events(Generic(), told, preset="smpp")

    assert (event.provider_message_id, event.kind) == ("a", pb.EVENT_KIND_UNDELIVERED)


def test_a_number_of_another_list_is_not_read_as_whatsapps() -> None:
    """Gupshup Enterprise counts its causes from one, and WhatsApp has codes like those."""
    report = {"externalId": "a", "eventType": "FAILED", "destAddr": PERSON, "eventTs": AT}
    odd, known = (
        events(Gupshup(), {"response": [{**report, "errorCode": "200", "cause": cause}]})[0]
        for cause in ("SOMETHING_NEW", "UNKNOWN_SUBSCRIBER")
    )

    assert (odd.provider_code, odd.reason) == ("200", pb.FAILURE_REASON_UNMAPPED)
    assert known.provider_code == "UNKNOWN_SUBSCRIBER"
    assert known.reason == pb.FAILURE_REASON_RECIPIENT_RELATED_ERRORS


def test_a_person_is_who_the_header_names_and_not_the_envelope() -> None:
    """A mail server may put an address of its own there, for bounces."""
    mail = {"recipient": "desk@shop.example", "sender": "bounce-1@relay.example",
            "from": "Pat <pat@mail.example>", "subject": "Re: sale", "stripped-text": "hello",
            "In-Reply-To": "<out@mg.example>", "Message-Id": "<in@mail.example>",
            "timestamp": str(AT)}  # fmt: skip

    assert events(Mailgun(), urlencode(mail).encode())[0].address == "pat@mail.example"


@pytest.mark.parametrize("flag", [True, "true", False, "false", None])
def test_a_machines_open_is_one_in_whatever_type_its_flag_comes(flag: Any) -> None:
    """Relays between SendGrid and us turn it into a text."""
    told = {"email": "a@b.c", "event": "open", "timestamp": AT, "sg_message_id": "i",
            "sg_machine_open": flag}  # fmt: skip

    assert events(SendGrid(), [told])[0].engagement.is_machine == (flag in (True, "true"))


def test_the_codes_of_the_field_have_reasons() -> None:
    """A code without one is listed, and never guessed."""
    blacklisted = form(id="a", status="Failed", phoneNumber=PERSON, failureReason="UserInBlacklist")

    assert pb.FAILURE_REASON_UNMAPPED not in codes_of("gupshup", ["2000", "1026", "470"])
    assert events(Generic(), blacklisted)[0].reason == pb.FAILURE_REASON_RECIPIENT_RELATED_ERRORS
