"""Writes the sums of a fold: set-based upserts, sorted so that replicas cannot deadlock."""

import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bluetick.v1 import campaign_service_pb2 as campaign_pb2

from services.analytics.adapters.cell_statements import (
    add_members,
    add_members_of_one,
    add_part_sizes,
    add_sizes,
    add_sums,
    turned,
    upsert,
)
from services.analytics.adapters.list_rows import ListRows
from services.analytics.adapters.seat_rows import add_to_seats, lock_members
from services.analytics.domain.cells import CampaignName, Cells
from services.analytics.domain.counters import DISTINCT_NAMES, STORED_NAMES
from services.analytics.domain.families.family import MEMBER_BYTES, Family, Sums
from services.analytics.domain.times import MINUTE_US

_DRAFT = campaign_pb2.CAMPAIGN_STATE_DRAFT
_SENDING = campaign_pb2.CAMPAIGN_STATE_SENDING
_BROADCAST = campaign_pb2.CAMPAIGN_KIND_BROADCAST
_ADD_LEDGER = upsert(
    "ledger",
    (
        ("tenant_id", "text"),
        ("campaign_id", "text"),
        ("minute_us", "bigint"),
        ("cause", "smallint"),
    ),
    (*STORED_NAMES, *DISTINCT_NAMES),
)
# Of several addresses or labels of one link the first in the alphabet, whatever order they come in.
_ADD_LINK_NAMES = """
    INSERT INTO analytics.link_names AS known
      (tenant_id, campaign_id, link_key, link_id, url, label, card_index, is_external_button)
    SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::text[], $5::text[], $6::text[],
      $7::bigint[], $8::boolean[])
    ON CONFLICT (tenant_id, campaign_id, link_key) DO UPDATE SET
      url = coalesce(least(nullif(known.url, ''), nullif(excluded.url, '')), ''),
      label = coalesce(least(nullif(known.label, ''), nullif(excluded.label, '')), '')
    WHERE (excluded.url <> '' AND (known.url = '' OR excluded.url < known.url))
      OR (excluded.label <> '' AND (known.label = '' OR excluded.label < known.label))
"""
# Looked at first, without a lock: nearly always everything is there.
_STARTED = """
    SELECT tenant_id, campaign_id FROM analytics.campaigns
    JOIN unnest($1::text[], $2::text[]) AS u (tenant_id, campaign_id) USING (tenant_id, campaign_id)
    WHERE state <> $3
"""
_START = """
    INSERT INTO analytics.campaigns AS known (tenant_id, campaign_id, kind, state, tags,
      create_time_us, update_time_us, is_implicit, body, creation_hash)
    SELECT tenant_id, campaign_id, $3, $4, '{}'::text[], $5, $5, TRUE, ''::bytea, ''::bytea
    FROM unnest($1::text[], $2::text[]) AS u (tenant_id, campaign_id)
    ON CONFLICT (tenant_id, campaign_id) DO UPDATE
      SET state = excluded.state, update_time_us = excluded.update_time_us
      WHERE known.state = $6
"""

# With more sets than this one statement for all is cheaper than one for each.
_SETS_BY_ONE_MAX = 16

# Tenant -> generation.
Generations = Mapping[str, int]
# (tenant, campaign, cause) -> set -> by how much the set of the campaign grew.
Grown = dict[tuple[str, str, int], dict[str, int]]
# Key -> sums.
Rows = dict[tuple[Any, ...], tuple[int, ...]]


