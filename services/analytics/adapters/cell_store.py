"""Cells in PostgreSQL: one transaction a fold, and what to do when somebody holds a row."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import uuid4

import asyncpg

from libs.runtime.database import Database, RowsLocked
from services.analytics.adapters.cell_rows import CellRows
from services.analytics.adapters.cell_statements import turned
from services.analytics.adapters.dictionary import Dictionary
from services.analytics.adapters.folded_sequences import (
    StreamPlace,
    close_set_aside,
    note_runs,
    note_set_aside,
)
from services.analytics.adapters.list_numbers import MessageNumbers
from services.analytics.domain.cells import CampaignName, Cells
from services.analytics.domain.families.family import Family
from services.analytics.domain.frames import Frame
from services.analytics.domain.lists.listed import Names, Wanted
from services.analytics.fold_changes import BatchKey, Built, Incoming, Rejected, When, Work
from services.analytics.settings import SHARDS

# How long a fold waits for a row that somebody else has locked; then it goes on without it.
LOCK_WAIT_MS = 1_000
_LOCK_WAIT_ALONE_MS = 100
# Sums that wait for a lock; beyond, the folds wait.
POSTPONED_MAX = 20_000
FIRST_GENERATION = 1

_CLAIM = """
    INSERT INTO analytics.applied (tenant_id, batch_id, apply_time_us)
    SELECT tenant_id, batch_id, $3 FROM unnest($1::text[], $2::text[]) AS u (tenant_id, batch_id)
    ON CONFLICT (tenant_id, batch_id) DO NOTHING
    RETURNING tenant_id, batch_id
"""
_GENERATIONS = """
    SELECT tenant_id, shown, building, is_read FROM analytics.generations
    WHERE tenant_id = ANY($1::text[])
"""
_BUILT_VERSIONS = """
    SELECT message_key, version FROM analytics.built_versions
    WHERE tenant_id = $1 AND generation = $2 AND message_key = ANY($3::bytea[])
"""
_KEEP_EARLY = """
    INSERT INTO analytics.early_changes
      (tenant_id, generation, message_key, version, part, payload)
    SELECT $1, $2, * FROM unnest($3::bytea[], $4::bigint[], $5::int[], $6::bytea[])
    ON CONFLICT (tenant_id, generation, message_key, version, part) DO NOTHING
"""
_POSTPONE = """
    INSERT INTO analytics.postponed_cells (tenant_id, campaign_id, postponed_key, generation,
      is_shown, payload, fold_time_us, event_time_us)
    SELECT $1, $2, $3, $4, $5, $6, $7, $8
    WHERE (SELECT count(*) FROM analytics.postponed_cells) < $9
    RETURNING TRUE
"""


# Sums of a generation that is gone are of no use.
_POSTPONED = """
    SELECT p.*, p.generation IN (coalesce(g.shown, 1), coalesce(g.building, 0)) AS is_live
    FROM analytics.postponed_cells p
    LEFT JOIN analytics.generations g USING (tenant_id)
    ORDER BY p.fold_time_us LIMIT $1 FOR UPDATE OF p SKIP LOCKED
"""
_SETTLED = """
    DELETE FROM analytics.postponed_cells
    WHERE (tenant_id, campaign_id, postponed_key) IN (
      SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[])
    )
