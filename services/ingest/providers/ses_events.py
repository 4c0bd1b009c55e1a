"""Amazon SES's events: from its words to ours, one event for each recipient.

Both shapes are read: ``eventType`` of event publishing and ``notificationType`` of the older
feedback notifications. Whoever has both on gets each event twice, with different ids; the merge
makes one of them, and acts are identified by what they tell.

Code of a bounce: "<bounceType>/<bounceSubType>" ("Permanent/NoEmail"), or the SMTP status where SES
does not know the cause; of a rejection "Reject", of a template "RenderingFailure".
"""

import binascii
from base64 import b64decode
from collections.abc import Mapping
from typing import Any, Final

from bluetick.v1.common_pb2 import (
    EVENT_KIND_CLICKED,
    EVENT_KIND_COMPLAINED,
    EVENT_KIND_DEFERRED,
    EVENT_KIND_DELIVERED,
    EVENT_KIND_DROPPED,
    EVENT_KIND_INFO,
    EVENT_KIND_READ,
    EVENT_KIND_RESUBSCRIBED,
    EVENT_KIND_SENT,
    EVENT_KIND_UNDELIVERED,
    EVENT_KIND_UNKNOWN,
    EVENT_KIND_UNSUBSCRIBED,
)
from bluetick.v1.event_pb2 import Event

from libs.runtime.message_ids import bare_mailbox
from services.ingest.domain.fields import (
    Unreadable,
    identity,
    list_at,
    object_at,
    text,
    words,
)
from services.ingest.domain.smtp_codes import is_permanent, smtp_codes
from services.ingest.domain.times import iso_us
from services.ingest.providers.decoding import json_object
from services.ingest.providers.email_events import (
    URL_CHARACTERS_MAX,
    EmailEvents,
    set_choice,
    set_click,
    set_open,
)
from services.ingest.providers.email_replies import (
    add_email_reply,
    answered_message_id,
    headers_of,
)
from services.ingest.providers.failures import explain
from services.ingest.providers.mime import read_email

KIND_BY_EVENT: Final = {
    "Send": EVENT_KIND_SENT,
    "Delivery": EVENT_KIND_DELIVERED,
    "DeliveryDelay": EVENT_KIND_DEFERRED,
    "Bounce": EVENT_KIND_UNDELIVERED,
    "Reject": EVENT_KIND_DROPPED,
    "Rendering Failure": EVENT_KIND_DROPPED,
    "Open": EVENT_KIND_READ,
    "Click": EVENT_KIND_CLICKED,
    "Complaint": EVENT_KIND_COMPLAINED,
    # In or out, by what it says.
    "Subscription": EVENT_KIND_INFO,
    "AmazonSnsSubscriptionSucceeded": EVENT_KIND_INFO,
}
# Word -> name of the object that goes with it, where it is not the word itself.
_PART_BY_EVENT: Final = {"Rendering Failure": "failure", "DeliveryDelay": "deliveryDelay"}
# Where each event lists whom it concerns; without a list it concerns all destinations.
_LIST_BY_EVENT: Final = {
    "Delivery": "recipients",
    "DeliveryDelay": "delayedRecipients",
    "Bounce": "bouncedRecipients",
    "Complaint": "complainedRecipients",
}
# SES takes 50; more are no email of its.
RECIPIENTS_MAX: Final = 1_000
# A mailbox provider says that the person took the complaint back.
NOT_SPAM: Final = "not-spam"
# SES did not send: an earlier complaint, not one about this email.
SUPPRESSED_BY_COMPLAINT: Final = "OnAccountSuppressionList"


