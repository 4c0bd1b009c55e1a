"""Each provider's ids, as its answer and as its callbacks write them, in all their spellings.

A ``Source`` is one interface of a provider: how an id of it looks, in which ways whoever records it
may write it, and the bodies by which that interface tells of the message.
"""

import json
import string
from collections.abc import Callable, Mapping, Sequence
from random import Random
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import urlencode

from tests.ingest.provider_readings import AT

ISO = "2026-08-05T03:19:00.000Z"
# As message centres and mail write it.
MINUTE = "2608050319"
DATE = "Wed, 5 Aug 2026 03:19:00 +0000"
HEX = string.hexdigits[:16]

# (id, recipient) of the record or act.
Spelled = tuple[str, str]
# Body, or the fields of a query.
Body = Any


class Source(NamedTuple):
    """One interface of one provider."""

    provider: str
    new_id: Callable[[Random], str]
    spell: Callable[[Random, str, str], Spelled]
    bodies: Sequence[Callable[[Random, str, str], Body]]
    is_email: bool = False
    is_query: bool = False
    options: Mapping[str, str] = MappingProxyType({})


def _hex(chance: Random, count: int) -> str:
    return "".join(chance.choices(HEX, k=count))


def _uuid(chance: Random) -> str:
    return "-".join(_hex(chance, count) for count in (8, 4, 4, 4, 12))


def _cased(chance: Random, text: str) -> str:
    return chance.choice((text, text.lower(), text.upper()))


def _mailbox(chance: Random, mailbox: str) -> str:
    """A mailbox as somebody writes it: in any case, with a name or without."""
    return chance.choice(("{}", "{}", "Kim Doe <{}>", "<{}>", " {} ")).format(
        _cased(chance, mailbox)
    )


def _phone(chance: Random, phone: str) -> str:
    digits = phone.removeprefix("+")
    return chance.choice((digits, f"+{digits}", f"00{digits}"))


def _as_it_is(_chance: Random, own_id: str, to: str) -> Spelled:
    return own_id, to


def _any_case(chance: Random, own_id: str, to: str) -> Spelled:
    return _cased(chance, own_id), to


def _of_mail(*forms: str) -> Callable[[Random, str, str], Spelled]:
    """Return how an email is recorded: its id in one of ``forms``, its mailbox beside or behind."""

    def spell(chance: Random, own_id: str, to: str) -> Spelled:
        written = chance.choice(("{}", "<{}>", *forms)).format(own_id)
        if chance.random() < 0.3:
            return f"{written}/{_cased(chance, to)}", to
        return written, _mailbox(chance, to)

    return spell


def _of_batch(chance: Random, own_id: str, to: str) -> Spelled:
    return f"{own_id}/{_phone(chance, to)}", to


def _sns(event: dict[str, Any]) -> dict[str, Any]:
    return {"Type": "Notification", "MessageId": "n", "Message": json.dumps(event)}


def _ses(name: str, part: dict[str, Any]) -> Callable[[Random, str, str], Body]:
    def body(chance: Random, own_id: str, to: str) -> Body:
        named = _cased(chance, to)
        listed = {
            "Delivery": {"recipients": [named]},
            "Bounce": {"bouncedRecipients": [{"emailAddress": f"<{named}>"}]},
            "Complaint": {"complainedRecipients": [{"emailAddress": named}]},
        }
        mail = {"messageId": own_id, "destination": [named], "timestamp": ISO}
        told = {"timestamp": ISO, **part, **listed.get(name, {})}
        return _sns({"eventType": name, "mail": mail, name.lower(): told})

    return body


def _ses_reply(chance: Random, own_id: str, to: str) -> Body:
    host = chance.choice(("eu-west-1.amazonses.com", "email.amazonses.com"))
    headers = [
        {"name": "From", "value": f"Kim <{_cased(chance, to)}>"},
        {"name": "In-Reply-To", "value": f"<{own_id}@{host}>"},
    ]
    mail = {"messageId": "in", "source": "bounce@relay.example", "headers": headers,
            "timestamp": ISO, "destination": ["desk@shop.example"]}  # fmt: skip
    return _sns({"notificationType": "Received", "mail": mail, "receipt": {}})


