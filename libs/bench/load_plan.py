"""What a load tells, of which messages, in which order; and what the reports must say then. Pure.

Everything about a message follows from the plan's name and its number, so that millions need no
memory. The truth is counted here by rules of its own, and shares nothing with the services.
"""

from __future__ import annotations

import hashlib
import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from bluetick.v1 import common_pb2, ingest_service_pb2

from libs.bench.meta_bodies import Told
from libs.simulator.facts import FactKind
from libs.simulator.truth import COUNTERS, UNDELIVERED_REASONS, Truth

# Of a hundred messages: never heard of again, not delivered, and of the others read and answered.
_SILENT, _FAILED, _READ, _REPLIED = 2, 4, 88, 8
_CODES = ("131049", "131026", "130472", "131053")
_DECADE = 10  # numbers 10 n and 10 n + 1 are of the same person
_LANGUAGES = ("de", "en", "es", "fr")
# Within which things come after the record, as shares of the plan's spread.
_DELAYS = {
    FactKind.SENT: (0.01, 0.10),
    FactKind.DELIVERED: (0.02, 0.35),
    FactKind.FAILED: (0.02, 0.35),
    FactKind.READ: (0.05, 1.00),
    FactKind.REPLY: (0.10, 1.00),
}
_AFTER_S = {
    FactKind.SENT: 1,
    FactKind.DELIVERED: 3,
    FactKind.FAILED: 4,
    FactKind.READ: 60,
    FactKind.REPLY: 90,
}


@dataclass(frozen=True, slots=True)
class Planned:
    """One thing to tell of message number `message`."""

    message: int
    told: Told


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlan:
    """Messages of `campaigns` campaigns, told of in a mixed order.

    Things of a message are told up to `spread` messages later than its turn. `name` is unique to
    the run; `start_time_s` is when the sends began, Unix time, UTC.
    """

    name: str
    campaigns: int
    start_time_s: int
    spread: int

    def campaign_id(self, message: int) -> str:
        """The campaign that a message belongs to."""
        return f"{self.name}-{message // _DECADE % self.campaigns}"

    def campaign_ids(self) -> list[str]:
        """All campaigns."""
        return [f"{self.name}-{number}" for number in range(self.campaigns)]

    def record(self, message: int) -> ingest_service_pb2.MessageRecord:
        """What the sender records of it."""
        person = _person(message)
        record = ingest_service_pb2.MessageRecord(
            message_ref=f"{self.name}-{message}",
            campaign_id=self.campaign_id(message),
            contact_id=f"{self.name}-person-{person}",
            address=_address(person),
            channel=common_pb2.CHANNEL_WHATSAPP,
            provider="meta",
            account="acct_1",
            provider_message_id=self._provider_id(message)[0],
            sender="+15550100200",
            template="spring_sale",
            language=_LANGUAGES[message % len(_LANGUAGES)],
            category="marketing",
            variant="AB"[message % 2],
            segment=("loyal", "new", "sleeping")[message % 3],
        )
        record.accepted.accept_time.FromSeconds(self._accept_time_s(message))
        return record

    def things(self, message: int) -> list[Told]:
        """What happens to it, in the order in which it happens."""
        name, chance = self._provider_id(message)
        address = _address(_person(message))
        accept_s = self._accept_time_s(message)
        code = _CODES[chance[4] % len(_CODES)]
        return [
            Told(
                kind,
                name,
                address,
                accept_s + _AFTER_S[kind] + chance[5] % 20,
                code if kind is FactKind.FAILED else "",
            )
            for kind in _kinds(chance)
        ]

    def in_order(self, messages: Iterable[int]) -> Iterator[Planned]:
        """Everything that happens to these messages, in the order of telling."""
        waiting: list[tuple[float, int, int, Told]] = []
        for message in messages:
            while waiting and waiting[0][0] <= message:
                _, _, of, told = heapq.heappop(waiting)
                yield Planned(of, told)
            for number, told in enumerate(self.things(message)):
                least, most = _DELAYS[told.kind]
                share = _share(self.name, message, number)
                at = message + self.spread * (least + (most - least) * share)
                heapq.heappush(waiting, (at, number, message, told))
        while waiting:
            _, _, of, told = heapq.heappop(waiting)
            yield Planned(of, told)

    def _provider_id(self, message: int) -> tuple[str, bytes]:
        """The provider's id, and bytes of chance."""
        digest = hashlib.blake2b(f"{self.name}-{message}".encode(), digest_size=12).digest()
        # No "/" and no "+": the id is never escaped.
        return f"wamid.HBgLNDkxNTE{digest.hex()}", digest

    def _accept_time_s(self, message: int) -> int:
        return self.start_time_s + message // 1_000


@dataclass(slots=True)
class TruthOfPlan:
    """Counts what the reports must say, from what was told. Messages come in ascending order."""

    plan: LoadPlan
    counts: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    reasons: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    _last: dict[str, int] = field(default_factory=dict)  # who was counted last, by set of people

    def add(self, message: int, things: Iterable[Told]) -> None:
        """Count one recorded message and all that was told of it."""
        campaign_id = self.plan.campaign_id(message)
        counts = self.counts[campaign_id]
        told = {one.kind: one for one in things}
        person = _person(message)
        counts.update(("targeted", "sent", "addressable", "attempts"))
        self._add_person(counts, "people_targeted", person)
        if FactKind.REPLY in told:
            counts.update(("replied", "replies"))
            self._add_person(counts, "repliers", person)
        if told.keys() & {FactKind.DELIVERED, FactKind.READ, FactKind.REPLY}:
            counts["delivered"] += 1
            counts["read"] += FactKind.READ in told
            counts["human_read"] += FactKind.READ in told
            counts["read_inferred"] += bool(told.keys() & {FactKind.READ, FactKind.REPLY})
            counts["recovered"] += FactKind.FAILED in told
            self._add_person(counts, "people_reached", person)
        elif FactKind.FAILED in told:
            counts.update(("undelivered", "failed", "failed_addressable"))
            reason = UNDELIVERED_REASONS[told[FactKind.FAILED].code]
            self.reasons[campaign_id][f"UNDELIVERED/{reason}"] += 1
        else:
            counts["pending"] += 1

    def truth(self, campaign_id: str) -> Truth:
        """Every number of one campaign's report."""
        counts = self.counts[campaign_id]
        return Truth(
            counters={name: counts[name] for name in COUNTERS},
            reasons=dict(self.reasons[campaign_id]),
        )

    def _add_person(self, counts: Counter[str], name: str, person: int) -> None:
        # A person's messages follow one another, so that the last one is all there is to know.
        if self._last.get(name) != person:
            counts[name] += 1
            self._last[name] = person


def _kinds(chance: bytes) -> list[FactKind]:
    fate = int.from_bytes(chance[:2], "big") % 100
    if fate < _SILENT:
        return []
    if fate < _SILENT + _FAILED:
        return [FactKind.SENT, FactKind.FAILED]
    kinds = [FactKind.SENT, FactKind.DELIVERED]
    if chance[2] % 100 < _READ:
        kinds.append(FactKind.READ)
    if chance[3] % 100 < _REPLIED:
        kinds.append(FactKind.REPLY)
    return kinds


def _person(message: int) -> int:
    return message - 1 if message % _DECADE == 1 else message


def _address(person: int) -> str:
    return f"+49151{person:08d}"


def _share(name: str, message: int, number: int) -> float:
    text = f"{name}-{message}-{number}-delay".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=2).digest(), "big") / 65_536
