"""Plain statuses as the bytes of events, written at once instead of through a generated message.

Nearly all that comes through the door is a status with an id, a time and a recipient, and building
a message of each, field by field, is most of what it costs. What is the same for many (names,
words, prices) is serialized once by the generated classes and kept; only texts and lengths are put
together here.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from bluetick.v1.event_pb2 import Event

from libs.runtime.keys import MessageKeys

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
_EVENTS: Final = b"\x12"  # of EventBatch: events = 2
_EVENTS_HEADED: Final = _headed(_EVENTS)


@lru_cache(maxsize=_KEPT)
def _names(tenant_id: str, provider: str, account: str) -> tuple[bytes, MessageKeys]:
    event = Event(tenant_id=tenant_id, provider=provider, account=account)
    return event.SerializeToString(), MessageKeys(tenant_id, provider)


@lru_cache(maxsize=8)
def _proven(proof: int) -> bytes:
    return Event(proof=proof).SerializeToString()  # type: ignore[arg-type]


class PackedEvents:
    """The plain events of one callback, ready to be a part of an ``EventBatch``."""

    __slots__ = ("_common", "_items", "_key_of", "_proof", "last_time_us")

    def __init__(
        self, *, tenant_id: str, provider: str, account: str, receive_time_us: int
    ) -> None:
        """Begin empty; the arguments are the same for all events of one callback."""
        names, keys = _names(tenant_id, provider, account)
        received = Event(receive_time_us=receive_time_us)
        self._common = names + received.SerializeToString()
        self._key_of = keys.of
        self._items: list[bytes] = []
        self._proof = b""
        self.last_time_us = 0

    def prove(self, proof: int) -> None:
        """Note in each what proved the callback."""
        self._proof = _proven(proof)

    def add(
        self, message_id: str, address: str, reference: str, time_us: int, fields: bytes
    ) -> None:
        """Add an event; ``fields`` is the rest of it, serialized, ``time_us`` included.

        Raises:
            IndexError: a text is longer than ``TEXT_BYTES_MAX``.
        """
        name = message_id.encode()
        person = address.encode()
        if reference:
            referred = reference.encode()
            fields += _MESSAGE_REF[len(referred)] + referred
        event = b"".join(
            (
                _MESSAGE_KEY,
                self._key_of(name),
                _PROVIDER_MESSAGE_ID[len(name)],
                name,
                _ADDRESS[len(person)],
                person,
                fields,
                self._common,
            )
        )
        self._items.append(event)
        self.last_time_us = time_us

    def payload(self) -> bytes:
        """Return them as (a part of) the bytes of an ``EventBatch``."""
        return b"".join(self.items())

    def items(self) -> Iterator[bytes]:
        """Give each as the bytes of an ``EventBatch`` of its own."""
        proof = self._proof
        for event in self._items:
            size = len(event) + len(proof)
            head = _EVENTS_HEADED[size] if size <= TEXT_BYTES_MAX else _EVENTS + _varint(size)
            yield head + event + proof

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._items)