def _sendgrid(event: str) -> Callable[[Random, str, str], Body]:
    def body(chance: Random, own_id: str, to: str) -> Body:
        behind = chance.choice((".filter0199p1las1.47.1.0", ".recvd-5b6594c664-csn64-1-65A.0",
                                ".filterdrecv-p3mdw1-75-18-5F5F-9.0", ""))  # fmt: skip
        told = {"email": _cased(chance, to), "event": event, "timestamp": AT,
                "sg_event_id": "e", "sg_message_id": f"{own_id}{behind}",
                "url": "https://x.test", "reason": "x"}  # fmt: skip
        if chance.random() < 0.3:
            told["sg_message_id"] = chance.choice(("", "filter0199p1las1.47.1.0"))
            told["smtp-id"] = f"<{own_id}@geopod-ismtpd-4-1>"
        return [told]

    return body


def _mailgun(event: str) -> Callable[[Random, str, str], Body]:
    def body(chance: Random, own_id: str, to: str) -> Body:
        if chance.random() < 0.3:
            return urlencode({"event": event, "recipient": _cased(chance, to), "timestamp": AT,
                              "token": "t", "signature": "s", "url": "https://x.test",
                              "Message-Id": f"<{own_id}>"}).encode()  # fmt: skip
        written = chance.choice(("{}", "<{}>")).format(own_id)
        return {"event-data": {
            "event": event, "timestamp": AT, "recipient": _cased(chance, to), "severity":
            "permanent", "url": "https://x.test", "message": {"headers": {"message-id": written}},
        }}  # fmt: skip

    return body


def _mailgun_reply(chance: Random, own_id: str, to: str) -> Body:
    return urlencode({"recipient": "desk@shop.example", "sender": "bounce@relay.example",
                      "from": f"Kim <{_cased(chance, to)}>", "stripped-text": "hello",
                      "In-Reply-To": f"<{own_id}>", "Message-Id": "<in@x.test>",
                      "timestamp": AT}).encode()  # fmt: skip


def _postmark(record: str, mailbox: str, at: str) -> Callable[[Random, str, str], Body]:
    def body(chance: Random, own_id: str, to: str) -> Body:
        return {"RecordType": record, "MessageID": _cased(chance, own_id), at: ISO,
                mailbox: _cased(chance, to), "Type": "HardBounce", "OriginalLink": "https://x.test",
                "SuppressSending": True, "SuppressionReason": "ManualSuppression"}  # fmt: skip

    return body


def _postmark_reply(chance: Random, own_id: str, to: str) -> Body:
    return {"From": to, "FromFull": {"Email": _cased(chance, to)}, "To": "desk@shop.example",
            "MessageID": "in", "TextBody": "hello", "Date": DATE,
            "Headers": [{"Name": "In-Reply-To", "Value": f"<{own_id}@mtasv.net>"}]}  # fmt: skip


def _meta(chance: Random, own_id: str, to: str) -> Body:
    status = {"id": own_id, "status": chance.choice(("sent", "delivered", "read", "failed")),
              "timestamp": str(AT), "recipient_id": to.removeprefix("+")}  # fmt: skip
    return _whatsapp({"statuses": [status]})


def _meta_reply(chance: Random, own_id: str, to: str) -> Body:
    kind = chance.choice(("text", "reaction"))
    said = {"reaction": {"message_id": own_id, "emoji": "x"}} if kind == "reaction" else {
        "text": {"body": "hello"}, "context": {"id": own_id}}  # fmt: skip
    message = {"id": "in", "timestamp": str(AT), "from": to.removeprefix("+"), "type": kind}
    return _whatsapp({"messages": [{**message, **said}]})


