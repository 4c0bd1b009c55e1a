"""Makes the tables of families, and adds the columns that a family has gained.

Runs after the migrations, under their lock, and changes nothing that is there: adding a family or a
counter needs no migration. What a family no longer has stays until a migration drops it.
"""

from collections.abc import Iterable

from sqlalchemy import Connection, Table, inspect
from sqlalchemy.dialects.postgresql import dialect
from sqlalchemy.schema import CreateColumn, CreateIndex, CreateTable


def make_family_tables(connection: Connection, tables: Iterable[Table]) -> None:
    """Bring the tables up to their declarations."""
    inspector = inspect(connection)
    for table in tables:
        if not inspector.has_table(table.name, schema=table.schema):
            connection.execute(CreateTable(table))
            for index in table.indexes:
                connection.execute(CreateIndex(index))
            continue
        known = {column["name"] for column in inspector.get_columns(table.name, table.schema)}
        for column in table.columns:
            if column.name not in known:
                wanted = CreateColumn(column).compile(dialect=dialect())  # type: ignore[no-untyped-call]
                connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN {wanted}")
