"""What the statements on cells have in common: sums that are added, rows turned into columns."""

from collections.abc import Iterable, Sequence
from typing import Any

CAMPAIGN = (("tenant_id", "text"), ("campaign_id", "text"))


def upsert(table: str, key: Sequence[tuple[str, str]], sums: Sequence[str]) -> str:
    """Return the statement that adds arrays of sums, key columns first, to a table with shards."""
    names = [name for name, _ in key]
    kinds = [kind for _, kind in key] + ["bigint"] * len(sums)
    arrays = ", ".join(f"${at}::{kind}[]" for at, kind in enumerate(kinds, 2))
    added = ", ".join(f"{name} = cell.{name} + excluded.{name}" for name in sums)
    columns = ", ".join([*names, *sums])
    return f"""
        INSERT INTO analytics.{table} AS cell (shard, {columns})
        SELECT $1::smallint, * FROM unnest({arrays})
        ON CONFLICT ({", ".join(names)}, shard) DO UPDATE SET {added}
    """  # noqa: S608 the names are constants of the catalogue


def turned(rows: Iterable[Sequence[Any]], width: int) -> list[list[Any]]:
    """Return columns instead of rows."""
    columns = [list(column) for column in zip(*rows, strict=True)]
    return columns or [[] for _ in range(width)]
