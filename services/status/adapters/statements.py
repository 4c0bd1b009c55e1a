"""What statements are put together of, from the tables: one round trip for a whole batch.

Arrays are zipped by ``unnest``, and looked up one by one.
"""
# Names come from the tables, values are always parameters.
# ruff: noqa: S608

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    Uuid,
)

from services.status.adapters import tables

_SQL_TYPES = {
    Text: "text",
    BigInteger: "bigint",
    Integer: "integer",
    SmallInteger: "smallint",
    Boolean: "boolean",
    LargeBinary: "bytea",
    Uuid: "uuid",
}


# Types of the rows of the hottest statements; a change of columns needs a new type.
ROW_TYPES = {
    "messages": "message_row_1",
    "history": "history_row_1",
    "refs": "ref_row_1",
    "address_sends": "address_send_row_1",
}


def _sql_type(column: Column[Any]) -> str:
    return _SQL_TYPES[type(column.type)]


def _unnest(table: Table) -> str:
    columns = list(table.columns)
    arrays = ", ".join(f"${n}::{_sql_type(c)}[]" for n, c in enumerate(columns, 1))
    return f"unnest({arrays}) AS u({', '.join(c.name for c in columns)})"


def insert(table: Table, alias: str = "t") -> str:
    """Return the insertion of arrays, one a column, zipped as ``u``."""
    names = ", ".join(c.name for c in table.columns)
    return f"INSERT INTO {table.fullname} AS {alias} ({names}) SELECT {names} FROM {_unnest(table)}"


def insert_rows(table: Table, alias: str = "t") -> str:
    """As ``insert``, with one array of rows: the driver encodes it at half the cost of columns.

    The row type is a type of its own, made by a migration and never changed, so that a replica of
    yesterday still runs on the tables of tomorrow.
    """
    names = ", ".join(c.name for c in table.columns)
    rows = f"unnest($1::{tables.SCHEMA}.{ROW_TYPES[table.name]}[])"
    return f"INSERT INTO {table.fullname} AS {alias} ({names}) SELECT {names} FROM {rows}"


def conflict(table: Table) -> str:
    """Return the beginning of what happens to rows whose key is there."""
    return f"ON CONFLICT ({', '.join(c.name for c in table.primary_key.columns)})"


def look_up(table: Table, columns: str, *keys: str, locking: str = "") -> str:
    """Return one look-up for each row of ``k``, by columns of the same names.

    ``OFFSET 0`` keeps the planner from turning the loop round: a plan is made once for tables of
    any size.
    """
    where = " AND ".join(f"t.{name} = k.{name}" for name in keys)
    return f"""CROSS JOIN LATERAL (
  SELECT {columns} FROM {table.fullname} AS t WHERE {where} OFFSET 0 {locking}) AS t"""
