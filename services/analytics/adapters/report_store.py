"""Sums of cells from PostgreSQL. Each answer is one statement, so it is one snapshot."""

from collections.abc import Sequence
from typing import Any

from libs.runtime.database import Database
from services.analytics.domain.counters import DISTINCT_NAMES, INDEX, STORED_NAMES
from services.analytics.domain.failures import FailureCell
from services.analytics.domain.links import LinkCell, LinkName
from services.analytics.domain.question import Question
from services.analytics.domain.report import Summed

# Aggregates over no rows give one row of nulls, so a campaign without messages still answers.
_CAMPAIGN = "analytics.campaigns c"
_SUMS = ", ".join(f"coalesce(sum(cell.{name}), 0)::bigint" for name in STORED_NAMES)
_DISTINCT = ", ".join(f"coalesce(sum(cell.{name}), 0)::bigint" for name in DISTINCT_NAMES)
_TOTALS = f"""
    SELECT coalesce(cell.channel, 0), {_SUMS}, {_DISTINCT}
    FROM {_CAMPAIGN}
    LEFT JOIN analytics.totals cell USING (tenant_id, campaign_id)
    WHERE c.tenant_id = $1 AND c.campaign_id = $2
    GROUP BY 1
"""  # noqa: S608 constants of the catalogue
_HOURS = f"""
    SELECT coalesce(cell.channel, 0), {_SUMS}
    FROM {_CAMPAIGN}
    LEFT JOIN (
      SELECT h.*, d.channel
      FROM analytics.hours h
      JOIN analytics.dimension_sets d USING (tenant_id, campaign_id, dimension_key)
      WHERE h.tenant_id = $1 AND h.campaign_id = $2 AND {{where}}
    ) cell USING (tenant_id, campaign_id)
    WHERE c.tenant_id = $1 AND c.campaign_id = $2
    GROUP BY 1
"""  # noqa: S608 constants of the catalogue
_FAILURES = f"""
    SELECT cell.stage, cell.reason, cell.provider, cell.provider_code,
      sum(cell.message_count)::bigint
    FROM {_CAMPAIGN}
    LEFT JOIN analytics.failures cell
      ON cell.tenant_id = c.tenant_id AND cell.campaign_id = c.campaign_id
      AND ($3::smallint = 0 OR cell.stage = $3::smallint)
    WHERE c.tenant_id = $1 AND c.campaign_id = $2
    GROUP BY 1, 2, 3, 4
"""  # noqa: S608 constants of the catalogue
# The messages delivered come along, so that the rate is of one snapshot.
_LINKS = f"""
    SELECT (SELECT coalesce(sum(t.delivered), 0)::bigint FROM analytics.totals t
            WHERE t.tenant_id = $1 AND t.campaign_id = $2),
      name.link_id, name.url, name.label, name.card_index, name.is_external_button,
      sum(cell.click_count)::bigint, sum(cell.machine_click_count)::bigint,
      sum(cell.people_count)::bigint, sum(cell.human_people_count)::bigint
    FROM {_CAMPAIGN}
    LEFT JOIN analytics.links cell USING (tenant_id, campaign_id)
    LEFT JOIN analytics.link_names name USING (tenant_id, campaign_id, link_key)
    WHERE c.tenant_id = $1 AND c.campaign_id = $2
    GROUP BY link_key, 2, 3, 4, 5, 6
"""  # noqa: S608 constants of the catalogue


class PostgresReports:
    """See answer_query.ReportStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def sums(self, tenant_id: str, question: Question) -> Summed | None:
        """See answer_query.ReportStore.sums."""
        statement, values = _statement(question)
        async with self._database.transaction() as connection:
            rows = await connection.fetch(statement, tenant_id, question.campaign_id, *values)
        return _summed(rows, has_distinct=question.is_whole) if rows else None

    async def failures(
        self, tenant_id: str, campaign_id: str, stage: int
    ) -> Sequence[FailureCell] | None:
        """See answer_query.ReportStore.failures."""
        async with self._database.transaction() as connection:
            rows = await connection.fetch(_FAILURES, tenant_id, campaign_id, stage)
        cells = [FailureCell(*row) for row in rows if row[0] is not None]
        return cells if rows else None

    async def links(self, tenant_id: str, campaign_id: str) -> tuple[int, list[LinkCell]] | None:
        """See answer_query.ReportStore.links."""
        async with self._database.transaction() as connection:
            rows = await connection.fetch(_LINKS, tenant_id, campaign_id)
        if not rows:
            return None
        told = [tuple(row)[1:] for row in rows if row[1] is not None]
        return rows[0][0], [LinkCell(LinkName(*row[:5]), *row[5:]) for row in told]


def _statement(question: Question) -> tuple[str, list[Any]]:
    if question.is_whole:
        return _TOTALS, []
    conditions, values = ["h.clock = $3"], [int(question.clock)]
    bounds: list[tuple[str, Any]] = [
        ("h.hour_us >= ${}", question.start_us),
        ("h.hour_us < ${}", question.end_us),
    ]
    # Names of dimensions were checked against the catalogue; values are bound.
    bounds += [(f"d.{name} = ANY(${{}})", wanted) for name, wanted in question.filters.items()]
    for condition, value in bounds:
        if value is not None:
            values.append(value)
            conditions.append(condition.format(len(values) + 2))
    return _HOURS.format(where=" AND ".join(conditions)), values


def _summed(rows: Sequence[Any], *, has_distinct: bool) -> Summed:
    sums = [sum(column) for column in zip(*(tuple(row)[1:] for row in rows), strict=True)]
    width = len(STORED_NAMES)
    targeted = INDEX["targeted"] + 1
    return Summed(
        dict(zip(STORED_NAMES, sums[:width], strict=True)),
        dict(zip(DISTINCT_NAMES, sums[width:], strict=True)) if has_distinct else None,
        _channels(rows, targeted),
    )


def _channels(rows: Sequence[Any], targeted: int) -> frozenset[int]:
    """Return the channels that messages went through.

    An hour may hold reads of messages that were sent in another, so any count will do there.
    """
    return frozenset(row[0] for row in rows if row[targeted] or (row[0] and any(tuple(row)[1:])))
