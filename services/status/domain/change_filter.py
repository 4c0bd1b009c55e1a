"""Which changes somebody who watches is told of, and how much of them."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec
from bluetick.v1.change_pb2 import MessageChanged
from bluetick.v1.common_pb2 import (
    CHANNEL_SMS,
    MESSAGE_STATE_DELIVERED,
    MESSAGE_STATE_DROPPED,
    MESSAGE_STATE_READ,
    MESSAGE_STATE_UNDELIVERED,
)
from bluetick.v1.message_service_pb2 import ChangeFilter

from services.status.domain.watch_place import Place

# No report is expected to move a message out of these.
_FINAL: Final = frozenset((MESSAGE_STATE_DROPPED, MESSAGE_STATE_UNDELIVERED, MESSAGE_STATE_READ))
# Nothing tells of reading there, so these are the last words as well.
_LAST_WORDS: Final = {CHANNEL_SMS: frozenset((MESSAGE_STATE_DELIVERED,))}
# What names a person, in each image of a change.
_PERSONAL: Final = ("contact_id", "person_key")

# (the place behind the change, the change)
Placed = tuple[Place, MessageChanged]
Test = Callable[[MessageChanged], bool]


class Wanted(msgspec.Struct, frozen=True):
    """A filter, made ready to be asked often."""

    states: frozenset[int]  # empty: any
    tests: tuple[Test, ...]

    def has_state(self, state: int) -> bool:
        """Return whether changes into ``state`` can be wanted at all."""
        return not self.states or state in self.states

    def wants(self, change: MessageChanged) -> bool:
        """Return whether all that was asked for holds."""
        return self.has_state(change.new_image.state) and all(test(change) for test in self.tests)


def wanted(asked: ChangeFilter) -> Wanted:
    """Return the filter as its caller asked for it."""
    tests: list[Test] = []
    if asked.is_state_moved_only or asked.is_final_only:
        tests.append(lambda change: change.is_state_moved)
    if asked.is_final_only:
        tests.append(is_final)
    if asked.channels:
        channels = frozenset(asked.channels)
        tests.append(lambda change: change.new_image.scope.channel in channels)
    if asked.providers:
        providers = frozenset(asked.providers)
        tests.append(lambda change: change.provider in providers)
    if asked.campaign_ids:
        tests.append(_of_campaigns(frozenset(asked.campaign_ids)))
    return Wanted(frozenset(asked.states), tuple(tests))


def is_final(change: MessageChanged) -> bool:
    """Return whether no report is expected to move the message on."""
    image = change.new_image
    return image.state in _FINAL or image.state in _LAST_WORDS.get(image.scope.channel, ())


def _of_campaigns(campaigns: frozenset[str]) -> Test:
    def test(change: MessageChanged) -> bool:
        # A message that leaves a campaign is news there, too.
        return (
            change.new_image.scope.campaign_id in campaigns
            or change.old_image.scope.campaign_id in campaigns
        )

    return test


def public_view(change: MessageChanged) -> MessageChanged:
    """Return a copy without what names a person."""
    shown = MessageChanged()
    shown.CopyFrom(change)
    for name in _PERSONAL:
        shown.new_image.ClearField(name)
        if shown.HasField("old_image"):
            shown.old_image.ClearField(name)
    return shown


def last_of_each(changes: Sequence[Placed]) -> list[Placed]:
    """Return of several changes of one message the highest version, in the order of ``changes``.

    A change in parts stays whole.
    """
    highest: dict[bytes, int] = {}
    for _, change in changes:
        key = change.message_key
        highest[key] = max(highest.get(key, 0), change.version)
    return [one for one in changes if one[1].version == highest[one[1].message_key]]


def cut(changes: Iterable[Placed], count_max: int, bytes_max: int) -> Iterable[list[Placed]]:
    """Yield answers of at most ``count_max`` changes and ``bytes_max`` bytes, one at the least."""
    part: list[Placed] = []
    size = 0
    for one in changes:
        change_bytes = one[1].ByteSize()
        if part and (len(part) == count_max or size + change_bytes > bytes_max):
            yield part
            part, size = [], 0
        part.append(one)
        size += change_bytes
    if part:
        yield part
