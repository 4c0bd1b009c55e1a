"""How a simulated campaign turns out, and who carries it. Plain data."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from libs.simulator.facts import Channel, FactKind, Failure
from libs.simulator.failures import WHATSAPP_FAILURES


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """How a campaign turns out, as shares of what comes before; each 0 to 1."""

    two_numbers: float = 0.03
    queued: float = 0.002
    dropped: float = 0.016
    told_before: float = 0.02  # recorded as queued or dropped first, accepted later
    strangers: float = 0.01  # messages of other apps on the same number, nobody records them
    no_sent_report: float = 0.02
    pending: float = 0.012
    undelivered: float = 0.023
    recovered: float = 0.004  # failed, and delivered all the same
    receipts_off: float = 0.27
    read: float = 0.84  # of those with receipts
    read_without_delivered: float = 0.05
    clicked: float = 0.11
    replied: float = 0.04
    tapped: float = 0.07
    reacted: float = 0.02
    stopped: float = 0.006
    retried: float = 0.4  # of the undelivered: sent again, three times at most
    fell_back: float = 0.5  # of those, where there is one: over the other channel
    parted: float = 0.15  # of SMS whose provider reports parts
    opened_by_machines: float = 0.2  # of emails that arrived


@dataclass(frozen=True, slots=True, kw_only=True)
class Carrier:
    """Who carries messages over one channel, as far as a scenario needs to know."""

    new_message_id: Callable[[random.Random, str], str]
    channel: Channel = Channel.WHATSAPP
    failures: Sequence[Failure] = WHATSAPP_FAILURES
    kinds: frozenset[FactKind] = frozenset(FactKind)  # what can be told of its messages
    reports_parts: bool = False
