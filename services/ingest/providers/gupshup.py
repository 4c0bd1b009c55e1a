"""Gupshup: credentials, and which of its two formats a body has.

Source: Gupshup's webhook documentation (v2 and v3), as of September 2026. No signature is
documented: the address is the secret, or carries one.

- v3 is Meta's body with ``gs_app_id`` on top and ``gs_id`` in each status.
- v2 is Gupshup's own envelope: see `gupshup_v2.py`.

A message is known by its Gupshup id (``gsId``, ``gs_id``), which a send answers; only without one
by the id beside it. That rule holds for both formats, so that an account may switch.
"""

from collections.abc import Callable
from typing import Final

import msgspec
from bluetick.v1.common_pb2 import EVENT_KIND_QUEUED

from libs.runtime.accounts import Account
from services.ingest.domain.fields import object_at, text
from services.ingest.domain.reading import Reading
from services.ingest.providers import meta_inbound, meta_parts, meta_statuses
from services.ingest.providers.gupshup_v2 import MILLISECONDS_FROM, add_billing, add_v2
from services.ingest.providers.meta_body import BodyReader, decode_object
from services.ingest.providers.meta_payload import Status, decode_fields, tolerant_status
from services.ingest.providers.provider import Answer, Authentic, Callback, Refused
from services.ingest.providers.static_credential import check_static_credential
from services.ingest.providers.unsigned_door import without_noise
from services.ingest.providers.whole_body import json_object, read_whole

KIND_BY_STATUS: Final = {**meta_statuses.KIND_BY_STATUS, "enqueued": EVENT_KIND_QUEUED}


class Gupshup:
    """The dialect of Gupshup, in both formats."""

    name = "gupshup"
    methods = frozenset({"POST"})
    answer = Answer()

    def handshake(self, callback: Callback, account: Account) -> Answer | None:
        """Gupshup tries an address out by a POST like any other."""

    def authenticate(self, callback: Callback, account: Account) -> Authentic | Refused:
        """Compare the static credential, if the account has one."""
        return check_static_credential(callback, account)

    def parse(self, callback: Callback, account: Account) -> Reading | Refused:
        """Read a body of either format."""
        reading = read_whole(callback, account, lambda empty: _read(empty, callback))
        return without_noise(reading, account)

    def whole_of(self, part: bytes, place: str, account: Account) -> bytes:
        """Return a body with nothing but ``part``."""
        return meta_parts.whole_of(part, place)


def _read(reading: Reading, callback: Callback) -> None:
    body = callback.body
    if _is_v3(body):
        _PassedOnBody(reading, body, callback.receive_time_us).read()
    else:
        add_v2(reading, json_object(body), body)


def _is_v3(body: bytes) -> bool:
    try:
        names = decode_fields(body).keys()
    except (ValueError, RecursionError):
        # Not yet mended; v2 bodies have no such name anywhere.
        return b'"entry"' in body
    return "entry" in names or "object" in names


class _GupshupStatus(Status, gc=False):
    gs_id: str | None = None


_decode_status = msgspec.json.Decoder(_GupshupStatus).decode


class _PassedOnBody(BodyReader):
    def __init__(self, reading: Reading, body: bytes, receive_time_us: int) -> None:
        super().__init__(reading, body)
        self._receive_time_us = receive_time_us

    def _read_status(self, raw: bytes) -> str:
        try:
            status: Status = _decode_status(raw)
            gupshup_id = status.gs_id  # type: ignore[attr-defined]
        except msgspec.MsgspecError:
            fields = decode_object(raw)
            status, gupshup_id = tolerant_status(fields), text(fields, "gs_id")
        status.id = gupshup_id or status.id
        given = status.timestamp
        if isinstance(given, int | float) and given >= MILLISECONDS_FROM:
            # `enqueued` tells milliseconds, and as a number.
            status.timestamp = given / 1000
        return meta_statuses.add_status(self._reading, status, raw, KIND_BY_STATUS)

    def _read_inbound(self, raw: bytes) -> str:
        message = decode_object(raw)
        for place, name in (("context", "id"), ("reaction", "message_id")):
            answered = object_at(message, place)
            if gupshup_id := text(answered, "gs_id"):
                message[place] = {**answered, name: gupshup_id}
        return meta_inbound.add_inbound(self._reading, message, raw)

    def _notice_reader(
        self, field: str, entry_time: object
    ) -> Callable[[bytes], str | None] | None:
        if field == "billing-event":
            return self._read_billing
        return super()._notice_reader(field, entry_time)

    def _read_billing(self, raw: bytes) -> None:
        # Gupshup tells no time here.
        billing = object_at(decode_object(raw), "billing")
        add_billing(self._reading, billing, self._receive_time_us)
