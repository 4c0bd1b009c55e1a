"""Tables of families, made from their declarations."""

from typing import Any

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, MetaData, SmallInteger, Table, Text
from sqlalchemy.types import TypeEngine

from services.analytics.domain.families.family import Family, Kind

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
    """Return the table of a family, and that of its sizes if it is a set."""
    key = [key_column(column.name, _TYPES[column.kind]) for column in family.key]
    if family.member is None:
        shard = key_column("shard", SmallInteger())
        sums: list[Column[object]] = [_sum(name, BigInteger()) for name in family.sums]
        return [Table(family.name, metadata, *cell_key(), *key, shard, *sums)]
    member = key_column(family.member.name, _TYPES[family.member.kind])
    counts = [_sum(name, Integer()) for name in family.sums]
    sizes = [key_column(column.name, _TYPES[column.kind]) for column in family.key]
    return [
        # The member first: hashes are told apart by their first bytes, and a key that begins with
        # what most rows share costs half as much again for each row.
        Table(
            family.name, metadata, member, *cell_key(), *key, *counts, postgresql_with=_WITH_ROOM
        ),
        Table(
            family.sizes,
            metadata,
            *cell_key(),
            *sizes,
            key_column("shard", SmallInteger()),
            *(_sum(name, BigInteger()) for name in family.sums),
        ),
    ]


def _sum(name: str, kind: TypeEngine[Any]) -> Column[object]:
    # The default lets a column be added to a table that is in use.
    return Column(name, kind, nullable=False, server_default="0")