def _whatsapp(value: dict[str, Any]) -> Body:
    change = {"field": "messages", "value": {"messaging_product": "whatsapp", **value}}
    return {"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [change]}]}


def _infobip(channel: str) -> Callable[[Random, str, str], Body]:
    def body(chance: Random, own_id: str, to: str) -> Body:
        named = _cased(chance, to) if "@" in to else to.removeprefix("+")
        report = {"messageId": own_id, "to": named, "channel": channel, "doneAt": ISO,
                  "status": {"groupName": "DELIVERED"}}  # fmt: skip
        return {"results": [report]}

    return body


def _infobip_tracking(chance: Random, own_id: str, to: str) -> Body:
    return {"notificationType": chance.choice(("OPENED", "CLICKED", "LATE_BOUNCE", "COMPLAINED")),
            "messageId": own_id, "recipient": _mailbox(chance, to),
            "sendDateTime": AT * 1_000}  # fmt: skip


def _sendgrid_id(chance: Random) -> str:
    return "".join(chance.choices(string.ascii_letters + string.digits + "-_", k=22))


def _wamid(chance: Random) -> str:
    return "wamid." + "".join(chance.choices(string.ascii_letters + string.digits + "+/", k=40))


def _number(chance: Random, own_id: str, to: str) -> Spelled:
    """A message centre's number: in hexadecimal or decimal, padded, in either case."""
    return _written(chance, own_id), to


def _written(chance: Random, own_id: str) -> str:
    number = int(own_id)
    padding = "0" * chance.randrange(4)
    as_hex = f"{number:x}"
    if as_hex.isdecimal() or chance.random() < 0.5:
        return f"{padding}{number}"
    return chance.choice(("", "0x")) + padding + _cased(chance, as_hex)


SOURCES: dict[str, Source] = {
    "meta": Source("meta", _wamid, _as_it_is, (_meta, _meta_reply)),
    "dialog360": Source("dialog360", _wamid, _as_it_is, (_meta, _meta_reply)),
    "gupshup v3": Source("gupshup", _uuid, _any_case, (
        lambda chance, own_id, to: {"gs_app_id": "a", **_whatsapp({"statuses": [{
            "id": "wamid.X", "gs_id": _cased(chance, own_id), "status": "read",
            "timestamp": str(AT)}]})},)),
    "gupshup v2": Source("gupshup", _uuid, _any_case, (
        lambda chance, own_id, to: {
            "app": "A", "timestamp": AT * 1_000, "version": 2, "type": "message-event",
            "payload": {"id": "wamid.X", "gsId": _cased(chance, own_id), "type": "delivered",
                        "destination": to.removeprefix("+"), "payload": {"ts": AT}}},
        lambda chance, own_id, to: {
            "app": "A", "timestamp": AT * 1_000, "version": 2, "type": "message",
            "payload": {"id": "in", "source": to.removeprefix("+"), "type": "text",
                        "payload": {"text": "hello"}, "context": {"gsId": own_id}}})),
    "gupshup enterprise": Source(
        "gupshup", lambda chance: f"{chance.randrange(10**18)}-{chance.randrange(10**18)}",
        _as_it_is, (
            lambda chance, own_id, to: {"response": json.dumps([{
                "externalId": own_id, "eventType": "READ", "destAddr": to, "eventTs": AT}])},)),
    "twilio": Source("twilio", lambda chance: "SM" + _hex(chance, 32), _any_case, (
        lambda chance, own_id, to: urlencode({
            "MessageSid": own_id, "MessageStatus": "delivered", "To": to}).encode(),
        lambda chance, own_id, to: urlencode({
            "MessageSid": "SMin", "SmsStatus": "received", "From": f"whatsapp:{to}", "Body": "hi",
            "OriginalRepliedMessageSid": own_id}).encode())),
    "vonage": Source("vonage", _uuid, _any_case, (
        lambda chance, own_id, to: {
            "message_uuid": _cased(chance, own_id), "status": "delivered", "timestamp": ISO,
            "to": to.removeprefix("+"), "channel": "sms"},
        lambda chance, own_id, to: {
            "channel": "whatsapp", "message_uuid": "in", "from": to.removeprefix("+"),
            "timestamp": ISO, "message_type": "text", "text": "hi",
            "context": {"message_uuid": own_id}})),
    "vonage sms": Source("vonage", lambda chance: _hex(chance, 16).upper(), _as_it_is, (
        lambda chance, own_id, to: urlencode({
            "msisdn": to.removeprefix("+"), "to": "SHOP", "messageId": own_id,
            "status": "delivered", "scts": MINUTE}).encode(),)),
    "infobip": Source("infobip", lambda chance: str(chance.randrange(10**19)), _as_it_is,
                      (_infobip("SMS"), _infobip("WHATSAPP"))),
    "infobip email": Source("infobip", _uuid, _of_mail(), (_infobip("EMAIL"), _infobip_tracking),
                            is_email=True),
    "messagebird": Source("messagebird", lambda chance: _hex(chance, 32), _of_batch, (
        lambda chance, own_id, to: {
            "id": own_id, "recipient": _phone(chance, to), "status": "delivered",
            "statusDatetime": ISO},), is_query=True),
    "messagebird conversations by mail": Source("messagebird", lambda chance: _hex(chance, 32),
                                                _of_mail(), (
        lambda chance, own_id, to: {"type": "message.updated", "message": {
            "id": own_id, "direction": "sent", "status": "read", "platform": "email",
            "to": _cased(chance, to), "updatedDatetime": ISO}},), is_email=True),
    "bird by mail": Source("messagebird", _uuid, _of_mail(), (
        lambda chance, own_id, to: {"service": "channels", "event": "email.outbound", "payload": {
            "id": own_id, "status": "delivered", "lastStatusAt": ISO,
            "receiver": {"contacts": [{"identifierValue": _cased(chance, to)}]}}},),
        is_email=True),
    "vonage by mail": Source("vonage", _uuid, _of_mail(), (
        lambda chance, own_id, to: {
            "message_uuid": _cased(chance, own_id), "status": "delivered", "timestamp": ISO,
            "to": _cased(chance, to), "channel": "email"},), is_email=True),
    "sinch by mail": Source("sinch", lambda chance: _hex(chance, 26).upper(), _of_mail(), (
        lambda chance, own_id, to: {"event_time": ISO, "message_delivery_report": {
            "message_id": own_id, "status": "DELIVERED",
            "channel_identity": {"channel": "EMAIL", "identity": _cased(chance, to)}}},
        lambda chance, own_id, to: {"event_time": ISO, "message": {
            "id": "in", "channel_identity": {"channel": "EMAIL", "identity": to},
            "contact_message": {"text_message": {"text": "hi"},
                                "reply_to": {"message_id": own_id}}}}), is_email=True),
    "messagebird conversations": Source("messagebird", lambda chance: _hex(chance, 32), _any_case, (
        lambda chance, own_id, to: {"type": "message.updated", "message": {
            "id": own_id, "direction": "sent", "status": "read", "updatedDatetime": ISO}},)),
    "bird": Source("messagebird", _uuid, _any_case, (
        lambda chance, own_id, to: {"service": "channels", "event": "sms.outbound", "payload": {
            "id": own_id, "status": "delivered", "lastStatusAt": ISO}},)),
    "sinch": Source("sinch", lambda chance: _hex(chance, 26).upper(), _as_it_is, (
        lambda chance, own_id, to: {"event_time": ISO, "message_delivery_report": {
            "message_id": own_id, "status": "READ"}},
        lambda chance, own_id, to: {"event_time": ISO, "message": {
            "id": "in", "channel_identity": {"channel": "WHATSAPP", "identity": to},
            "contact_message": {"text_message": {"text": "hi"},
                                "reply_to": {"message_id": own_id}}}})),
    "sinch sms": Source("sinch", lambda chance: _hex(chance, 26).upper(), _of_batch, (
        lambda chance, own_id, to: {
            "type": "recipient_delivery_report_sms", "batch_id": own_id,
            "recipient": _phone(chance, to), "status": "Delivered", "at": ISO},
        lambda chance, own_id, to: {
            "type": "delivery_report_sms", "batch_id": own_id,
            "statuses": [{"status": "Failed", "code": 402,
                          "recipients": [_phone(chance, to)]}]})),
    "smpp": Source("generic", lambda chance: str(chance.randrange(10**6, 2**62)), _number, (
        lambda chance, own_id, to: {"short_message": (
            f"id:{_written(chance, own_id)} sub:001 dlvrd:001 submit date:{MINUTE} "
            f"done date:{MINUTE} stat:DELIVRD err:000 text:x")},)),
    "kannel": Source("generic", _uuid, _any_case, (
        lambda chance, own_id, to: {"id": _cased(chance, own_id), "status": "1", "ts": str(AT)},
        ), is_query=True, options={"preset": "kannel"}),
    "plivo": Source("generic", _uuid, _any_case, (
        lambda chance, own_id, to: urlencode({
            "MessageUUID": _uuid(chance), "ParentMessageUUID": own_id, "Status": "delivered",
            "To": to}).encode(),)),
    "sendgrid": Source("sendgrid", _sendgrid_id, _of_mail(
        "{}.filter0199p1las1.47.1.0", "<{}@geopod-ismtpd-4-1>", "{}.recvd-5b65-1",
        ), tuple(_sendgrid(event) for event in
                 ("delivered", "bounce", "open", "click", "dropped", "spamreport")),
        is_email=True),
    "ses": Source("ses", lambda chance: f"0102{_hex(chance, 12)}-{_uuid(chance)}-000000", _of_mail(
        "<{}@eu-west-1.amazonses.com>", "{}@email.amazonses.com", "<{}@email.amazonses.com>",
        ), (_ses("Delivery", {}), _ses("Bounce", {"bounceType": "Permanent"}), _ses("Open", {}),
            _ses("Click", {"link": "https://x.test"}), _ses("Complaint", {}), _ses_reply),
        is_email=True),
    "mailgun": Source("mailgun", lambda chance: f"2026.{_hex(chance, 10)}@mg.example.net",
                      _of_mail(), (_mailgun("delivered"), _mailgun("opened"), _mailgun("clicked"),
                                   _mailgun("failed"), _mailgun_reply), is_email=True),
    "postmark": Source("postmark", _uuid, _of_mail("<{}@mtasv.net>", "{}@mtasv.net"), (
        _postmark("Delivery", "Recipient", "DeliveredAt"),
        _postmark("Bounce", "Email", "BouncedAt"),
        _postmark("Open", "Recipient", "ReceivedAt"), _postmark("Click", "Recipient", "ReceivedAt"),
        _postmark("SubscriptionChange", "Recipient", "ChangedAt"), _postmark_reply), is_email=True),
    "resend": Source("resend", _uuid, _of_mail(), (
        lambda chance, own_id, to: {"type": "email.delivered", "created_at": ISO, "data": {
            "email_id": _cased(chance, own_id), "to": [_mailbox(chance, to)]}},), is_email=True),
    "brevo": Source("brevo", lambda chance: f"2026{_hex(chance, 8)}@smtp-relay.mailin.fr",
                    _of_mail(), (
        lambda chance, own_id, to: {
            "event": chance.choice(("delivered", "hard_bounce", "opened", "click", "unsubscribed")),
            "email": _cased(chance, to), "message-id": f"<{own_id}>", "ts_event": AT,
            "link": "https://x.test"},), is_email=True),
    "azure": Source("azure", _uuid, _of_mail(), (
        lambda chance, own_id, to: [{
            "id": "1", "eventTime": ISO,
            "eventType": "Microsoft.Communication.EmailDeliveryReportReceived",
            "data": {"messageId": _cased(chance, own_id), "recipient": _cased(chance, to),
                     "status": "Delivered", "deliveryAttemptTimeStamp": ISO}}],), is_email=True),
    "azure sms": Source("azure", _uuid, _any_case, (
        lambda chance, own_id, to: [{
            "id": "1", "eventTime": ISO,
            "eventType": "Microsoft.Communication.SMSDeliveryReportReceived",
            "data": {"messageId": own_id, "to": to, "from": "+15550100",
                     "deliveryStatus": "Delivered", "receivedTimestamp": ISO}}],)),
}  # fmt: skip
