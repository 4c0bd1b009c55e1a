"""Statements on cells, made from the declarations of families."""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from services.analytics.domain.families.family import PART_KEY, Column, Family

_CELL = (("tenant_id", "text"), ("campaign_id", "text"), ("generation", "int"))


def _typed(columns: Iterable[Column]) -> tuple[tuple[str, str], ...]:
    return tuple((column.name, column.kind.value) for column in columns)


@cache
def upsert(table: str, key: tuple[tuple[str, str], ...], sums: tuple[str, ...]) -> str:
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
    """  # noqa: S608 the names are constants of the declarations


def add_sums(family: Family) -> str:
    """Return the statement that adds to a family that is no set."""
    return upsert(family.name, (*_CELL, *_typed(family.key)), family.sums)


def add_sizes(family: Family) -> str:
    """Return the statement that adds to the sizes of a set."""
    return upsert(family.sizes, (*_CELL, *_typed(family.key)), family.sums)


def add_part_sizes(family: Family) -> str:
    """Return the statement that adds to the sizes of the parts of a set."""
    return upsert(family.part_sizes, (*_CELL, *_typed(PART_KEY)), family.sums)


@cache
def add_members(family: Family) -> str:
    """Return the statement that adds to the members of a set and answers how the set grew."""
    key = (*_CELL, *_typed(family.columns))
    names = [name for name, _ in key]
    groups = ", ".join(names[:-1])
    sums = family.sums
    kinds = [kind for _, kind in key] + ["int"] * len(sums)
    arrays = ", ".join(f"${at}::{kind}[]" for at, kind in enumerate(kinds, 1))
    added = ", ".join(f"{name} = was.{name} + excluded.{name}" for name in sums)
    grown = ", ".join(
        f"(new.{name} > 0)::int - coalesce((old.{name} > 0)::int, 0) AS {name}" for name in sums
    )
    return f"""
        WITH moved AS (
          INSERT INTO analytics.{family.name} AS was ({", ".join([*names, *sums])})
          SELECT * FROM unnest({arrays})
          ON CONFLICT ({", ".join(names)}) DO UPDATE SET {added}
          RETURNING {", ".join(f"new.{name}" for name in names[:-1])}, {grown}
        )
        SELECT {groups}, {", ".join(f"sum({name})::bigint" for name in sums)}
        FROM moved GROUP BY {groups}
    """  # noqa: S608 the names are constants of the declarations


@cache
def add_members_of_one(family: Family) -> str:
    """Return the statement that adds to the members of one set, and answers how it grew.

    As ``add_members``, with what all rows share said once: the values of ``_CELL`` and of the
    family's key, the members (16 bytes each, ascending, one after another), for each member the
    number of its sums (from 1), and for each sum its values by that number.
    """
    key = (*_CELL, *_typed(family.key))
    names = [name for name, _ in key]
    member = family.columns[-1].name
    shared = ", ".join(f"${at}::{kind}" for at, (_, kind) in enumerate(key, 1))
    members_at, first = len(key) + 1, len(key) + 3
    sums = family.sums
    this_member = f"substring(${members_at}::bytea FROM u.place::int * 16 - 15 FOR 16)"
    values = ", ".join(f"(${at}::int[])[u.sums]" for at in range(first, first + len(sums)))
    added = ", ".join(f"{name} = was.{name} + excluded.{name}" for name in sums)
    grown = ", ".join(
        f"(new.{name} > 0)::int - coalesce((old.{name} > 0)::int, 0) AS {name}" for name in sums
    )
    return f"""
        WITH moved AS (
          INSERT INTO analytics.{family.name} AS was ({", ".join([*names, member, *sums])})
          SELECT {shared}, {this_member}, {values}
          FROM unnest(${members_at + 1}::smallint[]) WITH ORDINALITY AS u (sums, place)
          ON CONFLICT ({", ".join([*names, member])}) DO UPDATE SET {added}
          RETURNING {grown}
        )
        SELECT {", ".join(f"coalesce(sum({name}), 0)::bigint" for name in sums)} FROM moved
    """  # noqa: S608 the names are constants of the declarations


def turned(rows: Iterable[Sequence[Any]], width: int) -> list[list[Any]]:
    """Return columns instead of rows."""
    columns = [list(column) for column in zip(*rows, strict=True)]
    return columns or [[] for _ in range(width)]
