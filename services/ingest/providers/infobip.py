"""Infobip: credentials, and which of its bodies a callback is.

Source: Infobip's API reference and its public SDKs, as of September 2026. What proves a callback is
what the operator put on the subscription: user and password, or a static header. (An HMAC is named
there, its header and text are not, so it is not read.)

- ``{"results": [...]}``: reports, seen reports and inbound messages, mixed; see
  `infobip_results.py`. Most come in batches.
- ``{"notificationType": ...}``: email tracking, one a body.
- ``{"content": {"notificationMessagesStatus": ...}}``: WhatsApp's marketing opt-out, one a body.
"""

from functools import partial
from typing import Any, ClassVar, Final

from bluetick.v1.common_pb2 import (
    CHANNEL_EMAIL,
    CHANNEL_WHATSAPP,
    EVENT_KIND_CLICKED,
    EVENT_KIND_COMPLAINED,
    EVENT_KIND_READ,
    EVENT_KIND_RESUBSCRIBED,
    EVENT_KIND_UNDELIVERED,
    EVENT_KIND_UNKNOWN,
    EVENT_KIND_UNSUBSCRIBED,
)
from bluetick.v1.event_pb2 import Event

from libs.runtime.accounts import Account
from libs.runtime.message_ids import bare_mailbox
from services.ingest.domain.act_ids import COMPLAINT, act_id
from services.ingest.domain.addresses import from_digits
from services.ingest.domain.fields import (
    Unreadable,
    first_text,
    needed_id,
    object_at,
    optional_id,
    reference,
    text,
    word,
)
from services.ingest.domain.machine_agents import machine_rule
from services.ingest.domain.reading import Reading
from services.ingest.domain.smtp_codes import smtp_codes
from services.ingest.domain.times import iso_us, milliseconds_or_seconds_us
from services.ingest.providers import inbound, static_credential
from services.ingest.providers.bodies import add_report, read_list, read_whole
from services.ingest.providers.decoding import UNREADABLE, json_fields, json_object, without_mark
from services.ingest.providers.email_events import URL_CHARACTERS_MAX
from services.ingest.providers.failures import explain
from services.ingest.providers.inbound import name_person
from services.ingest.providers.infobip_packed import read_packed
from services.ingest.providers.infobip_results import add_result
from services.ingest.providers.provider import Authentic, Callback, Dialect, Names, Refused
from services.ingest.providers.static_credential import check_static_credential
from services.ingest.providers.unsigned_door import without_noise

KIND_BY_TRACKING: Final = {
    "OPENED": EVENT_KIND_READ,
    "CLICKED": EVENT_KIND_CLICKED,
    "COMPLAINED": EVENT_KIND_COMPLAINED,
    # The receiving server took it and sent it back later.
    "LATE_BOUNCE": EVENT_KIND_UNDELIVERED,
    "UNSUBSCRIBED": EVENT_KIND_UNSUBSCRIBED,
}
# The values are not documented; these are the words seen, and their opposites.
KIND_BY_PREFERENCE: Final = {
    "STOP": EVENT_KIND_UNSUBSCRIBED,
    "STOPPED": EVENT_KIND_UNSUBSCRIBED,
    "OPT_OUT": EVENT_KIND_UNSUBSCRIBED,
    "OPTED_OUT": EVENT_KIND_UNSUBSCRIBED,
    "RESUME": EVENT_KIND_RESUBSCRIBED,
    "RESUMED": EVENT_KIND_RESUBSCRIBED,
    "OPT_IN": EVENT_KIND_RESUBSCRIBED,
    "OPTED_IN": EVENT_KIND_RESUBSCRIBED,
}
# What each act of the tracking is called in its identity.
ACTS: Final = {
    EVENT_KIND_READ: "open",
    EVENT_KIND_CLICKED: "click",
    EVENT_KIND_UNSUBSCRIBED: "unsubscribe",
}


