"""The tables of the schema ``ingest``. Migrations are compared with them in a test."""

from sqlalchemy import BigInteger, Column, LargeBinary, MetaData, SmallInteger, Table, Text

SCHEMA = "ingest"

metadata = MetaData(schema=SCHEMA, naming_convention={"pk": "pk_%(table_name)s"})

# Where tracked links lead. A row for each link that a sender registers, never one for a message:
# the messages are in the links themselves. Keyed by the link alone, since that is all that a click
# tells. Rows never change, so whoever has read one may keep it.
destinations = Table(
    "destinations",
    metadata,
    Column("link_key", LargeBinary, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("link_id", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("card_index", BigInteger, nullable=False),
    Column("kind", SmallInteger, nullable=False),
    Column("create_time_us", BigInteger, nullable=False),
)
