"""A campaign with known truth, from a seed. Pure: no clock, no I/O."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import TypeVar

from libs.simulator.facts import (
    Channel,
    FactKind,
    Failure,
    Outcome,
    Scenario,
    SimulatedMessage,
)
from libs.simulator.failures import NAMED_DROPS, WHATSAPP_DROPS, WHATSAPP_FAILURES
from libs.simulator.people import COUNTRIES, LINKS, NAMES, REPLIES
from libs.simulator.shares import Carrier, Shares
from libs.simulator.story import Story

T = TypeVar("T")

# All that happens lies within this time after the start, so that a campaign that started this
# long ago has no fact in the future (times far in the future are refused by receivers).
SPAN_S = 5 * 3600

# Hand-overs for one reference.
ATTEMPTS_MAX = 3


def build_scenario(
    *,
    campaign_id: str,
    seed: int,
    message_count: int,
    start_time_s: int,
    carrier: Carrier,
    fallback: Carrier | None = None,
    shares: Shares | None = None,
) -> Scenario:
    """Make up a campaign of `message_count` recorded messages.

    Args:
        campaign_id: campaign; the same seed under another campaign gives other message ids.
        seed: any number; the same arguments give the same campaign.
        message_count: recorded messages, at least 1.
        start_time_s: Unix seconds of the first hand-over; everything happens within `SPAN_S`.
        carrier: what the messages travel over.
        fallback: what they travel over when that fails; None: nothing else. The address is the
            same, so it is another channel to the same phone.
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
        carrier=carrier,
        fallback=fallback,
        shares=shares or Shares(),
    )
    first = list(teller.messages(message_count))
    first += teller.strangers(int(message_count * teller.shares.strangers))
    stories = [story for message in first for story in teller.journey_of(message)]
    messages = [story.message for story in stories]
    facts = [fact for story in stories for fact in story.facts]
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
        carrier: Carrier,
        fallback: Carrier | None,
        shares: Shares,
    ) -> None:
        self._campaign_id = campaign_id
        self._prefix = f"{campaign_id}:{seed}"
        self._start_time_s = start_time_s
        self._carrier = carrier
        self._fallback = fallback
        is_metas = carrier.failures is WHATSAPP_FAILURES
        self._drops = WHATSAPP_DROPS if is_metas else NAMED_DROPS
        self.shares = shares
        self._random = random.Random(f"{seed}:{campaign_id}")

    def messages(self, count: int) -> Iterator[SimulatedMessage]:
        """People one after the other, a few with a second number, until `count` is reached."""
        made = 0
        person = 0
        while made < count:
            addresses = 2 if made + 1 < count and self._happens(self.shares.two_numbers) else 1
            name = self._random.choice(NAMES)
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

    def journey_of(self, message: SimulatedMessage) -> list[Story]:
        """What happened to each attempt for a reference; nothing happens without a hand-over."""
        journey = [self._story_of(message)]
        while (
            message.is_recorded
            and len(journey) < ATTEMPTS_MAX
            and journey[-1].has_failed
            and self._happens(self.shares.retried)
        ):
            journey.append(self._story_of(self._again(journey[-1])))
        return journey

    def _story_of(self, message: SimulatedMessage) -> Story:
        end_s = min(message.outcome_time_s + SPAN_S - 1800, self._start_time_s + SPAN_S - 60)
        story = Story(message, self._random, end_s)
        if message.outcome is not Outcome.ACCEPTED:
            return story
        kinds = self._carrier_of(message).kinds
        if message.part_count:
            self._tell_parts(story)
        else:
            self._tell_delivery(story)
        story.facts = [fact for fact in story.facts if fact.kind in kinds]
        return story

    def _again(self, failed: Story) -> SimulatedMessage:
        """The next attempt, a while after the failure was heard of."""
        before = failed.message
        is_fallback = before.is_fallback or (
            self._fallback is not None and self._happens(self.shares.fell_back)
        )
        again = replace(
            before,
            outcome_time_s=failed.facts[-1].occur_time_s + self._random.randint(60, 600),
            earlier_outcome=None,
            attempt=before.attempt + 1,
            is_fallback=is_fallback,
            part_count=0,
        )
        return self._accepted(again)

    def _tell_delivery(self, story: Story) -> None:
        failures = self._failures_of(story.message)
        if not self._happens(self.shares.no_sent_report):
            story.add(FactKind.SENT, self._random.randint(0, 4))
        fate = self._random.random()
        if fate < self.shares.pending:
            return
        if fate < self.shares.pending + self.shares.undelivered:
            story.add(FactKind.FAILED, self._random.randint(1, 900), failure=self._pick(failures))
            return
        # Mail that bounced for good never arrived, whatever its server had said.
        is_email = story.message.channel is Channel.EMAIL
        if self._happens(self.shares.recovered) and not is_email:
            # Not one that says that the person had opted out: that one is final.
            story.add(FactKind.FAILED, self._random.randint(1, 5), failure=failures[1][1])
        self._tell_reading(story)
        self._tell_engagement(story)

    def _tell_parts(self, story: Story) -> None:
        """Each part is reported; one that is lost loses the whole message."""
        parts = range(1, story.message.part_count + 1)
        for part in parts:
            story.add(FactKind.SENT, self._random.randint(0, 2), part=part)
        lost = self._random.choice(parts) if self._happens(self.shares.undelivered * 4) else 0
        for part in parts:
            after_s = self._random.randint(1, 300)
            if part == lost:
                failure = self._pick(self._failures_of(story.message))
                story.add(FactKind.FAILED, after_s, failure=failure, part=part)
            else:
                story.add(FactKind.DELIVERED, after_s, part=part)
        if not lost:
            self._tell_engagement(story)

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
        prefix, digits, language = self._pick(COUNTRIES)
        number = self._random.randrange(10 ** (digits - 1), 10**digits)
        is_email = self._carrier.channel is Channel.EMAIL
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
            channel=self._carrier.channel,
        )

    def _accepted(self, blank: SimulatedMessage) -> SimulatedMessage:
        carrier = self._carrier_of(blank)
        is_parted = carrier.reports_parts and self._happens(self.shares.parted)
        return replace(
            blank,
            outcome=Outcome.ACCEPTED,
            channel=carrier.channel,
            provider_message_id=carrier.new_message_id(self._random, blank.address),
            part_count=self._random.randint(2, 4) if is_parted else 0,
        )

    def _carrier_of(self, message: SimulatedMessage) -> Carrier:
        if message.is_fallback and self._fallback is not None:
            return self._fallback
        return self._carrier

    def _failures_of(self, message: SimulatedMessage) -> tuple[tuple[int, Failure], ...]:
        return tuple((one.weight, one) for one in self._carrier_of(message).failures)

    def _tell_reading(self, story: Story) -> None:
        reads = not self._happens(self.shares.receipts_off) and self._happens(self.shares.read)
        reads = reads and FactKind.READ in self._carrier_of(story.message).kinds
        # A provider may send only `read` when both happen at once.
        if not (reads and self._happens(self.shares.read_without_delivered)):
            story.add(FactKind.DELIVERED, self._random.randint(1, 1200))
        is_email = story.message.channel is Channel.EMAIL
        while is_email and self._happens(self.shares.opened_by_machines):
            story.add(FactKind.MACHINE_READ, self._random.randint(1, 60))
        if reads:
            story.add(FactKind.READ, self._random.randint(1, 6000))

    def _tell_engagement(self, story: Story) -> None:
        shares, chance = self.shares, self._random
        if self._happens(shares.clicked):
            for _ in range(1 + int(chance.expovariate(1.6))):
                story.add(FactKind.CLICK, chance.randint(5, 300), link_id=chance.choice(LINKS))
        # What a person writes goes to the last attempt, or to none: it may name no message. So only
        # acts that name theirs are told of further attempts.
        if not story.message.attempt:
            self._tell_answers(story)
        if self._happens(shares.stopped):
            # The sender's own systems act on the tap, and tell that the person opted out.
            if not story.message.attempt and self._happens(0.6):
                story.add(FactKind.STOP_TAP, chance.randint(5, 300), text="Stop promotions")
            story.add(FactKind.OPT_OUT, chance.randint(1, 10))

    def _tell_answers(self, story: Story) -> None:
        shares, chance = self.shares, self._random
        if self._happens(shares.tapped):
            story.add(FactKind.TAP, chance.randint(5, 300), text=chance.choice(("Yes", "Later")))
        if self._happens(shares.replied):
            for _ in range(chance.choice((1, 1, 1, 2, 3))):
                story.add(FactKind.REPLY, chance.randint(10, 400), text=chance.choice(REPLIES))
        if self._happens(shares.reacted):
            story.add(FactKind.REACTION, chance.randint(5, 300), text=chance.choice("👍❤🎉"))
            if self._happens(0.2):
                story.add(FactKind.REACTION_REMOVED, chance.randint(5, 60))

    def _happens(self, share: float) -> bool:
        return self._random.random() < share

    def _pick(self, weighted: tuple[tuple[int, T], ...]) -> T:
        weights = [weight for weight, _ in weighted]
        return self._random.choices([value for _, value in weighted], weights)[0]
