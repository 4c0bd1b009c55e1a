"""The acceptance campaign as facts, for any provider: what happened, in nobody's dialect."""

import random

from libs.simulator.chaos import Emission
from libs.simulator.facts import Channel, Fact, FactKind, Outcome, SimulatedMessage
from libs.simulator.provider import SimulatedProvider
from tests.system.fixture_a import CLICKS, DELIVERED, READ, SENT, START

DELIVERY = {
    "targeted": 12,
    "addressable": 11,
    "dropped": 2,
    "sent": 10,
    "delivered": 7,
    "undelivered": 1,
    "pending": 2,
    "queued": 0,
    "failed": 3,
    "failed_addressable": 2,
    "people_targeted": 11,
    "people_reached": 6,
    "clicks": 5,
    "clicked": 3,
    "unique_link_clicks": 4,
    "unsubscribed": 1,
}
READS = {"read": 4}
# A button and two texts; a provider without buttons tells of three texts.
REPLIES = {"replies": 3, "replied": 2, "repliers": 2, "read_inferred": 6}


class FixtureAFacts:
    """Messages and facts of one copy of the campaign, with the ids of `provider`."""

    def __init__(self, campaign_id: str, provider: SimulatedProvider) -> None:
        """Write the scenario down."""
        self.campaign_id = campaign_id
        self.provider = provider
        self._chance = random.Random(campaign_id)
        self.messages = [self._message(name, number) for number, name in enumerate(SENT)]
        self.messages.append(self._dropped("P10", "RATE_LIMITS", 10))
        self.messages.append(self._dropped("P11", "INVALID_PHONE_NUMBERS", 11))
        self._by_name = dict(zip(SENT, self.messages, strict=False))
        self.facts: list[Fact] = []
        self._happen()

    def emissions(self, *, by_provider: bool) -> list[Emission]:
        """The facts that the provider tells, or those that the sender's own systems tell."""
        kinds = self.provider.kinds
        senders = frozenset({FactKind.CLICK, FactKind.OPT_OUT}) - kinds
        wanted = kinds if by_provider else senders
        return [Emission(one, 0.0, one.occur_time_s) for one in self.facts if one.kind in wanted]

    def _message(self, name: str, number: int) -> SimulatedMessage:
        person = "P1" if name in ("P1a", "P1b") else name
        is_email = self.provider.channel is Channel.EMAIL
        address = f"{name.lower()}@example.net" if is_email else f"+4917010000{number:02}"
        return SimulatedMessage(
            message_ref=f"{self.campaign_id}-{name}",
            campaign_id=self.campaign_id,
            contact_id=f"{self.campaign_id}-{person}",
            address=address,
            profile_name=name,
            outcome=Outcome.ACCEPTED,
            outcome_time_s=START + number,
            provider_message_id=self.provider.new_message_id(self._chance, address),
            channel=self.provider.channel,
        )

    def _dropped(self, name: str, reason: str, number: int) -> SimulatedMessage:
        return SimulatedMessage(
            message_ref=f"{self.campaign_id}-{name}",
            campaign_id=self.campaign_id,
            contact_id=f"{self.campaign_id}-{name}",
            address="0170-12",
            profile_name=name,
            outcome=Outcome.DROPPED,
            outcome_time_s=START + number,
            drop_reason=reason,
            channel=self.provider.channel,
        )

    def _add(self, name: str, kind: FactKind, after_s: int, **more: str) -> None:
        self.facts.append(
            Fact(
                fact_id=f"{self.campaign_id}#{len(self.facts)}",
                kind=kind,
                message=self._by_name[name],
                occur_time_s=START + after_s,
                **more,
            )
        )

    def _happen(self) -> None:
        for name in SENT:
            self._add(name, FactKind.SENT, 60)
        for name in DELIVERED:
            self._add(name, FactKind.DELIVERED, 120)
        for name in READ:
            self._add(name, FactKind.READ, 300)
        failure = self.provider.failures[0]
        self._add("P7", FactKind.FAILED, 90, code=failure.code, reason=failure.reason)
        has_buttons = FactKind.TAP in self.provider.kinds
        self._add("P4", FactKind.TAP if has_buttons else FactKind.REPLY, 901, text="Yes")
        self._add("P4", FactKind.REPLY, 902, text="Sounds good")
        self._add("P6", FactKind.REPLY, 903, text="Who is this?")
        for number, (name, link) in enumerate(CLICKS):
            self._add(name, FactKind.CLICK, 5_000 + number, link_id=link)
        self._add("P3", FactKind.OPT_OUT, 6_000)