class Infobip(Dialect):
    """The dialect of Infobip, for SMS, WhatsApp and email."""

    name = "infobip"
    secrets: ClassVar[Names] = static_credential.SECRETS
    options: ClassVar[Names] = {**static_credential.OPTIONS, **inbound.OPTIONS}

    def authenticate(self, callback: Callback, account: Account) -> Authentic | Refused:
        """Compare user and password, or the static header, with any live one."""
        return check_static_credential(callback, account)

    def parse(self, callback: Callback, account: Account) -> Reading | Refused:
        """Read a body of any of the three forms."""
        reading = read_whole(callback, account, lambda empty: _read(empty, callback.body))
        return without_noise(reading, account)

    def parse_packed(self, callback: Callback, account: Account) -> Reading | Refused:
        """Read a body as ``parse`` does, with plain reports as bytes."""
        return read_packed(callback, account) or self.parse(callback, account)

    def whole_of(self, part: bytes, place: str, account: Account) -> bytes:
        """Return results with nothing but ``part``."""
        return b'{"results":[%s]}' % part


def _read(reading: Reading, body: bytes) -> None:
    results = _results(body)
    if results is not None:
        read_list(reading, results, partial(add_result, reading), whole=body)
        return
    fields = json_object(body)
    if "notificationType" in fields:
        _add_tracking(reading, fields, body)
    elif "notificationMessagesStatus" in object_at(fields, "content"):
        _add_preference(reading, fields, body)
    elif "messageId" in fields or "event" in fields:
        # One result without its list.
        add_result(reading, fields, body)
    else:
        raise Unreadable("BODY_NOT_OF_FORM", "results: missing, and nothing else that is known")


def _results(body: bytes) -> bytes | None:
    try:
        found = json_fields(without_mark(body)).get("results")
    except UNREADABLE:
        # `json_object` says what is wrong with it.
        return None
    return None if found is None else bytes(found)


def _add_tracking(reading: Reading, fields: dict[str, Any], body: bytes) -> None:
    kind_word = word(fields, "notificationType")
    kind = KIND_BY_TRACKING.get(kind_word)
    # Milliseconds, and named after the sending although it is the moment of the event.
    time_us = milliseconds_or_seconds_us(fields.get("sendDateTime"))
    # A number in one of the SDKs, a text in another.
    message_id = needed_id(fields, "messageId", reason="EVENT_WITHOUT_ID")
    recipient = bare_mailbox(optional_id(fields, "recipient", "to"))
    event = add_report(reading, kind, kind_word, time_us, message_id, body)
    reading.name_message(event, message_id, recipient)
    event.address = recipient
    event.channel = CHANNEL_EMAIL
    event.message_ref = reference(fields, "callbackData")
    if kind == EVENT_KIND_UNDELIVERED:
        detail = first_text(fields, "reason", "description")
        own = [first_text(fields, "bounceCode", "errorCode"), text(fields, "error", "id")]
        explain(reading, event, [*smtp_codes(*own, detail).exact, *own], detail)
    elif kind is not None:
        _add_act(event, fields, time_us)


def _add_act(event: Event, fields: dict[str, Any], time_us: int | None) -> None:
    agent = first_text(fields, "userAgent") or text(fields, "recipientInfo", "userAgent")
    rule = machine_rule(agent)
    if event.kind == EVENT_KIND_READ and not rule:
        return
    engagement = event.engagement
    url = text(fields, "url")
    if event.kind == EVENT_KIND_COMPLAINED:
        engagement.act_id = COMPLAINT
    else:
        engagement.act_id = act_id(ACTS[event.kind], event.address, time_us, url, agent)
    engagement.url = url if len(url) <= URL_CHARACTERS_MAX else ""
    if rule:
        engagement.is_machine = True
        engagement.machine_rule = rule


def _add_preference(reading: Reading, fields: dict[str, Any], body: bytes) -> None:
    content = object_at(fields, "content")
    choice = word(content, "notificationMessagesStatus")
    kind = KIND_BY_PREFERENCE.get(choice.upper())
    created = fields.get("createdAt")
    event = reading.add(EVENT_KIND_UNKNOWN if kind is None else kind, iso_us(created))
    event.provider_word = choice
    # The outer `from` is the business.
    person = optional_id(content, "from")
    name_person(event, from_digits(person))
    event.own_address = from_digits(optional_id(fields, "from"))
    event.channel = CHANNEL_WHATSAPP
    if kind is None:
        event.raw = body
    else:
        event.detail = "marketing_messages"
        event.engagement.act_id = act_id("preference", person, iso_us(created), choice)
