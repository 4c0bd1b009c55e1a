"""What a synthetic campaign is made of: messages, and facts about them. Plain data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """What the sender's record says about the hand-over."""

    QUEUED = "queued"
    DROPPED = "dropped"
    ACCEPTED = "accepted"


class Channel(StrEnum):
    """What a message travels over."""

    WHATSAPP = "whatsapp"
    SMS = "sms"
    EMAIL = "email"


class FactKind(StrEnum):
    """One thing that can happen to a message after the hand-over."""

    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    # A mail proxy or a scanner fetched the picture: nobody looked at it.
    MACHINE_READ = "machine_read"
    FAILED = "failed"
    REPLY = "reply"
    TAP = "tap"
    STOP_TAP = "stop_tap"
    REACTION = "reaction"
    REACTION_REMOVED = "reaction_removed"
    CLICK = "click"
    OPT_OUT = "opt_out"


# Told by the provider, over HTTP.
DELIVERY_KINDS = frozenset({FactKind.SENT, FactKind.DELIVERED, FactKind.FAILED})
STATUS_KINDS = frozenset({FactKind.SENT, FactKind.DELIVERED, FactKind.READ, FactKind.FAILED})
INBOUND_KINDS = frozenset(
    {
        FactKind.REPLY,
        FactKind.TAP,
        FactKind.STOP_TAP,
        FactKind.REACTION,
        FactKind.REACTION_REMOVED,
    }
)
TEXT_KINDS = frozenset({FactKind.REPLY, FactKind.TAP, FactKind.STOP_TAP})
# Told by the sender's own systems, over gRPC, unless the provider tells it.
ENGAGEMENT_KINDS = frozenset({FactKind.CLICK, FactKind.OPT_OUT})


@dataclass(frozen=True, slots=True)
class Failure:
    """A code with which a provider says that a message failed after the hand-over.

    `reason` is what the report must call it: a FailureReason without its prefix.
    """

    weight: int
    code: str
    reason: str
    opts_out: bool = False  # the code says, too, that the person had opted out


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedMessage:
    """One message to one address. `message_ref` is unique; one person may have several."""

    message_ref: str
    campaign_id: str
    contact_id: str
    address: str  # E.164 with "+", or whatever an import left there if it was dropped
    profile_name: str
    outcome: Outcome
    outcome_time_s: int  # Unix seconds, UTC
    provider_message_id: str = ""  # empty unless accepted
    drop_reason: str = ""  # FailureReason without its prefix; empty: follows from drop_code
    drop_code: str = ""
    # An earlier record of the same reference, before this one: a sender that tells twice.
    earlier_outcome: Outcome | None = None
    # False: nobody ever records it (another app on the same number); it counts nowhere.
    is_recorded: bool = True
    template: str = ""
    language: str = ""
    variant: str = ""
    segment: str = ""
    channel: Channel = Channel.WHATSAPP
    # Which hand-over of its reference it is, from 0: the same again, or over another channel.
    attempt: int = 0
    # It goes through the other provider, since the first one could not reach the person.
    is_fallback: bool = False
    # SMS: how many parts it goes out in, each of which is reported; 0: reported as a whole.
    part_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One thing that happened to one message. `fact_id` is unique in the campaign."""

    fact_id: str
    kind: FactKind
    message: SimulatedMessage
    occur_time_s: int  # Unix seconds, UTC, by the provider's clock
    code: str = ""  # failure code
    reason: str = ""  # what the report must call the code; empty: as Meta's code
    opts_out: bool = False  # the failure code says that the person had opted out
    link_id: str = ""
    text: str = ""  # what a person wrote, or the text on the button
    part: int = 0  # of which part of the message, from 1; 0: of all of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A campaign as it really happened, before anything is told about it."""

    campaign_id: str
    seed: int
    messages: tuple[SimulatedMessage, ...]
    facts: tuple[Fact, ...]
