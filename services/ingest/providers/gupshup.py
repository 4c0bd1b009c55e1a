"""Gupshup: credentials, and which of its formats a body has.

Source: Gupshup's webhook documentation (v2 and v3), as of September 2026. No signature is
documented: the address is the secret, or carries one.

- v3 is Meta's body with ``gs_app_id`` on top and ``gs_id`` in each status.
- v2 is Gupshup's own envelope: see `gupshup_v2.py`.
- Gupshup Enterprise, another product, has a format of its own: see `gupshup_enterprise.py`.

A message is known by its Gupshup id (``gsId``, ``gs_id``), which a send answers; only without one
by the id beside it. That rule holds for both formats, so that an account may switch.
"""

from collections.abc import Callable, Sequence
from typing import ClassVar, Final

import msgspec
from bluetick.v1.common_pb2 import EVENT_KIND_INFO, EVENT_KIND_QUEUED

from libs.runtime.accounts import Account
from libs.runtime.message_ids import is_canonical
from services.ingest.domain.fields import object_at, text
from services.ingest.domain.reading import Reading
from services.ingest.domain.times import MILLISECONDS_FROM
from services.ingest.providers import inbound, meta_inbound, meta_parts, meta_statuses
from services.ingest.providers.bodies import read_whole
from services.ingest.providers.decoding import form_object, json_object
from services.ingest.providers.gupshup_enterprise import (
    add_enterprise,
    is_enterprise,
    is_enterprise_form,
)
from services.ingest.providers.gupshup_v2 import add_billing, add_v2
from services.ingest.providers.meta_body import BodyReader, decode_object
from services.ingest.providers.meta_payload import (
    Status,
    decode_fields,
    decode_passed_on_body,
    decode_passed_on_status,
    tolerant_status,
)
from services.ingest.providers.meta_quick_pass import read_packed
from services.ingest.providers.provider import Authentic, Callback, Dialect, Names, Refused
from services.ingest.providers.static_credential import OPTIONS, SECRETS, check_static_credential
from services.ingest.providers.unsigned_door import without_noise

KIND_BY_STATUS: Final = {**meta_statuses.KIND_BY_STATUS, "enqueued": EVENT_KIND_QUEUED}


class Gupshup(Dialect):
    """The dialect of Gupshup, in all formats."""

    name = "gupshup"
    # Enterprise reports by GET if it is asked to.
    methods = frozenset({"GET", "POST"})
    secrets: ClassVar[Names] = SECRETS
    options: ClassVar[Names] = {**OPTIONS, **inbound.OPTIONS}

    def authenticate(self, callback: Callback, account: Account) -> Authentic | Refused:
        """Compare the static credential, if the account has one."""
        return check_static_credential(callback, account)

    def parse(self, callback: Callback, account: Account) -> Reading | Refused:
        """Read a body of either format."""
        reading = read_whole(callback, account, lambda empty: _read(empty, callback))
        return without_noise(reading, account)

    def parse_packed(self, callback: Callback, account: Account) -> Reading | Refused:
        """Read a body as ``parse`` does, with plain statuses of v3 as bytes."""
        if callback.method == "POST" and b'"gs_id"' in callback.body:
            reading = read_packed(callback, account, decode_passed_on_body, _renamed)
            if reading is not None:
                return reading
        return self.parse(callback, account)

    def whole_of(self, part: bytes, place: str, account: Account) -> bytes:
        """Return a body with nothing but ``part``."""
        return meta_parts.whole_of(part, place)


def _read(reading: Reading, callback: Callback) -> None:
    body = callback.body
    if callback.method == "GET":
        add_enterprise(reading, form_object(callback.query), callback.query.encode())
        return
    if is_enterprise_form(body):
        add_enterprise(reading, form_object(body.decode(errors="replace")), body)
        return
    if _is_v3(body):
        _PassedOnBody(reading, body).read()
        return
    fields = json_object(body)
    if is_enterprise(fields):
        add_enterprise(reading, fields, body)
    else:
        add_v2(reading, fields, body)


def _is_v3(body: bytes) -> bool:
    try:
        names = decode_fields(body).keys()
    except (ValueError, RecursionError):
        # Not yet mended; v2 bodies have no such name anywhere.
        return b'"entry"' in body
    return "entry" in names or "object" in names


def _renamed(statuses: Sequence[Status]) -> bool:
    """Give each its id of Gupshup's; False if one is not as nearly all are."""
    for status in statuses:
        message_id = status.gs_id  # type: ignore[attr-defined]
        if type(status.timestamp) is not str or not message_id or not is_canonical(message_id):
            return False
        status.id = message_id
    return True


class _PassedOnBody(BodyReader):
    def _read_status(self, raw: bytes) -> str:
        try:
            status: Status = decode_passed_on_status(raw)
            gupshup_id = status.gs_id  # type: ignore[attr-defined]
        except msgspec.MsgspecError:
            fields = decode_object(raw)
            status, gupshup_id = tolerant_status(fields), text(fields, "gs_id")
        status.id = gupshup_id or status.id
        given = status.timestamp
        if isinstance(given, int | float) and given >= MILLISECONDS_FROM:
            # `enqueued` tells milliseconds, and as a number.
            status.timestamp = given / 1000
        return meta_statuses.add_status(self._reading, status, raw, KIND_BY_STATUS, self._around)

    def _read_inbound(self, raw: bytes) -> str:
        message = decode_object(raw)
        for place, name in (("context", "id"), ("reaction", "message_id")):
            answered = object_at(message, place)
            if gupshup_id := text(answered, "gs_id"):
                message[place] = {**answered, name: gupshup_id}
        return meta_inbound.add_message(self._reading, message, raw, self._around)

    def _notice_reader(
        self, field: str, entry_time: object
    ) -> Callable[[bytes], str | None] | None:
        if field == "billing-event":
            return self._read_billing
        return super()._notice_reader(field, entry_time)

    def _read_billing(self, raw: bytes) -> None:
        # Gupshup tells no time here.
        billing = object_at(decode_object(raw), "billing")
        add_billing(self._reading, billing, self._reading.add_untimed(EVENT_KIND_INFO))
