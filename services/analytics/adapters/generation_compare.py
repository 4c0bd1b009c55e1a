"""What two generations of a tenant's cells differ in."""

from collections.abc import Iterator, Sequence
from typing import Any

from services.analytics.domain.counters import DISTINCT_NAMES, PEOPLE, STORED_NAMES
from services.analytics.domain.families.family import PART_KEY, Family
from services.analytics.domain.times import HOUR_US, MINUTE_US
from services.analytics.rebuild_cells import CAUSE, Building, Compared, Difference

_PEOPLE = tuple(counter.name for counter in PEOPLE)
# By how much a table's sums of a campaign differ: built less shown.
_MOVED = """
    SELECT campaign_id, {sums} FROM analytics.{table}
    WHERE tenant_id = $1 AND generation IN ($2, $3) GROUP BY campaign_id
"""


def _moved(table: str, names: Sequence[str]) -> str:
    sums = ", ".join(
        f"sum(CASE generation WHEN $3 THEN {name} ELSE -{name} END)::bigint AS {name}"
        for name in names
    )
    return _MOVED.format(sums=sums, table=table)


def _ledger() -> str:
    names = (*STORED_NAMES, *DISTINCT_NAMES)
    columns = ", ".join(names)
    changed = " OR ".join(f"coalesce({name}, 0) <> 0" for name in names)
    values = ", ".join(f"coalesce({name}, 0)" for name in names)
    added = ", ".join(f"{name} = cell.{name} + excluded.{name}" for name in names)
    return f"""
        INSERT INTO analytics.ledger AS cell
          (tenant_id, campaign_id, minute_us, cause, shard, {columns})
        SELECT $1, campaign_id, $4, {CAUSE}, 0, {values}
        FROM ({_moved("totals", STORED_NAMES)}) t
        FULL JOIN ({_moved("people_sizes", _PEOPLE)}) p USING (campaign_id)
        FULL JOIN ({_moved("link_pairs_sizes", DISTINCT_NAMES[len(_PEOPLE) :])}) l
          USING (campaign_id)
        WHERE {changed}
        ON CONFLICT (tenant_id, campaign_id, minute_us, cause, shard) DO UPDATE SET {added}
    """  # noqa: S608 the names are constants of the declarations


_LEDGER = _ledger()
# Lists: which messages are found, whatever the shards are that turned their bits. Told is how many
# are found by one and not by the other.
_LISTS = """
    SELECT 'list_bits' AS list, campaign_id, term, chunk, 'messages' AS sum,
      bit_count(coalesce(shown, zero) & ~coalesce(built, zero)) AS shown,
      bit_count(coalesce(built, zero) & ~coalesce(shown, zero)) AS built
    FROM (
      SELECT campaign_id, term, chunk, bit_xor(bits # bits) AS zero,
        bit_xor(bits) FILTER (WHERE generation = $2) AS shown,
        bit_xor(bits) FILTER (WHERE generation = $3) AS built
      FROM analytics.list_bits WHERE tenant_id = $1 AND generation IN ($2, $3)
      GROUP BY campaign_id, term, chunk
    ) cell WHERE coalesce(shown, zero) <> coalesce(built, zero)
    ORDER BY campaign_id, term, chunk LIMIT $4
"""
_ACTS = """
    SELECT 'list_acts' AS list, campaign_id, term, number, 'acts' AS sum, shown, built FROM (
      SELECT campaign_id, term, number,
        coalesce(sum(acts) FILTER (WHERE generation = $2), 0)::bigint AS shown,
        coalesce(sum(acts) FILTER (WHERE generation = $3), 0)::bigint AS built
      FROM analytics.list_acts WHERE tenant_id = $1 AND generation IN ($2, $3)
      GROUP BY campaign_id, term, number
    ) cell WHERE shown <> built
    ORDER BY campaign_id, term, number LIMIT $4
"""


async def ledger_of_switch(
    connection: Any, tenant_id: str, building: Building, now_us: int
) -> None:
    """Note in the ledger by how much the totals move when ``building`` is shown."""
    minute_us = now_us // MINUTE_US * MINUTE_US
    generations = building.shown, building.generation
    await connection.execute(_LEDGER, tenant_id, *generations, minute_us)


async def compare(
    connection: Any,
    families: Sequence[Family],
    tenant_id: str,
    building: Building,
    now_us: int,
    differences_max: int,
) -> Compared:
    """Compare all families in one snapshot of the tables.

    To be called first in a transaction. Of one table, ``differences_max`` rows are counted at most.
    """
    await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
    # As long as it takes: it locks nothing.
    await connection.execute("SET LOCAL statement_timeout = 0")
    differences = list[Difference]()
    for family in families:
        for table, columns in _tables(family):
            statement = _differing(table, columns, family, differences_max)
            values = [tenant_id, building.shown, building.generation]
            if family.kept_h is not None:
                # What is older is being deleted in one of them, and may be gone in the other.
                values.append(now_us - (family.kept_h - 1) * HOUR_US)
            for row in await connection.fetch(statement, *values, timeout=None):
                differences += _of_row(table, columns, family, row)
    for statement, columns in ((_LISTS, ("term", "chunk")), (_ACTS, ("term", "number"))):
        limit = differences_max + 1
        asked = tenant_id, building.shown, building.generation, limit
        for row in await connection.fetch(statement, *asked, timeout=None):
            table, key = row["list"], tuple(f"{name}={row[name]}" for name in columns)
            place = table, row["campaign_id"], key, row["sum"]
            differences.append(Difference(*place, row["shown"], row["built"]))
    return Compared(len(differences), differences[:differences_max])


def _tables(family: Family) -> Iterator[tuple[str, tuple[str, ...]]]:
    key = tuple(column.name for column in family.key)
    yield family.name, tuple(column.name for column in family.columns)
    if family.member is not None:
        yield family.sizes, key
    if family.seat:
        yield family.part_sizes, tuple(column.name for column in PART_KEY)


def _differing(table: str, columns: Sequence[str], family: Family, differences_max: int) -> str:
    key = ", ".join(("campaign_id", *columns))
    both = ", ".join(
        f"coalesce(sum({name}) FILTER (WHERE generation = ${at}), 0)::bigint AS {side}_{name}"
        for name in family.sums
        for side, at in (("shown", 2), ("built", 3))
    )
    differ = " OR ".join(f"shown_{name} <> built_{name}" for name in family.sums)
    recent = f"AND {family.key[0].name} >= $4" if family.kept_h is not None else ""
    return f"""
        SELECT * FROM (
          SELECT {key}, {both} FROM analytics.{table}
          WHERE tenant_id = $1 AND generation IN ($2, $3) {recent} GROUP BY {key}
        ) cell WHERE {differ} ORDER BY {key} LIMIT {differences_max + 1}
    """  # noqa: S608 the names are constants of the declarations


def _of_row(table: str, columns: Sequence[str], family: Family, row: Any) -> Iterator[Difference]:
    key = tuple(f"{name}={_said(row[name])}" for name in columns)
    for name in family.sums:
        shown, built = row[f"shown_{name}"], row[f"built_{name}"]
        if shown != built:
            yield Difference(table, row["campaign_id"], key, name, shown, built)


def _said(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
