"""A campaign with known truth, from a seed. Pure: no clock, no I/O."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from libs.simulator.facts import (
    Channel,
    Fact,
    FactKind,
    Failure,
    Outcome,
    Scenario,
    SimulatedMessage,
)
from libs.simulator.failures import NAMED_DROPS, WHATSAPP_DROPS, WHATSAPP_FAILURES

T = TypeVar("T")

# All that happens lies within this time after the start, so that a campaign that started this
# long ago has no fact in the future (times far in the future are refused by receivers).
SPAN_S = 5 * 3600

_COUNTRIES: tuple[tuple[int, tuple[str, int, str]], ...] = (
    (34, ("+4915", 9, "de")),
    (20, ("+336", 8, "fr")),
    (16, ("+447", 9, "en_GB")),
    (12, ("+5511", 9, "pt_BR")),
    (10, ("+9198", 8, "en")),
    (8, ("+1415", 7, "en_US")),
)
_NAMES = ("Zoë", "Łukasz", "Ana María", "Jürgen", "Priya", "José", "Chloé", "Søren", "Ayşe", "Mei")
_REPLIES = (
    "Yes please! 😍",
    "Is it there in size 42?",
    "Größe M, bitte",
    "¿Hasta cuándo?",
    'He said "no" <twice>',
    "Merci à vous / danke",
)
_LINKS = ("shop", "catalogue", "map")


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


def build_scenario(
    *,
    campaign_id: str,
    seed: int,
    message_count: int,
    start_time_s: int,
    new_message_id: Callable[[random.Random, str], str],
    channel: Channel = Channel.WHATSAPP,
    failures: Sequence[Failure] = WHATSAPP_FAILURES,
    shares: Shares | None = None,
) -> Scenario:
    """Make up a campaign of `message_count` recorded messages.

    Args:
        campaign_id: campaign; the same seed under another campaign gives other message ids.
        seed: any number; the same arguments give the same campaign.
        message_count: recorded messages, at least 1.
        start_time_s: Unix seconds of the first hand-over; everything happens within `SPAN_S`.
        new_message_id: makes the provider's id of a message from (random, address).
        channel: what the messages travel over.
        failures: codes that the provider reports failures with.
        shares: how it turns out.

    Raises:
        ValueError: no message was asked for.
    """
    if message_count < 1:
        raise ValueError("message_count must be at least 1")
    teller = _Teller(
        campaign_id=campaign_id,
        seed=seed,
        start_time_s=start_time_s,
        new_message_id=new_message_id,
        channel=channel,
        failures=failures,
        shares=shares or Shares(),
    )
    messages = list(teller.messages(message_count))
    messages += teller.strangers(int(message_count * teller.shares.strangers))
    facts = [fact for message in messages for fact in teller.facts_of(message)]
    facts.sort(key=lambda fact: (fact.occur_time_s, fact.fact_id))
    return Scenario(
        campaign_id=campaign_id, seed=seed, messages=tuple(messages), facts=tuple(facts)
    )


class _Teller:
    """Tells the story of one campaign; holds the one source of chance."""

    def __init__(
        self,
        *,
        campaign_id: str,
        seed: int,
        start_time_s: int,
        new_message_id: Callable[[random.Random, str], str],
        channel: Channel,
        failures: Sequence[Failure],
        shares: Shares,
    ) -> None:
        self._campaign_id = campaign_id
        self._prefix = f"{campaign_id}:{seed}"
        self._start_time_s = start_time_s
        self._new_message_id = new_message_id
        self._channel = channel
        self._failures = tuple((failure.weight, failure) for failure in failures)
        self._drops = WHATSAPP_DROPS if failures is WHATSAPP_FAILURES else NAMED_DROPS
        self.shares = shares
        self._random = random.Random(f"{seed}:{campaign_id}")

    def messages(self, count: int) -> Iterator[SimulatedMessage]:
        """People one after the other, a few with a second number, until `count` is reached."""
        made = 0
        person = 0
        while made < count:
            addresses = 2 if made + 1 < count and self._happens(self.shares.two_numbers) else 1
            name = self._random.choice(_NAMES)
            for _ in range(addresses):
                yield self._message(made, f"person-{person}", name)
                made += 1
            person += 1

    def strangers(self, count: int) -> list[SimulatedMessage]:
        """Messages that only the provider tells of."""
        made = [
            self._accepted(self._blank(f"stranger-{index}", f"stranger-{index}", "Stranger"))
            for index in range(count)
        ]
        return [replace(message, is_recorded=False) for message in made]

    def facts_of(self, message: SimulatedMessage) -> list[Fact]:
        """What happened after the hand-over; nothing if there was none."""
        if message.outcome is not Outcome.ACCEPTED:
            return []
        story = _Story(message, self._random)
        if not self._happens(self.shares.no_sent_report):
            story.add(FactKind.SENT, self._random.randint(0, 4))
        fate = self._random.random()
        if fate < self.shares.pending:
            return story.facts
        if fate < self.shares.pending + self.shares.undelivered:
            after_s = self._random.randint(1, 900)
            story.add(FactKind.FAILED, after_s, failure=self._pick(self._failures))
            return story.facts
        # Mail that bounced for good never arrived, whatever its server had said.
        if self._happens(self.shares.recovered) and self._channel is not Channel.EMAIL:
            # Not one that says that the person had opted out: that one is final.
            failure = self._failures[1][1]
            story.add(FactKind.FAILED, self._random.randint(1, 5), failure=failure)
        self._tell_reading(story)
        self._tell_engagement(story)
        return story.facts

    def _message(self, index: int, contact_id: str, name: str) -> SimulatedMessage:
        blank = self._blank(f"{index:07d}", contact_id, name)
        fate = self._random.random()
        if fate < self.shares.queued:
            return replace(blank, outcome=Outcome.QUEUED)
        if fate < self.shares.queued + self.shares.dropped:
            reason, code = self._pick(self._drops)
            address = blank.address[3:] if reason == "INVALID_PHONE_NUMBERS" else blank.address
            return replace(blank, address=address, drop_reason=reason, drop_code=code)
        accepted = self._accepted(blank)
        if not self._happens(self.shares.told_before):
            return accepted
        earlier = Outcome.QUEUED if self._happens(0.7) else Outcome.DROPPED
        return replace(accepted, earlier_outcome=earlier)

    def _blank(self, name: str, contact_id: str, profile_name: str) -> SimulatedMessage:
        prefix, digits, language = self._pick(_COUNTRIES)
        number = self._random.randrange(10 ** (digits - 1), 10**digits)
        is_email = self._channel is Channel.EMAIL
        return SimulatedMessage(
            message_ref=f"{self._prefix}:{name}",
            campaign_id=self._campaign_id,
            contact_id=contact_id,
            address=f"{contact_id}.{number}@example.net" if is_email else f"{prefix}{number}",
            profile_name=profile_name,
            outcome=Outcome.DROPPED,
            outcome_time_s=self._start_time_s + self._random.randint(0, 1800),
            template="spring_sale",
            language=language,
            variant=self._random.choice(("A", "B")),
            segment=self._random.choice(("loyal", "new", "sleeping")),
            channel=self._channel,
        )

    def _accepted(self, blank: SimulatedMessage) -> SimulatedMessage:
        return replace(
            blank,
            outcome=Outcome.ACCEPTED,
            provider_message_id=self._new_message_id(self._random, blank.address),
        )

    def _tell_reading(self, story: _Story) -> None:
        reads = not self._happens(self.shares.receipts_off) and self._happens(self.shares.read)
        # A provider may send only `read` when both happen at once.
        if not (reads and self._happens(self.shares.read_without_delivered)):
            story.add(FactKind.DELIVERED, self._random.randint(1, 1200))
        if reads:
            story.add(FactKind.READ, self._random.randint(1, 6000))

    def _tell_engagement(self, story: _Story) -> None:
        shares, chance = self.shares, self._random
        if self._happens(shares.clicked):
            for _ in range(1 + int(chance.expovariate(1.6))):
                story.add(FactKind.CLICK, chance.randint(5, 300), link_id=chance.choice(_LINKS))
        if self._happens(shares.tapped):
            story.add(FactKind.TAP, chance.randint(5, 300), text=chance.choice(("Yes", "Later")))
        if self._happens(shares.replied):
            for _ in range(chance.choice((1, 1, 1, 2, 3))):
                story.add(FactKind.REPLY, chance.randint(10, 400), text=chance.choice(_REPLIES))
        if self._happens(shares.reacted):
            story.add(FactKind.REACTION, chance.randint(5, 300), text=chance.choice("👍❤🎉"))
            if self._happens(0.2):
                story.add(FactKind.REACTION_REMOVED, chance.randint(5, 60))
        if self._happens(shares.stopped):
            # The sender's own systems act on the tap, and tell that the person opted out.
            if self._happens(0.6):
                story.add(FactKind.STOP_TAP, chance.randint(5, 300), text="Stop promotions")
            story.add(FactKind.OPT_OUT, chance.randint(1, 10))

    def _happens(self, share: float) -> bool:
        return self._random.random() < share

    def _pick(self, weighted: tuple[tuple[int, T], ...]) -> T:
        weights = [weight for weight, _ in weighted]
        return self._random.choices([value for _, value in weighted], weights)[0]


class _Story:
    """The facts of one message, each some seconds after the one before."""

    def __init__(self, message: SimulatedMessage, chance: random.Random) -> None:
        self.facts: list[Fact] = []
        self._message = message
        self._chance = chance
        self._time_s = message.outcome_time_s
        self._end_s = message.outcome_time_s + SPAN_S - 1800

    def add(
        self,
        kind: FactKind,
        after_s: int,
        *,
        failure: Failure | None = None,
        link_id: str = "",
        text: str = "",
    ) -> None:
        # At the end, too, each fact has a second of its own: acts are told apart by it.
        self._time_s = min(self._time_s + after_s, self._end_s + len(self.facts))
        self.facts.append(
            Fact(
                fact_id=f"{self._message.message_ref}#{len(self.facts)}",
                kind=kind,
                message=self._message,
                occur_time_s=self._time_s,
                code=failure.code if failure else "",
                reason=failure.reason if failure else "",
                opts_out=failure.opts_out if failure else False,
                link_id=link_id,
                text=text,
            )
        )