"""


class CellTransaction:
    """See fold_changes.FoldTransaction.

    ``is_patient``: it waits for rows that others have locked, and gives up with ``RowsLocked``.
    Else it writes each campaign by itself, and puts aside the sums of those whose rows are locked.
    """

    def __init__(
        self,
        connection: Any,
        shard: int,
        families: Sequence[Family],
        place: StreamPlace,
        *,
        is_patient: bool = True,
    ) -> None:
        self._connection = connection
        self._shard = shard
        self._families = families
        self._place = place
        self._is_patient = is_patient
        self._shown: dict[str, int] = {}

    async def claim(self, keys: Sequence[BatchKey], now_us: int) -> set[BatchKey]:
        """See fold_changes.FoldTransaction.claim; ``keys`` are sorted."""
        wait_ms = LOCK_WAIT_MS if self._is_patient else _LOCK_WAIT_ALONE_MS
        await self._connection.execute(f"SET LOCAL lock_timeout = {wait_ms}")
        if not keys:
            return set()
        rows = await self._connection.fetch(_CLAIM, *turned(keys, 2), now_us)
        return {(row[0], row[1]) for row in rows}

    async def building(self, tenants: Iterable[str]) -> Mapping[str, Built]:
        """See fold_changes.FoldTransaction.building."""
        wanted = sorted(tenants)
        rows = await self._connection.fetch(_GENERATIONS, wanted)
        if any(row["building"] for row in rows):
            # While one is made, nobody begins, ends or reads on under our feet.
            statement = f"{_GENERATIONS} ORDER BY tenant_id FOR SHARE"
            rows = await self._connection.fetch(statement, wanted)
        self._shown = dict.fromkeys(wanted, FIRST_GENERATION)
        self._shown |= {row["tenant_id"]: row["shown"] for row in rows}
        return {
            row["tenant_id"]: Built(row["building"], row["is_read"])
            for row in rows
            if row["building"]
        }

    async def add(self, cells: Mapping[CampaignName, Cells], when: When) -> None:
        """See fold_changes.FoldTransaction.add."""
        await self._add(cells, self._shown, when, is_shown=True)

    async def add_built(
        self, cells: Mapping[CampaignName, Cells], generation: int, when: When
    ) -> None:
        """See fold_changes.FoldTransaction.add_built."""
        generations = {tenant_id: generation for tenant_id, _ in cells}
        await self._add(cells, generations, when, is_shown=False)

    async def built_versions(
        self, tenant_id: str, generation: int, keys: Sequence[bytes]
    ) -> Mapping[bytes, int]:
        """See fold_changes.FoldTransaction.built_versions."""
        rows = await self._connection.fetch(_BUILT_VERSIONS, tenant_id, generation, list(keys))
        return {row[0]: row[1] for row in rows}

    async def keep_early(self, tenant_id: str, generation: int, changes: Sequence[Any]) -> None:
        """See fold_changes.FoldTransaction.keep_early."""
        rows = [(c.message_key, c.version, c.part, c.SerializeToString()) for c in changes]
        columns = turned(sorted(rows), 4)
        await self._connection.execute(_KEEP_EARLY, tenant_id, generation, *columns)

    async def note_folded(self, messages: Sequence[Incoming], rejected: Sequence[Rejected]) -> None:
        """See fold_changes.FoldTransaction.note_folded."""
        place = self._place
        await note_runs(self._connection, place, [one.stream_seq for one in messages])
        if rejected:
            await note_set_aside(self._connection, place, [one.incoming for one in rejected])
        out = {one.incoming.stream_seq for one in rejected}
        came_back = [
            m.set_aside_seq for m in messages if m.set_aside_seq and m.stream_seq not in out
        ]
        await close_set_aside(self._connection, place, came_back)

    async def _add(
        self,
        cells: Mapping[CampaignName, Cells],
        generations: Mapping[str, int],
        when: When,
        *,
        is_shown: bool,
    ) -> None:
        if self._is_patient:
            try:
                await self._write(self._shard, cells, generations, when, is_shown)
            except asyncpg.LockNotAvailableError as error:
                raise RowsLocked from error
            return
        for name, one in sorted(cells.items()):
            generation = generations[name[0]]
            if not await self.try_campaign(name, one, generation, when, is_shown=is_shown):
                await self._postpone(name, one, generation, when, is_shown)

    async def try_campaign(
        self, name: CampaignName, cells: Cells, generation: int, when: When, *, is_shown: bool
    ) -> bool:
        """Write one campaign, in another shard if ours is locked; return whether that worked."""
        for shard in (self._shard, (self._shard + SHARDS // 2) % SHARDS):
            try:
                async with self._connection.transaction():
                    generations = {name[0]: generation}
                    await self._write(shard, {name: cells}, generations, when, is_shown)
                return True
            except asyncpg.LockNotAvailableError:
                continue
        return False

    async def _write(
        self,
        shard: int,
        cells: Mapping[CampaignName, Cells],
        generations: Mapping[str, int],
        when: When,
        is_shown: bool,
    ) -> None:
        rows = CellRows(self._connection, shard, self._families)
        if is_shown:
            await rows.start_campaigns(cells, when.now_us)
        await rows.add(cells, generations, when.now_us if is_shown else None)

    async def start_campaigns(self, names: Sequence[CampaignName], now_us: int) -> None:
        """Create campaigns that nobody created."""
        rows = CellRows(self._connection, self._shard, self._families)
        await rows.start_campaigns(names, now_us)

    async def _postpone(
        self, name: CampaignName, cells: Cells, generation: int, when: When, is_shown: bool
    ) -> None:
        payload = cells.packed()
        kept = await self._connection.fetchval(
            _POSTPONE, *name, uuid4().bytes, generation, is_shown, payload, when.now_us,
            when.event_time_us, POSTPONED_MAX,
        )  # fmt: skip
        if not kept:
            raise RowsLocked(
                f"more than {POSTPONED_MAX} sums wait for rows that others have locked"
            )

    async def settle_postponed(self, sums_max: int) -> int:
        """See CellStore.settle_postponed."""
        await self._connection.execute(f"SET LOCAL lock_timeout = {_LOCK_WAIT_ALONE_MS}")
        rows = await self._connection.fetch(_POSTPONED, sums_max)
        await self.building({row["tenant_id"] for row in rows})
        done = []
        for row in rows:
            name = row["tenant_id"], row["campaign_id"]
            cells = Cells.unpacked(row["payload"])
            when = When(row["fold_time_us"], row["event_time_us"])
            if not row["is_live"] or await self.try_campaign(
                name, cells, row["generation"], when, is_shown=row["is_shown"]
            ):
                done.append((*name, row["postponed_key"]))
        if done:
            await self._connection.execute(_SETTLED, *turned(done, 3))
        return len(done)


class CellStore:
    """Cells of one worker: it writes to the rows of its own ``shard``."""

    def __init__(
        self,
        database: Database,
        dictionary: Dictionary,
        families: Sequence[Family],
        shard: int,
        place: StreamPlace,
        numbers: MessageNumbers | None = None,
    ) -> None:
        """Build it; stores of one process may share what they remember in ``numbers``."""
        self._database = database
        self._dictionary = dictionary
        self._numbers = numbers or MessageNumbers(database)
        self._families = families
        self._shard = shard
        self._place = place

    async def resolve(self, frames: Iterable[Frame]) -> None:
        """See fold_changes.FoldStore.resolve."""
        await self._dictionary.resolve(frames)

    async def names(self, wanted: Mapping[CampaignName, Wanted]) -> Mapping[CampaignName, Names]:
        """See fold_changes.FoldStore.names."""
        keys = {name: one.keys for name, one in wanted.items()}
        numbers = await self._numbers.of(keys)
        return {
            name: Names(numbers[name], await self._dictionary.numbers_of(name, one.values))
            for name, one in wanted.items()
        }

    async def in_transaction(self, work: Work) -> int:
        """See fold_changes.FoldStore.in_transaction."""

        async def run(connection: Any) -> int:
            return await work(self.transaction(connection))

        async def run_by_campaign(connection: Any) -> int:
            return await work(self.transaction(connection, is_patient=False))

        try:
            return await self._database.run(run)
        except RowsLocked:
            return await self._database.run(run_by_campaign)

    def transaction(self, connection: Any, *, is_patient: bool = True) -> CellTransaction:
        """Return a transaction on a connection that has begun one."""
        return CellTransaction(
            connection, self._shard, self._families, self._place, is_patient=is_patient
        )

    async def give_up(self, rejected: Sequence[Rejected]) -> None:
        """Note that messages cannot be folded."""

        async def run(connection: Any) -> None:
            messages = [one.incoming for one in rejected]
            await self.transaction(connection).note_folded(messages, rejected)

        await self._database.run(run)

    async def settle_postponed(self, sums_max: int) -> int:
        """Add sums whose rows were locked; return how many could be added, or were of no more use.

        Several replicas may do so at once: each takes what no other has in hand.
        """

        async def run(connection: Any) -> int:
            transaction = self.transaction(connection, is_patient=False)
            return await transaction.settle_postponed(sums_max)

        return await self._database.run(run)
