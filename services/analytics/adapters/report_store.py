"""Sums of cells from PostgreSQL. Each answer is one statement, so it is one snapshot.

Nothing here waits for a lock: readers see the rows as they were committed last.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from libs.runtime.database import Database
from services.analytics.adapters.dictionary import ATTRIBUTE_NAMES
from services.analytics.answer_query import Found
from services.analytics.domain.counters import DISTINCT_NAMES, PEOPLE, STORED_NAMES
from services.analytics.domain.dimensions import OTHER
from services.analytics.domain.failures import FailureCell
from services.analytics.domain.links import LinkCell, LinkName
from services.analytics.domain.question import Question
from services.analytics.domain.report import ChannelSums, Summed
from services.analytics.domain.times import ClockName

# Aggregates over no rows give one row of nulls, so a campaign without messages still answers.
_CAMPAIGN = "analytics.campaigns c"
_THIS = "cell.tenant_id = $1 AND cell.campaign_id = $2"
SHOWN = "coalesce((SELECT g.shown FROM analytics.generations g WHERE g.tenant_id = $1), 1)"
_CELL = f"{_THIS} AND cell.generation = {SHOWN}"
# Sums of this campaign that wait for rows which others have locked.
_POSTPONED = f"""(SELECT min(cell.event_time_us) FROM analytics.postponed_cells cell
  WHERE {_THIS} AND cell.is_shown)"""  # noqa: S608 constants
_SUMS = ", ".join(f"coalesce(sum(cell.{name}), 0)::bigint" for name in STORED_NAMES)


def _sizes(table: str, names: Sequence[str]) -> str:
    sums = ", ".join(f"coalesce(sum(cell.{name}), 0)::bigint" for name in names)
    return f"(SELECT ARRAY[{sums}] FROM analytics.{table} cell WHERE {_CELL})"  # noqa: S608


_PEOPLE = [counter.name for counter in PEOPLE]
_DISTINCT = (
    f"{_sizes('people_sizes', _PEOPLE)} || {_sizes('link_pairs_sizes', DISTINCT_NAMES[-1:])}"
)
assert (*_PEOPLE, *DISTINCT_NAMES[-1:]) == DISTINCT_NAMES
_TOTALS = f"""
    SELECT {_POSTPONED}, {_DISTINCT}, cell.channel, {_SUMS}
    FROM {_CAMPAIGN}
    LEFT JOIN analytics.totals cell ON {_CELL}
    WHERE c.tenant_id = $1 AND c.campaign_id = $2
    GROUP BY cell.channel
"""  # noqa: S608 constants of the catalogue
_QUARTERS = f"""
    SELECT {_POSTPONED}, NULL, cell.channel, {_SUMS}
    FROM {_CAMPAIGN}
    LEFT JOIN (
      SELECT cell.*, d.channel
      FROM analytics.quarters cell
      JOIN analytics.scopes d USING (tenant_id, campaign_id, scope_id)
      WHERE {_CELL} AND {{where}}
    ) cell ON TRUE
    WHERE c.tenant_id = $1 AND c.campaign_id = $2
    GROUP BY cell.channel
"""  # noqa: S608 constants of the catalogue
# A value that has no number of its own is in the cells as number 0.
_ATTRIBUTES = f"""
    SELECT {_POSTPONED}, NULL, cell.channel, {_SUMS}
    FROM {_CAMPAIGN}
    LEFT JOIN (
      SELECT cell.* FROM analytics.attributes cell
      JOIN analytics.dimension_values n ON n.tenant_id = $1 AND n.campaign_id = $2
        AND n.dimension = {ATTRIBUTE_NAMES} AND n.value = $3 AND n.number = cell.name_id
      LEFT JOIN analytics.dimension_values v ON v.tenant_id = $1 AND v.campaign_id = $2
        AND v.dimension = {ATTRIBUTE_NAMES} + n.number AND v.number = cell.value_id
      WHERE {_CELL} AND coalesce(v.value, '{OTHER}') = ANY($4::text[])
    ) cell ON TRUE
    WHERE c.tenant_id = $1 AND c.campaign_id = $2
    GROUP BY cell.channel
"""  # noqa: S608 constants of the catalogue
_FAILURES = f"""
    SELECT {_POSTPONED}, cell.stage, cell.reason, cell.provider, cell.provider_code,
      sum(cell.message_count)::bigint
    FROM {_CAMPAIGN}
    LEFT JOIN analytics.failures cell ON {_CELL} AND cell.clock = {int(ClockName.SEND_COHORT)}
      AND ($3::smallint = 0 OR cell.stage = $3::smallint)
      AND ($4::smallint[] IS NULL OR cell.channel = ANY($4))
      AND ($5::text[] IS NULL OR cell.provider = ANY($5))
    WHERE c.tenant_id = $1 AND c.campaign_id = $2
    GROUP BY 2, 3, 4, 5
