"""The shapes of Meta's webhook bodies, and how to look into them without trusting them.

Source: Meta's webhook reference for the WhatsApp Business Platform, as of September 2026.
"""

from collections.abc import Iterable
from functools import lru_cache
from itertools import islice
from typing import Any

import msgspec
from msgspec import Raw

from libs.runtime.addresses import bare_phone
from services.ingest.domain.addresses import from_digits
from services.ingest.domain.fields import (
    IDENTITY_CHARACTERS_MAX,
    WORD_CHARACTERS_MAX,
    list_at,
    object_at,
    text,
)

WHATSAPP = "whatsapp_business_account"
# People whose names one ``value`` tells.
CONTACTS_MAX = 1_000
# Errors of one status that are looked at.
ERRORS_KEPT = 16


# Longest number of our own that is kept in its one form.
_PHONE_CHARACTERS_MAX = 40


class ErrorData(msgspec.Struct, gc=False):
    """Where Meta says what exactly went wrong."""

    details: str | None = None


class Error(msgspec.Struct, gc=False):
    """One entry of ``errors``. Only the code is always there; titles are not to be relied on."""

    code: int | str | None = None
    title: str | None = None
    message: str | None = None
    error_data: ErrorData | None = None

    def code_text(self) -> str:
        """Return the code as text; empty if there is none."""
        return "" if self.code is None else str(self.code)[:WORD_CHARACTERS_MAX]

    def detail_text(self) -> str:
        """Return the most exact words that came with the code."""
        exact = self.error_data.details if self.error_data else None
        return (exact or self.message or self.title or "")[:1_000]


class Pricing(msgspec.Struct, gc=False):
    """What Meta says it charges. ``billable`` is to be withdrawn, so it may be missing."""

    billable: bool | None = None
    pricing_model: str | None = None
    type: str | None = None
    category: str | None = None


class Status(msgspec.Struct, gc=False):
    """One entry of ``statuses``. Nearly everything can be missing, and was seen missing."""

    id: str | None = None
    status: str | None = None
    timestamp: str | int | float | None = None
    recipient_id: str | None = None
    recipient_user_id: str | None = None
    # Both spellings of the parent id are in use.
    parent_recipient_user_id: str | None = None
    recipient_parent_user_id: str | None = None
    recipient_participant_id: str | None = None
    recipient_participant_user_id: str | None = None
    biz_opaque_callback_data: str | None = None
    pricing: Pricing | None = None
    errors: list[Error] | None = None
    type: str | None = None


class Contact(msgspec.Struct, gc=False):
    """Names of one person: a phone, and ids that are this business's or its parent's own."""

    wa_id: str | None = None
    user_id: str | None = None
    parent_user_id: str | None = None


class Metadata(msgspec.Struct, gc=False):
    """The business's own number."""

    display_phone_number: str | None = None


