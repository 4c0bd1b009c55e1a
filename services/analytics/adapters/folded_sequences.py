"""Which broker messages are in the cells: runs of sequences, kept in the fold's transaction."""

from collections.abc import Iterable, Sequence
from typing import Any

from libs.runtime.database import Database
from services.analytics.adapters.cell_statements import turned
from services.analytics.domain.sequences import Run, Standing, StreamState, joined, standing
from services.analytics.domain.watermark import Gap
from services.analytics.fold_changes import Incoming

_NOTE_RUNS = """
    INSERT INTO analytics.folded_runs AS known (stream_time_us, from_seq, to_seq)
    SELECT $1, * FROM unnest($2::bigint[], $3::bigint[])
    ON CONFLICT (stream_time_us, from_seq) DO UPDATE SET to_seq = excluded.to_seq
      WHERE known.to_seq < excluded.to_seq
"""
_NOTE_GAPS = """
    INSERT INTO analytics.gaps (stream_time_us, from_seq, to_seq, reason, from_time_us, to_time_us)
    SELECT $1, from_seq, to_seq, $2, from_us, to_us
    FROM unnest($3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])
      AS u (from_seq, to_seq, from_us, to_us)
    ON CONFLICT (stream_time_us, from_seq) DO NOTHING
"""
_CLOSE_GAPS = """
    DELETE FROM analytics.gaps
    WHERE stream_time_us = $1 AND reason = 'SET_ASIDE' AND from_seq = ANY($2::bigint[])
"""
_RUNS = """
    SELECT from_seq, to_seq FROM analytics.folded_runs WHERE stream_time_us = $1
    ORDER BY from_seq
"""
# One replica joins the runs, the others only read them.
_LOCK_RUNS = """
    SELECT from_seq, to_seq FROM analytics.folded_runs WHERE stream_time_us = $1
    ORDER BY from_seq FOR UPDATE SKIP LOCKED
"""
_DROP_RUNS = """
    DELETE FROM analytics.folded_runs WHERE stream_time_us = $1 AND from_seq = ANY($2::bigint[])
"""
# A stream that holds something is known before anything of it is folded: sequence 0 is dealt with.
_KNOW = """
    INSERT INTO analytics.folded_runs (stream_time_us, from_seq, to_seq) VALUES ($1, 0, 0)
    ON CONFLICT (stream_time_us, from_seq) DO NOTHING
"""
# A broker that was restored to an older state gives numbers out again.
_SET_BACK = """
    DELETE FROM analytics.folded_runs WHERE stream_time_us = $1 AND from_seq > $2
"""
_CUT = """
    UPDATE analytics.folded_runs SET to_seq = $2 WHERE stream_time_us = $1 AND to_seq > $2
"""
# What was published last to a stream that is gone may not have been folded: one message, at least.
_END_OTHERS = """
    WITH ended AS (
      DELETE FROM analytics.folded_runs WHERE stream_time_us <> $1
      RETURNING stream_time_us, to_seq
    )
    INSERT INTO analytics.gaps (stream_time_us, from_seq, to_seq, reason, from_time_us, to_time_us)
    SELECT stream_time_us, max(to_seq) + 1, max(to_seq) + 1, 'MISSING', $2, $3
    FROM ended GROUP BY stream_time_us
    ON CONFLICT (stream_time_us, from_seq) DO NOTHING
"""
# Of very many only the newest are told apart; the others count as one each.
_GAPS = """
    SELECT reason, sum(to_seq - from_seq + 1)::bigint,
      coalesce(min(nullif(from_time_us, 0)), 0), max(to_time_us)
    FROM (
      SELECT *, row_number() OVER (PARTITION BY reason ORDER BY to_time_us DESC) AS place
      FROM analytics.gaps
    ) gap
    GROUP BY reason, least(place, 1000) ORDER BY reason, 4
"""
_REBUILT = """
    SELECT tenant_id, shown_since_us FROM analytics.generations WHERE shown_since_us > 0
"""