def add_ses_event(
    emails: EmailEvents, envelope: Mapping[str, Any], message: bytes, receive_time_us: int
) -> None:
    """Add what the ``message`` of a notification says, for each recipient.

    Raises:
        Unreadable: it is no JSON object, or lacks what it cannot do without.
    """
    fields = json_object(message)
    word = words(fields, "eventType") or words(fields, "notificationType")
    mail = object_at(fields, "mail")
    if word == "Received":
        _add_inbound(emails, mail, fields)
        return
    kind = KIND_BY_EVENT.get(word)
    if kind is None:
        # Another publisher on the same topic, or a word of tomorrow.
        unknown = emails.add(
            EVENT_KIND_UNKNOWN,
            iso_us(envelope.get("Timestamp")),
            word=word,
            message_id=identity(mail, "messageId"),
        )
        unknown.raw = message
        return
    part = object_at(fields, _PART_BY_EVENT.get(word, word.lower()))
    # Sending and refusing have no time of their own.
    moments = (part.get("timestamp"), mail.get("timestamp"), envelope.get("Timestamp"))
    time_us = next((found for moment in moments if (found := iso_us(moment)) is not None), None)
    for recipient, own in _recipients(word, part, mail):
        event = emails.add(
            kind,
            time_us,
            word=word,
            message_id=identity(mail, "messageId"),
            recipient=recipient,
            message_ref=emails.ref_in(mail.get("tags")),
        )
        _explain(emails, event, part, own, time_us)


def _recipients(
    word: str, part: Mapping[str, Any], mail: Mapping[str, Any]
) -> list[tuple[str, Mapping[str, Any]]]:
    """Return each recipient with what is said of them alone; at least one, be it nobody.

    Raises:
        Unreadable: there are more than SES can have sent to.
    """
    listed = list_at(part, _LIST_BY_EVENT.get(word, "")) or list_at(mail, "destination")
    if len(listed) > RECIPIENTS_MAX:
        raise Unreadable("RECIPIENTS_TOO_MANY", f"more than {RECIPIENTS_MAX} recipients")
    found: dict[str, Mapping[str, Any]] = {}
    sent_to = [bare_mailbox(one) for one in list_at(mail, "destination") if isinstance(one, str)]
    for entry in listed:
        own = {"emailAddress": entry} if isinstance(entry, str) else entry
        mailbox = identity(own, "emailAddress")
        if mailbox and len(sent_to) == 1 and not _is_same(mailbox, sent_to[0]):
            # Forwarded: what happens to it there happens to the one that it was sent to.
            mailbox = sent_to[0]
        if mailbox:
            found.setdefault(mailbox, own)
    return list(found.items()) or [("", {})]


def _is_same(mailbox: str, other: str) -> bool:
    return bare_mailbox(mailbox).lower() == other.lower()


def _explain(
    emails: EmailEvents,
    event: Event,
    part: Mapping[str, Any],
    own: Mapping[str, Any],
    time_us: int | None,
) -> None:
    word = event.provider_word
    reading = emails.reading
    if word == "Bounce":
        _explain_bounce(emails, event, part, own)
    elif word == "DeliveryDelay":
        diagnosis = words(own, "diagnosticCode")
        codes = smtp_codes(words(own, "status"), diagnosis)
        told = [*codes.exact, *codes.vague, words(part, "delayType")]
        explain(reading, event, told, diagnosis)
    elif word == "Reject":
        explain(reading, event, ["Reject"], words(part, "reason"))
    elif word == "Rendering Failure":
        explain(reading, event, ["RenderingFailure"], words(part, "errorMessage"))
    elif word == "Delivery":
        event.detail = words(part, "smtpResponse")
    elif word == "Open":
        set_open(event, time_us, words(part, "userAgent"))
    elif word == "Click":
        url = words(part, "link", characters_max=URL_CHARACTERS_MAX)
        set_click(event, time_us, url, words(part, "userAgent"))
        event.engagement.link_id = _first(object_at(part, "linkTags").get("link_id"))
    elif word == "Complaint":
        _explain_complaint(emails, event, part, time_us)
    elif word == "Subscription":
        _explain_subscription(emails, event, part, time_us)


def _explain_bounce(
    emails: EmailEvents, event: Event, part: Mapping[str, Any], own: Mapping[str, Any]
) -> None:
    """Take SES's own words, unless they leave open what the mail server's code says for good."""
    main, sub = words(part, "bounceType"), words(part, "bounceSubType")
    diagnosis = words(own, "diagnosticCode")
    codes = smtp_codes(words(own, "status"), diagnosis)
    named = f"{main}/{sub}" if main else ""
    is_label_soft = main == "Transient" and any(map(is_permanent, codes.exact))
    if is_label_soft or main in ("", "Undetermined"):
        told = [*codes.exact, named]
    else:
        told = [named, *codes.exact]
    told += [f"{main}/General" if main else "", *codes.vague]
    explain(emails.reading, event, told, diagnosis or named)