"""  # noqa: S608 constants of the catalogue
# The messages delivered come along, so that the rate is of one snapshot.
_LINKS = f"""
    SELECT {_POSTPONED},
      (SELECT coalesce(sum(cell.delivered), 0)::bigint FROM analytics.totals cell WHERE {_CELL}),
      name.link_id, name.url, name.label, name.card_index, name.is_external_button,
      cell.clicks, cell.machine_clicks, coalesce(size.people, 0), coalesce(size.human_people, 0)
    FROM {_CAMPAIGN}
    LEFT JOIN (
      SELECT cell.link_key, sum(cell.clicks)::bigint AS clicks,
        sum(cell.machine_clicks)::bigint AS machine_clicks
      FROM analytics.links cell WHERE {_CELL} GROUP BY cell.link_key
    ) cell ON TRUE
    LEFT JOIN (
      SELECT cell.link_key, sum(cell.people)::bigint AS people,
        sum(cell.human_people)::bigint AS human_people
      FROM analytics.link_people_sizes cell WHERE {_CELL} GROUP BY cell.link_key
    ) size USING (link_key)
    LEFT JOIN analytics.link_names name
      ON name.tenant_id = $1 AND name.campaign_id = $2 AND name.link_key = cell.link_key
    WHERE c.tenant_id = $1 AND c.campaign_id = $2
"""  # noqa: S608 constants of the catalogue


class PostgresReports:
    """See answer_query.ReportStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def sums(self, tenant_id: str, question: Question) -> Found[Summed] | None:
        """See answer_query.ReportStore.sums."""
        statement, values = _statement(question)
        async with self._database.transaction() as connection:
            rows = await connection.fetch(statement, tenant_id, question.campaign_id, *values)
        return Found(_summed(rows), rows[0][0]) if rows else None

    async def failures(
        self,
        tenant_id: str,
        campaign_id: str,
        stage: int,
        filters: Mapping[str, list[str] | list[int]],
    ) -> Found[Sequence[FailureCell]] | None:
        """See answer_query.ReportStore.failures."""
        values = stage, filters.get("channel"), filters.get("provider")
        async with self._database.transaction() as connection:
            rows = await connection.fetch(_FAILURES, tenant_id, campaign_id, *values)
        cells = [FailureCell(*tuple(row)[1:]) for row in rows if row[1] is not None]
        return Found(cells, rows[0][0]) if rows else None

    async def links(
        self, tenant_id: str, campaign_id: str
    ) -> Found[tuple[int, list[LinkCell]]] | None:
        """See answer_query.ReportStore.links."""
        async with self._database.transaction() as connection:
            rows = await connection.fetch(_LINKS, tenant_id, campaign_id)
        if not rows:
            return None
        told = [tuple(row)[2:] for row in rows if row[2] is not None]
        cells = [LinkCell(LinkName(*row[:5]), *row[5:]) for row in told]
        return Found((rows[0][1], cells), rows[0][0])


def _statement(question: Question) -> tuple[str, list[Any]]:
    if question.is_whole:
        return _TOTALS, []
    if question.attribute is not None:
        return _ATTRIBUTES, list(question.attribute)
    conditions, values = ["cell.clock = $3"], [int(question.clock)]
    bounds: list[tuple[str, Any]] = [
        ("cell.quarter_us >= ${}", question.start_us),
        ("cell.quarter_us < ${}", question.end_us),
    ]
    # Names of dimensions were checked against the catalogue; values are bound.
    bounds += [(f"d.{name} = ANY(${{}})", wanted) for name, wanted in question.filters.items()]
    for condition, value in bounds:
        if value is not None:
            values.append(value)
            conditions.append(condition.format(len(values) + 2))
    return _QUARTERS.format(where=" AND ".join(conditions)), values


def _summed(rows: Sequence[Any]) -> Summed:
    # An hour may hold reads of messages that were sent in another, so any count will do.
    channels = {
        row[2]: ChannelSums(dict(zip(STORED_NAMES, tuple(row)[3:], strict=True)))
        for row in rows
        if row[2] is not None and any(tuple(row)[3:])
    }
    sizes = rows[0][1]
    distinct = dict(zip(DISTINCT_NAMES, sizes, strict=True)) if sizes is not None else None
    return Summed(channels, distinct)