class _StatusesValue(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    statuses: list[Status]
    messaging_product: Raw = Raw()
    metadata: Metadata | None = None
    contacts: list[Contact] | None = None


class _StatusesChange(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    field: str
    value: _StatusesValue


class _StatusesEntry(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    changes: list[_StatusesChange]
    id: Raw = Raw()
    time: Raw = Raw()


class StatusesBody(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """A body that holds statuses and nothing else: nearly all bodies, read in one pass."""

    object: str
    entry: list[_StatusesEntry]


class PassedOnStatus(Status, gc=False):
    """A status as Gupshup passes it on, with an id of its own."""

    gs_id: str | None = None


class _PassedOnValue(_StatusesValue, gc=False, forbid_unknown_fields=True):
    statuses: list[PassedOnStatus]  # type: ignore[assignment]


class _PassedOnChange(_StatusesChange, gc=False, forbid_unknown_fields=True):
    value: _PassedOnValue


class _PassedOnEntry(_StatusesEntry, gc=False, forbid_unknown_fields=True):
    changes: list[_PassedOnChange]  # type: ignore[assignment]


class PassedOnBody(StatusesBody, gc=False, forbid_unknown_fields=True):
    """The same as Gupshup passes it on."""

    entry: list[_PassedOnEntry]  # type: ignore[assignment]
    gs_app_id: Raw = Raw()


class Around:
    """What one ``value`` says beside its items: our number, and who else its people are."""

    __slots__ = ("_names", "only_person", "own_address")

    def __init__(self, display_phone_number: str = "", contacts: Iterable[Contact] = ()) -> None:
        """Take the number as Meta shows it, and the ``contacts``."""
        # A few numbers of our own, in every callback; what is longer is none.
        is_number = len(display_phone_number) <= _PHONE_CHARACTERS_MAX
        self.own_address = _own_phone(display_phone_number) if is_number else ""
        people = [
            tuple(filter(None, (contact.wa_id, contact.user_id, contact.parent_user_id)))
            for contact in islice(contacts, CONTACTS_MAX)
        ]
        self._names = {name: names for names in people if len(names) > 1 for name in names}
        # Phone and ids of the only contact; empty if there are several or none.
        self.only_person: tuple[str, ...] = people[0] if len(people) == 1 else ()

    @classmethod
    def of(cls, value: Any) -> "Around":
        """Read a decoded ``value`` whose types may be any."""
        contacts = [
            Contact(text(item, "wa_id"), text(item, "user_id"), text(item, "parent_user_id"))
            for item in list_at(value, "contacts")[:CONTACTS_MAX]
        ]
        return cls(text(value, "metadata", "display_phone_number"), contacts)

    @property
    def has_names(self) -> bool:
        """Whether more than one name is told of anybody."""
        return bool(self._names)

    def others(self, *told: str | None) -> tuple[str, ...]:
        """Return all names of the person whose names ``told`` are, in one form each."""
        names = [name for name in told if name]
        known = self._names
        if known:
            names += [other for name in list(names) for other in known.get(name, ())]
        return tuple(from_digits(name) for name in names if len(name) <= IDENTITY_CHARACTERS_MAX)


def only_number(display_phone_number: str) -> Around:
    """Return an ``Around`` without contacts, not to be changed: nearly all values are such."""
    if len(display_phone_number) <= _PHONE_CHARACTERS_MAX:
        return _only_number(display_phone_number)
    return Around(display_phone_number)


@lru_cache(maxsize=4_096)
def _only_number(display_phone_number: str) -> Around:
    return Around(display_phone_number)


@lru_cache(maxsize=4_096)
def _own_phone(display_phone_number: str) -> str:
    return bare_phone(display_phone_number) if display_phone_number else ""


NOTHING_AROUND = Around()
decode_statuses_body = msgspec.json.Decoder(StatusesBody).decode
decode_passed_on_body = msgspec.json.Decoder(PassedOnBody).decode
decode_passed_on_status = msgspec.json.Decoder(PassedOnStatus).decode
decode_status = msgspec.json.Decoder(Status).decode
decode_error = msgspec.json.Decoder(Error).decode
decode_any = msgspec.json.Decoder().decode
decode_fields = msgspec.json.Decoder(dict[str, Raw]).decode
decode_items = msgspec.json.Decoder(list[Raw]).decode


def tolerant_status(fields: dict[str, Any]) -> Status:
    """Read a status whose types drifted (a number where a text was): what can be used is used."""
    errors = fields.get("errors")
    pricing = object_at(fields, "pricing")
    billable = pricing.get("billable")
    timestamp = fields.get("timestamp")
    names = [
        name for name in Status.__struct_fields__ if name not in {"timestamp", "pricing", "errors"}
    ]
    return Status(
        **{name: text(fields, name) for name in names},
        timestamp=timestamp if isinstance(timestamp, str | int | float) else None,
        pricing=Pricing(
            billable=billable if isinstance(billable, bool) else None,
            pricing_model=text(pricing, "pricing_model"),
            type=text(pricing, "type"),
            category=text(pricing, "category"),
        )
        if pricing
        else None,
        errors=[tolerant_error(error) for error in errors[:ERRORS_KEPT]]
        if isinstance(errors, list)
        else None,
    )


def tolerant_error(fields: Any) -> Error:
    """Read an error whose types drifted."""
    return Error(
        code=text(fields, "code") or None,
        title=text(fields, "title"),
        message=text(fields, "message"),
        error_data=ErrorData(details=text(fields, "error_data", "details")),
    )
