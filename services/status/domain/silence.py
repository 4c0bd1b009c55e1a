"""What the clock tells of messages on whose end no report came: undelivered, for all one knows.

The event is like any other: its time follows from the hand-over, so that whoever tells it, however
often, tells the same; and a report that comes after all outranks it.
"""

from collections.abc import Iterable

import msgspec
from bluetick.v1.common_pb2 import (
    CHANNEL_EMAIL,
    CHANNEL_SMS,
    EVENT_KIND_UNDELIVERED,
    FAILURE_REASON_DELIVERY_REPORT_MISSING,
    MESSAGE_STATE_ACCEPTED,
    MESSAGE_STATE_SENT,
)
from bluetick.v1.event_pb2 import Event

from services.status.domain.changes import Change
from services.status.domain.due import DAY_US
from services.status.domain.gathered import Key
from services.status.domain.message import Message, channel_of, state_of
from services.status.domain.recipients import with_forwarded

_PENDING = (MESSAGE_STATE_ACCEPTED, MESSAGE_STATE_SENT)
MINUTE_US = 60_000_000
_HOUR_US = 60 * MINUTE_US
# A message told of long after its hand-over may have reports that are told just behind it.
_GRACE_US = _HOUR_US


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """For how many days a report is waited for, by channel."""

    days: int = 30
    sms_days: int = 30
    email_days: int = 30

    def of(self, channel: int) -> int:
        """Return the days for a channel."""
        if channel == CHANNEL_SMS:
            return self.sms_days
        return self.email_days if channel == CHANNEL_EMAIL else self.days


def silent_from_us(message: Message, patience: Patience) -> int:
    """Return from when on its silence means that it was not delivered; 0: it is not waited for."""
    if message.record is None:
        return 0
    handed_over_us = message.accept_time_us or message.send_time_us
    return handed_over_us + patience.of(channel_of(message)) * DAY_US if handed_over_us else 0


def begun_to_wait(
    changes: Iterable[Change], patience: Patience, now_us: int
) -> dict[int, list[Key]]:
    """Return the messages on whose reports is waited from now on, by when they are looked at."""
    found: list[tuple[int, Key]] = []
    for change in changes:
        if change.state not in _PENDING or not change.is_moved:
            continue
        until_us = silent_from_us(change.new, patience)
        known, old = change.known, change.old
        was_pending = known is not None and old is not None and known.state in _PENDING
        if was_pending and old is not None and until_us == silent_from_us(old, patience):
            continue
        if until_us:
            found.append((max(until_us, now_us + _GRACE_US), change.key))
    return together(found, _HOUR_US)


def together(found: Iterable[tuple[int, Key]], within_us: int) -> dict[int, list[Key]]:
    """Return messages by the time at which they are looked at, shortly before theirs.

    However far the times of a bulk lie apart, it makes few groups; who is looked at too early is
    noted again, in a narrower one.

    Args:
        found: messages with their times.
        within_us: messages are put together whose times lie within so many microseconds.
    """
    groups: dict[int, list[tuple[int, Key]]] = {}
    for until_us, key in found:
        groups.setdefault(until_us // within_us, []).append((until_us, key))
    return {min(group)[0]: [key for _, key in group] for group in groups.values()}


def is_pending(message: Message) -> bool:
    """Return whether nothing was told of its end."""
    return state_of(with_forwarded(message)) in _PENDING


def silence_of(key: Key, message: Message, at_us: int) -> Event:
    """Return the event that no report came up to a time."""
    return Event(
        message_key=key[1],
        tenant_id=key[0],
        kind=EVENT_KIND_UNDELIVERED,
        provider=message.provider,
        account=message.account,
        provider_message_id=message.provider_message_id,
        occur_time_us=at_us,
        receive_time_us=at_us,
        reason=FAILURE_REASON_DELIVERY_REPORT_MISSING,
    )
