"""Plain statuses as the bytes of events, written at once instead of through a generated message.

Nearly all that comes through the door is a status with an id, a time and a recipient, and building
a message of each, field by field, is most of what it costs. What is the same for many (names,
words, prices) is serialized once by the generated classes and kept; only texts and lengths are put
together here.
"""

from collections.abc import Iterator
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from bluetick.v1.event_pb2 import Event

from libs.runtime.keys import begun_message_key
from services.ingest.domain.addresses import PHONE_DIGITS_MAX, PHONE_DIGITS_MIN

_KEPT: Final = 4_096


def _varint(count: int) -> bytes:
    out = bytearray()
    while count > 0x7F:
        out.append(count & 0x7F | 0x80)
        count >>= 7
    out.append(count)
    return bytes(out)


def _headed(tag: bytes) -> list[bytes]:
    """Return, for each length that a text may have, a field's tag and that length."""
    return [tag + _varint(count) for count in range(TEXT_BYTES_MAX + 1)]


# Longest text of an event that is packed, UTF-8.
TEXT_BYTES_MAX: Final = 2_048
# Field numbers of event.proto, each with wire type 2 (a length, then bytes).
_MESSAGE_KEY: Final = b"\x0a\x10"  # message_key = 1, of 16 bytes
_PROVIDER_MESSAGE_ID: Final = _headed(b"\x32")  # 6
_MESSAGE_REF: Final = _headed(b"\x3a")  # 7
_ADDRESS: Final = _headed(b"\x72")  # 14
# The same for a phone that came without its "+": the length counts it.
_PHONE: Final = [b"\x72" + _varint(count + 1) + b"+" for count in range(PHONE_DIGITS_MAX + 1)]
_RECEIVE_TIME_US: Final = b"\x48"  # 9, a number
_EVENTS: Final = b"\x12"  # of EventBatch: events = 2
_EVENTS_HEADED: Final = _headed(_EVENTS)


@lru_cache(maxsize=_KEPT)
def _names(tenant_id: str, provider: str, account: str) -> tuple[bytes, blake2b]:
    event = Event(tenant_id=tenant_id, provider=provider, account=account)
    return event.SerializeToString(), begun_message_key(tenant_id, provider)


@lru_cache(maxsize=8)
def _proven(proof: int) -> bytes:
    return Event(proof=proof).SerializeToString()  # type: ignore[arg-type]


# The lower 14 bits of a time (16 ms) are looked up; the upper ones are the callback's before it.
_LOWER_BITS: Final = 14
_LOWER: Final = [bytes((n & 0x7F | 0x80, n >> 7 | 0x80)) for n in range(1 << _LOWER_BITS)]
_upper = lru_cache(maxsize=8)(_varint)


def _received(receive_time_us: int) -> bytes:
    lower = _LOWER[receive_time_us & (1 << _LOWER_BITS) - 1]
    return _RECEIVE_TIME_US + lower + _upper(receive_time_us >> _LOWER_BITS)


def message_ref(reference: str) -> bytes:
    """Return the field of an event that holds the sender's own reference.

    Raises:
        IndexError: it is longer than ``TEXT_BYTES_MAX``.
    """
    referred = reference.encode()
    return _MESSAGE_REF[len(referred)] + referred


class PackedEvents:
    """The plain events of one callback, ready to be a part of an ``EventBatch``."""

    __slots__ = ("_common", "_items", "_key", "_proof", "last_time_us")

    def __init__(
        self, *, tenant_id: str, provider: str, account: str, receive_time_us: int
    ) -> None:
        """Begin empty; the arguments are the same for all events of one callback."""
        names, self._key = _names(tenant_id, provider, account)
        self._common = names + _received(receive_time_us)
        self._items: list[bytes] = []
        self._proof = b""
        self.last_time_us = 0

    def prove(self, proof: int) -> None:
        """Note in each what proved the callback."""
        self._proof = _proven(proof)

    def add(
        self,
        message_id: str,
        address: str,
        time_us: int,
        kind: bytes,
        told: bytes,
        price: bytes,
        own: bytes,
    ) -> None:
        """Add an event.

        Args:
            message_id: the provider's, in its one form.
            address: of the person; a phone may come without "+".
            time_us: when it happened.
            kind, told, price, own: the rest of it, serialized, the time included: four parts, since
                putting them together first costs a tenth.

        Raises:
            IndexError: a text is longer than ``TEXT_BYTES_MAX``.
        """
        name = message_id.encode()
        key = self._key.copy()
        key.update(name)
        person = address.encode()
        length = len(person)
        # As `from_digits` says, at half its cost: of bytes, only those of ASCII are digits.
        is_bare = person.isdigit() and PHONE_DIGITS_MIN <= length <= PHONE_DIGITS_MAX
        self._items.append(
            b"".join(
                (
                    _MESSAGE_KEY,
                    key.digest(),
                    _PROVIDER_MESSAGE_ID[len(name)],
                    name,
                    _PHONE[length] if is_bare else _ADDRESS[length],
                    person,
                    kind,
                    told,
                    price,
                    own,
                    self._common,
                )
            )
        )
        self.last_time_us = time_us

    def payload(self) -> bytes:
        """Return them as (a part of) the bytes of an ``EventBatch``."""
        proof = self._proof
        proof_bytes = len(proof)
        parts: list[bytes] = []
        for event in self._items:
            parts += (_head(len(event) + proof_bytes), event, proof)
        return b"".join(parts)

    def items(self) -> Iterator[bytes]:
        """Give each as the bytes of an ``EventBatch`` of its own."""
        proof = self._proof
        for event in self._items:
            yield _head(len(event) + len(proof)) + event + proof

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._items)


def _head(event_bytes: int) -> bytes:
    if event_bytes <= TEXT_BYTES_MAX:
        return _EVENTS_HEADED[event_bytes]
    return _EVENTS + _varint(event_bytes)