class StreamPlace:
    """Which stream the sequences belong to: a stream that is made again counts from 1 again."""

    def __init__(self, stream_time_us: int = 0) -> None:
        # When it was made.
        self.stream_time_us = stream_time_us


async def note_runs(connection: Any, place: StreamPlace, sequences: Iterable[int]) -> None:
    """Note that sequences are dealt with."""
    runs = joined((seq, seq) for seq in sequences)
    if runs:
        await connection.execute(_NOTE_RUNS, place.stream_time_us, *turned(runs, 2))


async def note_set_aside(connection: Any, place: StreamPlace, messages: Sequence[Incoming]) -> None:
    """Note that broker messages are not in the cells and lie with the operator."""
    rows = {(m.stream_seq, m.stream_seq, m.stored_time_us, m.stored_time_us) for m in messages}
    columns = turned(sorted(rows), 4)
    await connection.execute(_NOTE_GAPS, place.stream_time_us, "SET_ASIDE", *columns)


async def close_set_aside(connection: Any, place: StreamPlace, sequences: Sequence[int]) -> None:
    """Note that messages which had been set aside are in the cells after all."""
    if sequences:
        await connection.execute(_CLOSE_GAPS, place.stream_time_us, list(sequences))


class FoldedSequences:
    """See follow_progress.Sequences."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def know(self, stream: StreamState) -> None:
        """See follow_progress.Sequences.know."""
        if stream.last_seq:
            async with self._database.transaction() as connection:
                await connection.execute(_KNOW, stream.stream_time_us)

    async def set_back(self, stream: StreamState, between_us: tuple[int, int]) -> None:
        """See follow_progress.Sequences.set_back."""
        made_us, last = stream.stream_time_us, stream.last_seq
        async with self._database.transaction() as connection:
            await connection.execute(_SET_BACK, made_us, last)
            await connection.execute(_CUT, made_us, last)
            columns = turned([(last + 1, last + 1, *between_us)], 4)
            await connection.execute(_NOTE_GAPS, made_us, "MISSING", *columns)

    async def standing(self, stream: StreamState) -> Standing:
        """See follow_progress.Sequences.standing."""
        async with self._database.transaction() as connection:
            locked = await connection.fetch(_LOCK_RUNS, stream.stream_time_us)
            rows = await connection.fetch(_RUNS, stream.stream_time_us)
            found = standing(((row[0], row[1]) for row in rows), stream)
            if len(locked) == len(rows) and len(rows) > len(found.runs):
                kept = {first for first, _ in found.runs}
                gone = [row[0] for row in rows if row[0] not in kept]
                await connection.execute(_DROP_RUNS, stream.stream_time_us, gone)
                await connection.execute(_NOTE_RUNS, stream.stream_time_us, *turned(found.runs, 2))
        return found

    async def end_others(self, stream: StreamState, between_us: tuple[int, int]) -> None:
        """See follow_progress.Sequences.end_others."""
        async with self._database.transaction() as connection:
            await connection.execute(_END_OTHERS, stream.stream_time_us, *between_us)

    async def lose(
        self, stream: StreamState, runs: Sequence[Run], reason: str, between_us: tuple[int, int]
    ) -> None:
        """See follow_progress.Sequences.lose."""
        if runs:
            async with self._database.transaction() as connection:
                columns = turned([(*run, *between_us) for run in runs], 4)
                await connection.execute(_NOTE_GAPS, stream.stream_time_us, reason, *columns)
                await connection.execute(_NOTE_RUNS, stream.stream_time_us, *turned(runs, 2))

    async def gaps(self) -> list[Gap]:
        """See follow_progress.Sequences.gaps."""
        async with self._database.transaction() as connection:
            return [Gap(*row) for row in await connection.fetch(_GAPS)]

    async def rebuilt_us(self) -> dict[str, int]:
        """See follow_progress.Sequences.rebuilt_us."""
        async with self._database.transaction() as connection:
            return {row[0]: row[1] for row in await connection.fetch(_REBUILT)}
