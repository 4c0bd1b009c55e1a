"""What moves in lists during one fold: by keys of messages first, by their numbers in the end.

A message is found by a term or it is not, so a change turns the terms that it moved round, and what
all changes turn together is a sum modulo two: as with counters, order and grouping do not matter.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec
from bluetick.v1.change_pb2 import MessageAct

from services.analytics.domain.dimensions import storable
from services.analytics.domain.lists import terms
from services.analytics.domain.lists.terms import term
from services.analytics.domain.shape import CLICKED

# Messages whose bits of one term share a row.
CHUNK = 4_096
_CHUNK_BYTES = CHUNK // 8

# (dimension, value), as in the dictionary.
Value = tuple[int, str]
# What was done, by which value of the dictionary, or by which card.
Done = tuple[int, str | int]


class Names(NamedTuple):
    """What stands for keys and values of one campaign."""

    # Message key -> number of the message in the campaign, from 1.
    numbers: Mapping[bytes, int]
    # Values that have a number, and 0 for those that have no room.
    values: Mapping[Value, int]


class Wanted(msgspec.Struct):
    """Keys and values of one campaign that need names."""

    keys: set[bytes]
    values: set[Value]


class Lists(msgspec.Struct):
    """What moves in the lists of one campaign."""

    # (term, chunk) -> the bits to turn round, the first message in the highest one.
    bits: dict[tuple[int, int], int]
    # (term, number of the message) -> acts more or less.
    acts: dict[tuple[int, int], int]
    # (contact, number of the message) -> 1 or -1.
    contacts: dict[tuple[str, int], int]

    @classmethod
    def empty(cls) -> "Lists":
        """Return no moves."""
        return cls({}, {}, {})

    @property
    def is_empty(self) -> bool:
        """Whether nothing moves."""
        return not (self.bits or self.acts or self.contacts)

    def turn(self, moved: Iterable[int], masks: Mapping[int, int]) -> None:
        """Turn terms round where the masks of chunks say."""
        bits = self.bits
        for one in moved:
            for chunk, mask in masks.items():
                place = one, chunk
                bits[place] = bits.get(place, 0) ^ mask

    def without_zeros(self) -> "Lists":
        """Return the same without what came out as it was."""
        return Lists(
            {place: mask for place, mask in self.bits.items() if mask},
            {place: n for place, n in self.acts.items() if n},
            {place: n for place, n in self.contacts.items() if n},
        )

    def packed(self) -> tuple[Any, ...]:
        """Return the same as lists of numbers, texts and bytes; ``unpacked`` reads them."""
        bits = [(*place, to_bytes(mask)) for place, mask in self.bits.items()]
        counts = ([(*k, n) for k, n in rows.items()] for rows in (self.acts, self.contacts))
        return bits, *counts

    @classmethod
    def unpacked(cls, data: Any) -> "Lists":
        """Return what was packed."""
        bits, acts, contacts = data
        return cls(
            {(one, chunk): int.from_bytes(mask, "big") for one, chunk, mask in bits},
            {(one, number): n for one, number, n in acts},
            {(contact, number): n for contact, number, n in contacts},
        )


def to_bytes(mask: int) -> bytes:
    """Return the bits of a chunk as bytes."""
    return mask.to_bytes(_CHUNK_BYTES, "big")


def masks_of(numbers: Iterable[int]) -> dict[int, int]:
    """Return chunk -> bits of the messages in it; who is named twice is turned back."""
    chunks: dict[int, bytearray] = {}
    for number in numbers:
        chunk, at = divmod(number, CHUNK)
        bits = chunks.get(chunk)
        if bits is None:
            bits = chunks[chunk] = bytearray(_CHUNK_BYTES)
        bits[at >> 3] ^= 0x80 >> (at & 7)
    return {chunk: int.from_bytes(bits, "big") for chunk, bits in chunks.items()}


class Listed:
    """Moves under one combination of dimensions, by keys of messages."""

    __slots__ = ("acts", "contacts", "failures", "moved", "moving")

    def __init__(self) -> None:
        # Number of a plan -> the terms that it turns round, and of which messages.
        self.moved: dict[int, tuple[frozenset[int], list[bytes]]] = {}
        # Messages that came under these dimensions, or left them.
        self.moving: list[bytes] = []
        # (reason, code) -> messages of which it is told now and was not, or the other way round.
        self.failures: dict[tuple[int, str], list[bytes]] = {}
        self.acts: defaultdict[tuple[bytes, Done], int] = defaultdict(int)
        self.contacts: defaultdict[tuple[bytes, str], int] = defaultdict(int)

    def turned_by(self, plan_number: int, turned: frozenset[int]) -> list[bytes]:
        """Return the list of messages that a plan turns round, to be added to."""
        moved = self.moved.get(plan_number)
        if moved is None:
            moved = self.moved[plan_number] = turned, []
        return moved[1]

    def move(self, image: Any, key: bytes, sign: int) -> None:
        """A message comes (+1) or goes (-1), with all but its marks and its acts."""
        self.moving.append(key)
        if image.failure_reason or image.failure_code:
            self.fail(image, key)
        if image.contact_id:
            self.contacts[key, storable(image.contact_id)] += sign

    def fail(self, image: Any, key: bytes) -> None:
        """Why a message failed is told of it, or no longer."""
        told = image.failure_reason, storable(image.failure_code)
        if any(told):
            self.failures.setdefault(told, []).append(key)

    def change(self, old: Any, new: Any, key: bytes) -> None:
        """A message stays under its dimensions; what else it is found by may have moved."""
        if old.failure_reason != new.failure_reason or old.failure_code != new.failure_code:
            self.fail(old, key)
            self.fail(new, key)
        if old.contact_id != new.contact_id:
            for image, sign in ((old, -1), (new, +1)):
                if image.contact_id:
                    self.contacts[key, storable(image.contact_id)] += sign

    def act(self, act: MessageAct, key: bytes, sign: int) -> None:
        """An act is counted on a message, or no longer."""
        told, card = act.engagement, act.engagement.card_index
        done: list[Done] = []
        if act.kind == CLICKED and (link := storable(told.link_id or told.url)):
            done.append((terms.LINKS, link))
            if card:
                done.append((terms.LINKS_OF_CARDS, storable(terms.of_card(link, card))))
        if told.is_tap and (button := storable(told.button_id)):
            done.append((terms.BUTTONS, button))
            if card:
                done.append((terms.BUTTONS_OF_CARDS, storable(terms.of_card(button, card))))
        if card:
            done.append((terms.CARDS, card))
        for one in done:
            self.acts[key, one] += sign

    def want(self, wanted: Wanted) -> None:
        """Add what needs names."""
        wanted.keys.update(self.moving)
        for turned, keys in self.moved.values():
            if turned:
                wanted.keys.update(keys)
        for (_, code), keys in self.failures.items():
            wanted.keys.update(keys)
            if code:
                wanted.values.add((terms.CODES, code))
        for key, (dimension, value) in self.acts:
            wanted.keys.add(key)
            if isinstance(value, str):
                wanted.values.add((dimension, value))
        wanted.keys.update(key for key, _ in self.contacts)

    def add_to(self, lists: Lists, frame_terms: Iterable[int], names: Names) -> None:
        """Add all moves, by numbers."""
        numbers = names.numbers
        for moved, keys in self.moved.values():
            if moved:
                lists.turn(moved, masks_of(map(numbers.__getitem__, keys)))
        if self.moving:
            lists.turn(frame_terms, masks_of(map(numbers.__getitem__, self.moving)))
        for (reason, code), keys in self.failures.items():
            told = [term(terms.REASONS, reason)] if reason else []
            if code:
                told.append(term(terms.CODES, names.values[terms.CODES, code]))
            lists.turn(told, masks_of(map(numbers.__getitem__, keys)))
        for (key, (dimension, value)), n in self.acts.items():
            number = value if isinstance(value, int) else names.values[dimension, value]
            place = term(dimension, number), numbers[key]
            lists.acts[place] = lists.acts.get(place, 0) + n
        for (key, contact), n in self.contacts.items():
            at = contact, numbers[key]
            lists.contacts[at] = lists.contacts.get(at, 0) + n
