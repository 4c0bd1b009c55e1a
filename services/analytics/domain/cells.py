"""Sums of one fold, as they go into the tables."""

from collections import defaultdict
from collections.abc import Iterable
from enum import IntEnum
from functools import lru_cache
from typing import Any

import msgspec
from bluetick.v1 import event_pb2

from services.analytics.domain.counters import PEOPLE, STORED
from services.analytics.domain.dimensions import NAMES, Dimensions, dimension_key, storable
from services.analytics.domain.links import LinkName, joined, link_key, name_of

HOUR_MINUTES = 60
MINUTE_US = 60_000_000
HOUR_US = 3_600_000_000


class Vector:
    """Counts to add together: (index in STORED, how many). Compared and hashed by identity."""

    __slots__ = ("counts",)

    def __init__(self, counts: tuple[tuple[int, int], ...]) -> None:
        self.counts = counts


class ClockName(IntEnum):
    """Clock of a cell; the numbers are those of bluetick.v1.Clock."""

    EVENT_TIME = 1
    SEND_COHORT = 2


@lru_cache(maxsize=65_536)
def vector_of(counts: tuple[tuple[int, int], ...]) -> Vector | None:
    """Return the one vector of these counts, None if there are none.

    One for equal counts: vectors are compared by identity, which is quick.
    """
    return Vector(counts) if counts else None


class CampaignCells(msgspec.Struct):
    """Sums of one campaign that have no dimensions and no time."""

    tenant_id: str
    campaign_id: str
    people: dict[bytes, list[int]]
    links: dict[bytes, int]
    # (stage, reason, provider, code) -> messages.
    failures: dict[tuple[int, int, str, str], int]
    # (link, person) -> clicks, clicks of machines.
    link_people: dict[tuple[bytes, bytes], tuple[int, int]]
    # Link -> what it is called.
    link_names: dict[bytes, LinkName]

    @classmethod
    def of(cls, tenant_id: str, campaign_id: str) -> "CampaignCells":
        """Return empty sums."""
        return cls(storable(tenant_id), storable(campaign_id), {}, {}, {}, {}, {})

    def add_people(self, person: bytes, moves: tuple[int, ...]) -> None:
        """Add ``moves`` (one number per set of counters.PEOPLE) to the person."""
        sums = self.people.get(person)
        if sums is None:
            self.people[person] = list(moves)
            return
        for index, n in enumerate(moves):
            sums[index] += n

    def add_link(self, member: bytes | None, n: int) -> None:
        """Add ``n`` clicks to one pair of person and link."""
        if member is not None:
            self.links[member] = self.links.get(member, 0) + n

    def add_click(self, person: bytes, engagement: event_pb2.Engagement, n: int) -> None:
        """Add a click (``n`` = 1) of the person, or take it back (-1)."""
        key = link_key(engagement)
        clicks, machine_clicks = self.link_people.get((key, person), (0, 0))
        machine_n = n if engagement.is_machine else 0
        self.link_people[key, person] = clicks + n, machine_clicks + machine_n
        if n > 0:
            told = name_of(engagement)
            known = self.link_names.get(key)
            self.link_names[key] = told if known is None else joined(known, told)

    def add_failure(self, key: tuple[int, int, str, str], n: int) -> None:
        """Add ``n`` messages to one (stage, reason, provider, code)."""
        self.failures[key] = self.failures.get(key, 0) + n


class Scope(msgspec.Struct):
    """Sums of one campaign under one combination of dimensions."""

    campaign: CampaignCells
    dimensions: Dimensions
    dimension_key: bytes
    # (minute since 1970, vector) -> how often; clock EVENT_TIME.
    event: defaultdict[tuple[int, Vector], int]
    # (hour since 1970, vector) -> how often; clock SEND_COHORT.
    cohort: defaultdict[tuple[int, Vector], int]

    @classmethod
    def of(cls, campaign: CampaignCells, values: tuple[int | str, ...]) -> "Scope":
        """Return empty sums; ``values`` in the order of dimensions.NAMES."""
        stored = Dimensions._make(v if isinstance(v, int) else storable(v) for v in values)
        return cls(campaign, stored, dimension_key(stored), defaultdict(int), defaultdict(int))


