"""Dimensions of one message: what its numbers are broken down by."""

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Any

import msgspec
from bluetick.v1 import change_pb2

from services.analytics.domain.dimensions import Dimensions, storable

# Frames kept from one fold to the next; bounds memory where attributes make nearly each one new.
_FRAMES_MAX = 65_536


class Frame:
    """One combination of campaign, dimensions and attributes. Compared by identity.

    The numbers that stand for the dimensions (``scope_id``) and for the attributes are given out by
    the dictionary, before anything is placed by them.
    """

    __slots__ = (
        "attribute_ids", "attributes", "campaign_id", "dimensions", "scope_id", "tenant_id",
        "terms",
    )  # fmt: skip

    def __init__(
        self,
        tenant_id: str,
        campaign_id: str,
        dimensions: Dimensions,
        attributes: tuple[tuple[str, str], ...],
    ) -> None:
        self.tenant_id = tenant_id
        self.campaign_id = campaign_id
        self.dimensions = dimensions
        # (name, value), sorted.
        self.attributes = attributes
        self.scope_id: int | None = None
        # (number of the name, number of the value); shorter than ``attributes`` where the campaign
        # has no room for a name.
        self.attribute_ids: tuple[tuple[int, int], ...] | None = None
        # What its messages are found by in lists.
        self.terms: tuple[int, ...] = ()

    @property
    def is_resolved(self) -> bool:
        """Whether the dictionary has given out its numbers."""
        return self.scope_id is not None and self.attribute_ids is not None


class Seen(msgspec.Struct, frozen=True):
    """One image of a message with its dimensions and its person."""

    image: Any
    frame: Frame
    # 16 bytes.
    person: bytes


class FrameBook:
    """Frames by the bytes of the scope that names them; one frame for equal names.

    Kept from one fold to the next, since a campaign has few scopes and many messages.
    """

    def __init__(self) -> None:
        self._frames: dict[tuple[str, bytes, tuple[bytes, ...]], Frame | None] = {}

    def forget(self) -> None:
        """Make all frames anew: what gave them their numbers is gone."""
        self._frames.clear()

    def frame(self, tenant_id: str, scope: bytes, attributes: Sequence[bytes]) -> Frame | None:
        """Return the frame of an image by its serialized scope and attributes; None: it belongs to
        no campaign.

        Raises:
            DecodeError: the scope or an attribute cannot be read.
        """
        key = tenant_id, scope, tuple(sorted(attributes)) if attributes else ()
        try:
            return self._frames[key]
        except KeyError:
            pass
        if len(self._frames) >= _FRAMES_MAX:
            self._frames.clear()
        frame = self._frames[key] = _frame(tenant_id, scope, attributes)
        return frame


def _frame(tenant_id: str, scope_bytes: bytes, attributes: Iterable[bytes]) -> Frame | None:
    scope = change_pb2.Scope.FromString(scope_bytes)
    if not scope.campaign_id:
        return None
    values = (getattr(scope, name) for name in Dimensions._fields)
    dimensions = Dimensions._make(v if isinstance(v, int) else storable(v) for v in values)
    # An entry of a map has the form of a message, so that an image of nothing else can be read.
    entries = b"".join(_ATTRIBUTES_TAG + _varint(len(entry)) + entry for entry in attributes)
    told = change_pb2.MessageImage.FromString(entries).attributes
    pairs = {storable(name): storable(value) for name, value in told.items()}
    return Frame(
        storable(tenant_id), storable(scope.campaign_id), dimensions, tuple(sorted(pairs.items()))
    )


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


_ATTRIBUTES_TAG = _varint(change_pb2.MessageImage.ATTRIBUTES_FIELD_NUMBER << 3 | 2)


def person_of(image: Any, message_key: bytes) -> bytes:
    """Return 16 bytes for the person; a message that names nobody stands for its own person."""
    person: bytes = image.person_key or message_key
    return person if len(person) == 16 else blake2b(person, digest_size=16).digest()
