"""From a body and a dialect to events."""

import re
from typing import Any, Final

import msgspec
from bluetick.v1.common_pb2 import (
    EVENT_KIND_COMPLAINED,
    EVENT_KIND_INFO,
    EVENT_KIND_RESUBSCRIBED,
    EVENT_KIND_UNKNOWN,
    EVENT_KIND_UNSUBSCRIBED,
)
from bluetick.v1.event_pb2 import Event

from services.ingest.domain.act_ids import act_id
from services.ingest.domain.addresses import from_digits
from services.ingest.domain.fields import IDENTITY_CHARACTERS_MAX, WORD_CHARACTERS_MAX, Unreadable
from services.ingest.domain.reading import Reading
from services.ingest.providers.bodies import add_unknown, read_list
from services.ingest.providers.decoding import form_object, json_value, without_mark
from services.ingest.providers.failures import STAGE_BY_KIND, explain
from services.ingest.providers.generic_dialect import Dialect
from services.ingest.providers.generic_inbound import add_generic_inbound, is_inbound
from services.ingest.providers.generic_presets import detect
from services.ingest.providers.generic_values import (
    Paths,
    receipt_fields,
    text_at,
    time_us_at,
    value_at,
)
from services.ingest.providers.provider import Callback

_CONSENT: Final = frozenset(
    {EVENT_KIND_COMPLAINED, EVENT_KIND_RESUBSCRIBED, EVENT_KIND_UNSUBSCRIBED}
)
_MASK_DIGITS_MAX: Final = 9
_DIGITS: Final = re.compile(r"[0-9]{1,4}")
# A text of 10 KB has that many; more are a mistake.
PARTS_MAX: Final = 255


def add_receipts(reading: Reading, callback: Callback, dialect: Dialect | None) -> None:
    """Add what a callback says; without a dialect, by the preset that its body looks like.

    Raises:
        Unreadable: the body is not of the dialect's form, or like no preset.
    """
    body = _decoded(callback, "any" if dialect is None else dialect.format)
    known = dialect or detect(body)
    if known is None:
        raise Unreadable("BODY_NOT_OF_A_KNOWN_FORM", "no preset fits the shape of the body")
    if known.answer:
        reading.answer_body = known.answer.encode()
    receipts = _Receipts(reading, known, body, callback.receive_time_us)
    raw = callback.body or callback.query.encode(errors="replace")
    if isinstance(body, list):
        read_list(reading, without_mark(callback.body), receipts.add)
    elif _is_leave(known, body):
        _add_leave(reading, known, body)
    elif is_inbound(known, body):
        add_generic_inbound(reading, known, body, callback.receive_time_us)
    elif known.items and known.event and value_at(body, body, (known.items,)) is None:
        _add_other(reading, known, body, raw, callback.receive_time_us)
    elif known.items:
        items = value_at(body, body, (known.items,))
        if not isinstance(items, list):
            path = ".".join(map(str, known.items))
            raise Unreadable("LIST_MISSING", f"{path}: missing, or no list")
        read_list(reading, msgspec.json.encode(items), receipts.add)
        if reading.batch.quarantined:
            # An item means nothing without the fields around the list: the whole is kept.
            odd = reading.batch.quarantined[0]
            reason, detail = odd.reason, odd.detail
            del reading.batch.quarantined[:]
            reading.quarantine(reason, f"items{detail}", callback.body, is_part=False)
    else:
        receipts.add(body, raw)


def _is_leave(dialect: Dialect, body: Any) -> bool:
    """Say whether a body tells that somebody left, by nothing but who and whose list."""
    return bool(dialect.leaver) and {dialect.leaver, dialect.left} == set(body)


def _add_leave(reading: Reading, dialect: Dialect, body: Any) -> None:
    event = reading.add_untimed(EVENT_KIND_UNSUBSCRIBED)
    event.address = from_digits(text_at(body, body, ((dialect.leaver,),)))
    event.own_address = text_at(body, body, ((dialect.left,),))
    event.provider_word = "opt-out"
    event.engagement.act_id = act_id("opt-out", event.address, None, event.own_address)


def _add_other(
    reading: Reading, dialect: Dialect, body: Any, raw: bytes, receive_time_us: int
) -> None:
    """Add a callback of another product of the same source: no message of ours moves.

    Raises:
        Unreadable: it does not say what it is.
    """
    named = text_at(body, body, dialect.event)
    if not named:
        raise Unreadable("EVENT_MISSING", "neither a list of receipts nor the name of an event")
    told = value_at(body, body, dialect.time)
    time_us = time_us_at(told, dialect.time_formats, dialect.zone, receive_time_us)
    if named.startswith("message"):
        add_unknown(reading, named, time_us, raw)
    else:
        reading.add(EVENT_KIND_INFO, time_us).provider_word = named[:WORD_CHARACTERS_MAX]


def _decoded(callback: Callback, form: str) -> Any:
    """Return the callback's fields, or its list of them.

    Raises:
        Unreadable: it is not of the form.
    """
    body = callback.body
    if form == "query" or (form == "any" and (callback.method == "GET" or not body.strip())):
        return form_object(callback.query)
    body = without_mark(body)
    first = body.lstrip()[:1]
    if form in ("json", "array") or (form == "any" and first in (b"{", b"[")):
        return _decoded_json(body, form)
    text = body.decode(errors="replace")
    if form == "any" and receipt_fields(text):
        # The receipt itself, as it came from the message centre.
        return {"receipt": text}
    return form_object(text)