Row = list[int]


class Cells(msgspec.Struct):
    """Rows to add to the tables; a row is one number per counter of STORED."""

    # (tenant, campaign, channel)
    totals: dict[tuple[str, str, int], Row]
    # (tenant, campaign, clock, hour in us, dimension key)
    hours: dict[tuple[str, str, int, int, bytes], Row]
    # (tenant, campaign, minute in us)
    minutes: dict[tuple[str, str, int], Row]
    # (tenant, campaign, stage, reason, provider, code)
    failures: dict[tuple[str, str, int, int, str, str], int]
    # (tenant, campaign, person) -> one number per set of PEOPLE
    people: dict[tuple[str, str, bytes], Row]
    # (tenant, campaign, pair of person and link)
    links: dict[tuple[str, str, bytes], int]
    # (tenant, campaign, link, person) -> clicks, clicks of machines
    link_people: dict[tuple[str, str, bytes, bytes], tuple[int, int]]
    # (tenant, campaign, link) -> what it is called
    link_names: dict[tuple[str, str, bytes], LinkName]
    # (tenant, campaign, dimension key) -> values
    dimension_sets: dict[tuple[str, str, bytes], Dimensions]

    @property
    def campaigns(self) -> list[tuple[str, str]]:
        """(tenant, campaign) of everything here, sorted."""
        named = {key[:2] for table in (self.totals, self.people, self.links) for key in table}
        return sorted(named)

    @classmethod
    def of(cls, scopes: Iterable[Scope], campaigns: Iterable[CampaignCells]) -> "Cells":
        """Return the sums as rows, without those that came out 0."""
        cells = cls({}, {}, {}, {}, {}, {}, {}, {}, {})
        for scope in scopes:
            cells._add_scope(scope)
        for campaign in campaigns:
            cells._add_campaign(campaign)
        for rows in (cells.totals, cells.hours, cells.minutes, cells.people):
            _drop_zeros(rows)
        return cells

    def _add_scope(self, scope: Scope) -> None:
        name = scope.campaign.tenant_id, scope.campaign.campaign_id
        key = scope.dimension_key
        self.dimension_sets[*name, key] = scope.dimensions
        total = _row(self.totals, (*name, scope.dimensions.channel))
        for (minute, vector), n in scope.event.items():
            if n:
                hour_us = minute // HOUR_MINUTES * HOUR_US
                hour = _row(self.hours, (*name, int(ClockName.EVENT_TIME), hour_us, key))
                _add(_row(self.minutes, (*name, minute * MINUTE_US)), vector, n)
                _add(hour, vector, n)
                _add(total, vector, n)
        for (hour_number, vector), n in scope.cohort.items():
            if n:
                cell = (*name, int(ClockName.SEND_COHORT), hour_number * HOUR_US, key)
                _add(_row(self.hours, cell), vector, n)

    def _add_campaign(self, campaign: CampaignCells) -> None:
        name = campaign.tenant_id, campaign.campaign_id
        for person, moves in campaign.people.items():
            self.people[*name, person] = moves
        for member, n in campaign.links.items():
            if n:
                self.links[*name, member] = n
        for (key, person), counts in campaign.link_people.items():
            if any(counts):
                self.link_people[*name, key, person] = counts
        for key, told in campaign.link_names.items():
            told = told._replace(
                link_id=storable(told.link_id), url=storable(told.url), label=storable(told.label)
            )
            self.link_names[*name, key] = told
        for (stage, reason, provider, code), n in campaign.failures.items():
            if n:
                cell = (*name, stage, reason, storable(provider), storable(code))
                self.failures[cell] = self.failures.get(cell, 0) + n


def _row(rows: dict[Any, Row], key: Any) -> Row:
    row = rows.get(key)
    if row is None:
        row = rows[key] = [0] * len(STORED)
    return row


def _add(row: Row, vector: Vector, n: int) -> None:
    for index, count in vector.counts:
        row[index] += count * n


def _drop_zeros(rows: dict[Any, Row]) -> None:
    for key in [key for key, row in rows.items() if not any(row)]:
        del rows[key]


assert len(PEOPLE) == 4, "the tables have a column per set of people"
assert NAMES[0] == "channel", "totals are keyed by channel"