class CellRows:
    """Writes rows of some families in one transaction, into one shard.

    The tables in one order and the rows in one order, everywhere: no deadlocks.
    """

    def __init__(self, connection: Any, shard: int, families: Sequence[Family]) -> None:
        self._connection = connection
        self._shard = shard
        self._families = families

    async def start_campaigns(self, names: Iterable[CampaignName], now_us: int) -> None:
        """Create campaigns that nobody created; what is being sent is no draft."""
        wanted = sorted(names)
        found = await self._connection.fetch(_STARTED, *turned(wanted, 2), _DRAFT)
        started = {(row[0], row[1]) for row in found}
        missing = [name for name in wanted if name not in started]
        if missing:
            arrays = turned(missing, 2)
            await self._connection.execute(_START, *arrays, _BROADCAST, _SENDING, now_us, _DRAFT)

    async def add(
        self, cells: Mapping[CampaignName, Cells], generations: Generations, now_us: int | None
    ) -> None:
        """Add sums to a generation of each tenant; with ``now_us``, to the ledger as well."""
        grown = await self._add_seats(cells, generations)
        for entry, moved in (await self._add_sets(cells, generations)).items():
            grown.setdefault(entry, {}).update(moved)
        for family in self._families:
            if family.member is not None:
                continue
            rows = [
                (*name, generations[name[0]], *key, *row)
                for name, one in cells.items()
                for key, row in one.sums.get(family.name, {}).items()
            ]
            await self._sum(add_sums(family), rows)
        if now_us is not None:
            await self._sum(_ADD_LEDGER, _ledger_rows(cells, grown, now_us))
        await ListRows(self._connection, self._shard).add(
            {name: one.lists for name, one in cells.items()}, generations
        )
        names = sorted(
            (*name, key, *told)
            for name, one in cells.items()
            for key, told in one.link_names.items()
        )
        if names:
            await self._connection.execute(_ADD_LINK_NAMES, *turned(names, 8))

    async def _add_seats(
        self, cells: Mapping[CampaignName, Cells], generations: Generations
    ) -> Grown:
        """As ``_add_sets``, of the sets with seats."""
        grown: Grown = {}
        names = sorted(name for name, one in cells.items() if one.seats)
        if names:
            await lock_members(self._connection, names)
        for family in self._families if names else ():
            if not family.seat:
                continue
            sizes: Rows = {}
            parts: Rows = {}
            for name in names:
                place: tuple[Any, ...] = *name, generations[name[0]]
                for cause, families in sorted(cells[name].seats.items()):
                    seats = families.get(family.name)
                    if not seats:
                        continue
                    growth = await add_to_seats(self._connection, family, name, place[-1], seats)
                    for (kind, part), row in growth.items():
                        if not kind:
                            _add(sizes, place, row)
                            moved = grown.setdefault((*name, cause), {})
                            moved.update(zip(family.sums, row, strict=True))
                        elif part:
                            _add(parts, (*place, kind, part), row)
            await self._sum(add_sizes(family), _moved(sizes))
            await self._sum(add_part_sizes(family), _moved(parts))
        return grown

    async def _add_sets(
        self, cells: Mapping[CampaignName, Cells], generations: Generations
    ) -> Grown:
        """Return by how much the sets of campaigns grew."""
        grown: Grown = {}
        causes = sorted({cause for one in cells.values() for cause in one.sets})
        for family in self._families:
            if family.member is None or family.seat:
                continue
            sizes: Rows = {}
            for cause in causes:
                sets: dict[tuple[Any, ...], dict[bytes, Sums]] = {}
                for name, one in cells.items():
                    rows = one.sets.get(cause, {}).get(family.name, {})
                    place: tuple[Any, ...] = *name, generations[name[0]]
                    for key, sums in rows.items():
                        sets.setdefault((*place, *key[:-1]), {})[_bytes(key[-1])] = sums
                for key, row in (await self._add_to_sets(family, sets)).items():
                    _add(sizes, key, row)
                    if not family.key:
                        moved = grown.setdefault((str(key[0]), str(key[1]), cause), {})
                        moved.update(zip(family.sums, row, strict=True))
            await self._sum(add_sizes(family), _moved(sizes))
        return grown

    async def _add_to_sets(
        self, family: Family, sets: Mapping[tuple[Any, ...], Mapping[bytes, Sums]]
    ) -> dict[tuple[Any, ...], tuple[int, ...]]:
        """Return by how much each set grew."""
        width = len(family.sums)
        if len(sets) > _SETS_BY_ONE_MAX:
            rows = sorted(
                (*key, member, *sums) for key, rows in sets.items() for member, sums in rows.items()
            )
            columns = turned(rows, len(rows[0]))
            answers = await self._connection.fetch(add_members(family), *columns)
            return {tuple(row)[:-width]: tuple(row)[-width:] for row in answers}
        grown = {}
        for key, members in sorted(sets.items()):
            ordered = sorted(members)
            numbers: dict[Sums, int] = {}
            places = [numbers.setdefault(members[one], len(numbers) + 1) for one in ordered]
            values = [list(column) for column in zip(*numbers, strict=True)]
            grown[key] = tuple(
                await self._connection.fetchrow(
                    add_members_of_one(family), *key, b"".join(ordered), places, *values
                )
            )
        return grown

    async def _sum(self, statement: str, rows: list[tuple[Any, ...]]) -> None:
        if rows:
            arrays = turned(sorted(rows), len(rows[0]))
            await self._connection.execute(statement, self._shard, *arrays)


def _add(rows: Rows, key: tuple[Any, ...], row: tuple[int, ...]) -> None:
    known = rows.get(key)
    rows[key] = row if known is None else tuple(map(operator.add, known, row))


def _moved(rows: Rows) -> list[tuple[Any, ...]]:
    return [(*key, *row) for key, row in rows.items() if any(row)]


def _bytes(member: int | str | bytes) -> bytes:
    assert isinstance(member, bytes)
    assert len(member) == MEMBER_BYTES
    return member


def _ledger_rows(
    cells: Mapping[CampaignName, Cells],
    grown: Grown,
    now_us: int,
) -> list[tuple[Any, ...]]:
    minute_us = now_us // MINUTE_US * MINUTE_US
    entries = {
        (*name, cause): row for name, one in cells.items() for cause, row in one.causes.items()
    }
    rows = []
    for entry in entries.keys() | grown.keys():
        tenant_id, campaign_id, cause = entry
        sums = entries.get(entry) or [0] * len(STORED_NAMES)
        sets = grown.get(entry, {})
        distinct = [sets.get(name, 0) for name in DISTINCT_NAMES]
        if any(sums) or any(distinct):
            rows.append((tenant_id, campaign_id, minute_us, cause, *sums, *distinct))
    return rows