def _explain_complaint(
    emails: EmailEvents, event: Event, part: Mapping[str, Any], time_us: int | None
) -> None:
    feedback, sub = words(part, "complaintFeedbackType"), words(part, "complaintSubType")
    event.detail = feedback or sub
    if feedback == NOT_SPAM:
        event.kind = EVENT_KIND_INFO
        return
    set_choice(event, time_us)
    if sub == SUPPRESSED_BY_COMPLAINT:
        event.engagement.by_failure = True
        dropped = emails.reading.add_beside(event)
        dropped.kind = EVENT_KIND_DROPPED
        explain(emails.reading, dropped, [f"Complaint/{sub}"], sub)


def _explain_subscription(
    emails: EmailEvents, event: Event, part: Mapping[str, Any], time_us: int | None
) -> None:
    """Say who left and who came back: of everything, or of one topic of a contact list."""
    old, new = object_at(part, "oldTopicPreferences"), object_at(part, "newTopicPreferences")
    before, after = _choices(old), _choices(new)
    # Without the old choices any choice of a topic is new.
    unknown = "" if before else "OptOut"
    is_left = any(
        choice == "OptOut" and before.get(topic) != "OptOut" for topic, choice in after.items()
    )
    is_back = after.get("") != "OptOut" and any(
        choice == "OptIn" and before.get(topic, unknown if topic else "") == "OptOut"
        for topic, choice in after.items()
    )
    event.detail = words(part, "contactList")
    kinds = [EVENT_KIND_UNSUBSCRIBED] * is_left + [EVENT_KIND_RESUBSCRIBED] * is_back
    for index, kind in enumerate(kinds):
        choice_event = event if index == 0 else emails.reading.add_beside(event)
        choice_event.kind = kind
        choice_event.detail = event.detail
        set_choice(choice_event, time_us, text(part, "contactList"))


def _choices(preferences: Mapping[str, Any]) -> dict[str, str]:
    """Return the choice of each topic; that of all topics has an empty name."""
    choices = {
        text(topic, "topicName"): text(topic, "subscriptionStatus")
        for topic in list_at(preferences, "topicSubscriptionStatus")
    }
    left_all = preferences.get("unsubscribeAll")
    if isinstance(left_all, bool):
        choices[""] = "OptOut" if left_all else "OptIn"
    return choices


def _add_inbound(emails: EmailEvents, mail: Mapping[str, Any], fields: Mapping[str, Any]) -> None:
    headers = headers_of(list_at(mail, "headers"))
    written = ""
    if content := text(fields, "content"):
        raw_headers, written = read_email(_raw_email(content, fields))
        headers = {**raw_headers, **headers}
    senders = list_at(object_at(mail, "commonHeaders"), "from")
    if "from" not in headers and senders:
        headers["from"] = text({"from": senders[0]}, "from")
    answered, _, domain = answered_message_id(headers).partition("@")
    recipients = list_at(object_at(fields, "receipt"), "recipients") or list_at(mail, "destination")
    add_email_reply(
        emails,
        headers,
        time_us=iso_us(mail.get("timestamp")),
        word="Received",
        inbound_id=identity(mail, "messageId"),
        sender=identity(mail, "source"),
        # SES makes the header of its own id: "<id@eu-west-1.amazonses.com>".
        answered_id=answered if domain.endswith("amazonses.com") else "",
        text=written.replace("\x00", ""),
        subject=words(headers, "subject") or words(mail, "commonHeaders", "subject"),
        own_address=text({"to": recipients[0]}, "to") if recipients else "",
    )


def _raw_email(content: str, fields: Mapping[str, Any]) -> bytes:
    """Return the email that the action of the receipt rule put beside its headers."""
    raw = content.encode(errors="replace")
    if text(fields, "receipt", "action", "encoding").upper() != "BASE64":
        return raw
    try:
        return b64decode(raw[: len(raw) // 4 * 4])
    except binascii.Error:
        return b""


def _first(value: object) -> str:
    found = value[0] if isinstance(value, list) and value else value
    return found.replace("\x00", "")[:128] if isinstance(found, str) else ""