def _decoded_json(body: bytes, form: str) -> Any:
    decoded = json_value(body)
    wanted = {"json": dict, "array": list}.get(form, (dict, list))
    if not isinstance(decoded, wanted):
        raise Unreadable("BODY_NOT_OF_THE_FORM", f"the body is JSON, but not of the form {form}")
    return decoded


class _Receipts:
    """Adds the receipts of one body."""

    def __init__(self, reading: Reading, dialect: Dialect, body: Any, receive_time_us: int) -> None:
        self._reading = reading
        self._dialect = dialect
        self._body = body
        self._receive_time_us = receive_time_us

    def add(self, item: dict[str, Any], raw: bytes) -> None:
        """Add one receipt.

        Raises:
            Unreadable: it lacks its id or its status.
        """
        dialect = self._dialect
        if is_inbound(dialect, item):
            add_generic_inbound(self._reading, dialect, item, self._receive_time_us)
            return
        if dialect.receipt:
            item = {**item, "receipt": self._receipt(item)}
        status = self._text(item, dialect.status)
        if not status:
            raise Unreadable("RECEIPT_WITHOUT_STATUS", "the status is missing or empty")
        recipient = self._identity(item, dialect.recipient)
        message_id = self._message_id(item, recipient)
        kind = self._kind(status)
        time_us, is_told = self._time_us(item)
        reading = self._reading
        event = reading.add(kind, time_us) if is_told else reading.add_untimed(kind)
        self._reading.name_message(event, message_id)
        event.provider_word = status[:WORD_CHARACTERS_MAX]
        event.own_address = from_digits(self._identity(item, dialect.sender))
        self._set_part(event, item, message_id)
        # A plus sign in a query means a blank to whoever decodes it.
        event.address = from_digits(recipient)
        event.message_ref = self._identity(item, dialect.reference)
        if kind == EVENT_KIND_UNKNOWN:
            event.raw = raw
        elif kind in STAGE_BY_KIND:
            code, detail = self._text(item, dialect.error), self._text(item, dialect.detail)
            explain(
                self._reading, event, [code], detail,
                known_as=status, vocabulary=dialect.vocabulary,
            )  # fmt: skip
        elif kind in _CONSENT:
            event.engagement.act_id = act_id(status, recipient, time_us if is_told else None)

    def _set_part(self, event: Event, item: dict[str, Any], message_id: str) -> None:
        part = self._identity(item, self._dialect.part)
        if not part or part == message_id:
            return
        event.part_id = part
        counts = [
            int(digits) for digits in _DIGITS.findall(self._text(item, self._dialect.part_count))
        ]
        event.part_count = max(counts, default=0) if max(counts, default=0) <= PARTS_MAX else 0

    def _receipt(self, item: dict[str, Any]) -> dict[str, str]:
        for path in self._dialect.receipt:
            if fields := receipt_fields(self._text(item, (path,))):
                return fields
        return {}

    def _message_id(self, item: dict[str, Any], recipient: str) -> str:
        message_id = self._identity(item, self._dialect.id)
        if not message_id:
            raise Unreadable("RECEIPT_WITHOUT_ID", "the id is missing or empty")
        recipients = value_at(item, self._body, self._dialect.recipients)
        if recipient and isinstance(recipients, list) and len(recipients) > 1:
            message_id = f"{message_id}/{recipient}"
        if len(message_id) > IDENTITY_CHARACTERS_MAX:
            raise Unreadable("ID_TOO_LONG", f"longer than {IDENTITY_CHARACTERS_MAX} characters")
        return message_id

    def _kind(self, status: str) -> int:
        statuses = self._dialect.statuses
        if not self._dialect.is_mask:
            plain = status.casefold()
            found = statuses.get(plain)
            # Old interfaces pad their numbers: "004".
            return found or statuses.get(plain.lstrip("0"), EVENT_KIND_UNKNOWN)
        if not (status.isdecimal() and status.isascii() and len(status) <= _MASK_DIGITS_MAX):
            return EVENT_KIND_UNKNOWN
        bits = int(status)
        for bit, kind in statuses.items():
            if bit.isdecimal() and bits & int(bit):
                return kind
        return EVENT_KIND_UNKNOWN

    def _time_us(self, item: dict[str, Any]) -> tuple[int | None, bool]:
        """Return the time, None if it is none, and whether one was told or at least promised."""
        dialect = self._dialect
        value = value_at(item, self._body, dialect.time)
        if value is None:
            return None, dialect.is_time_promised
        time_us = time_us_at(value, dialect.time_formats, dialect.zone, self._receive_time_us)
        # What is there and no time must not be taken for a repeat of every other such report.
        return time_us, True

    def _identity(self, item: dict[str, Any], paths: Paths) -> str:
        found = text_at(item, self._body, paths)
        if len(found) > IDENTITY_CHARACTERS_MAX:
            raise Unreadable("ID_TOO_LONG", f"longer than {IDENTITY_CHARACTERS_MAX} characters")
        return found

    def _text(self, item: dict[str, Any], paths: Paths) -> str:
        return text_at(item, self._body, paths)
