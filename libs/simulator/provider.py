"""What a simulated provider has to offer. One provider, one file; `registry` names them all."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from libs.simulator.callback import Callback
from libs.simulator.chaos import Emission
from libs.simulator.facts import ENGAGEMENT_KINDS, Channel, FactKind, Failure
from libs.simulator.failures import WHATSAPP_FAILURES
from libs.simulator.shares import Carrier


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """Where the callbacks of one account go, and what proves them."""

    url: str = ""  # of the account's door as the provider calls it; some signatures cover it
    secret: str = ""  # what the provider signs with, or sends along; its form is the provider's
    channel: Channel = Channel.WHATSAPP


class SimulatedProvider(ABC):
    """Writes callbacks as the real provider would.

    Facts of kinds that it cannot express on a channel are never given to it, and are no part of
    the truth: nobody can know what nobody told.
    """

    # The provider's word in callback addresses and records ("meta").
    name: ClassVar[str]
    # What its callbacks can tell, by channel; the first channel is the usual one.
    kinds_by_channel: ClassVar[Mapping[Channel, frozenset[FactKind]]]
    # How its callbacks tell failures, by channel; Meta's codes where nothing is said.
    failures_by_channel: ClassVar[Mapping[Channel, tuple[Failure, ...]]] = {}
    # Whether it reports the parts of a long SMS one by one.
    reports_parts: ClassVar[bool] = False

    def __init__(self, subscription: Subscription) -> None:
        """Write callbacks for `subscription`; its channel is one of `kinds_by_channel`."""
        self.url = subscription.url
        self.secret = subscription.secret
        self.channel = subscription.channel

    @property
    def kinds(self) -> frozenset[FactKind]:
        """What the callbacks can tell."""
        return self.kinds_by_channel[self.channel]

    @property
    def failures(self) -> tuple[Failure, ...]:
        """Codes of failures, at least two."""
        return self.failures_by_channel.get(self.channel, WHATSAPP_FAILURES)

    @property
    def carrier(self) -> Carrier:
        """What a scenario needs to know; the sender's own systems tell of acts besides."""
        return Carrier(
            new_message_id=self.new_message_id,
            channel=self.channel,
            failures=self.failures,
            kinds=self.kinds | ENGAGEMENT_KINDS,
            reports_parts=self.reports_parts,
        )

    @property
    def updates_max(self) -> int:
        """Updates in one callback."""
        return 1

    @abstractmethod
    def new_message_id(self, chance: random.Random, address: str) -> str:
        """Make up the provider's id of a message to `address`, as a sender records it."""

    @abstractmethod
    def render(self, emissions: Sequence[Emission], chance: random.Random) -> Callback:
        """Write and sign one callback that tells `emissions`, 1 to `updates_max` of them."""
