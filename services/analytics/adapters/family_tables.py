"""Tables of families, made from their declarations."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, MetaData, SmallInteger, Table, Text
from sqlalchemy.types import TypeEngine

from services.analytics.domain.families.family import PART_KEY, Family, Kind
from services.analytics.domain.families.family import Column as KeyColumn

# Keys compare byte by byte: quicker than any language's order, and the same on every machine.
WORD = Text(collation="C")
_TYPES: dict[Kind, TypeEngine[Any]] = {
    Kind.NUMBER: SmallInteger(),
    Kind.BIG: BigInteger(),
    Kind.WORD: WORD,
    Kind.HASH: LargeBinary(),
}
# Rows that are updated again and again keep room on their page, so that the update stays there.
_WITH_ROOM = {"fillfactor": "70"}


def key_column(name: str, kind: TypeEngine[Any]) -> Column[object]:
    """Return a column of a key."""
    return Column(name, kind, primary_key=True)


def cell_key() -> list[Column[object]]:
    """Return the columns that the key of every cell begins with."""
    return [
        key_column("tenant_id", WORD),
        key_column("campaign_id", WORD),
        key_column("generation", Integer()),
    ]


def family_tables(family: Family, metadata: MetaData) -> list[Table]:
    """Return the table of a family, and those of its sizes if it is a set."""
    if family.member is None:
        return [_sharded(family.name, family, family.key, metadata)]
    member, *seat = (_column(column) for column in (family.member, *family.seat))
    key = [_column(column) for column in family.key]
    counts = [_sum(name, Integer()) for name in family.sums]
    # The member first: hashes are told apart by their first bytes, and a key that begins with
    # what most rows share costs half as much again for each row.
    columns = [member, *cell_key(), *key, *seat, *counts]
    tables = [
        Table(family.name, metadata, *columns, postgresql_with=_WITH_ROOM),
        _sharded(family.sizes, family, family.key, metadata),
    ]
    if family.seat:
        tables.append(_sharded(family.part_sizes, family, PART_KEY, metadata))
    return tables


def _sharded(name: str, family: Family, key: Sequence[KeyColumn], metadata: MetaData) -> Table:
    shard = key_column("shard", SmallInteger())
    sums: list[Column[object]] = [_sum(one, BigInteger()) for one in family.sums]
    return Table(name, metadata, *cell_key(), *map(_column, key), shard, *sums)


def _column(column: KeyColumn) -> Column[object]:
    return key_column(column.name, _TYPES[column.kind])


def _sum(name: str, kind: TypeEngine[Any]) -> Column[object]:
    # The default lets a column be added to a table that is in use.
    return Column(name, kind, nullable=False, server_default="0")
