"""The table in which a service keeps how far it has worked, beside the work itself."""

from typing import Final

from sqlalchemy import BigInteger, Column, MetaData, Table, Text

NAME: Final = "checkpoints"


def checkpoint_table(metadata: MetaData) -> Table:
    """Return the table, in the schema of ``metadata``; unique by (stream, consumer)."""
    return Table(
        NAME,
        metadata,
        Column("stream", Text, primary_key=True),
        Column("consumer", Text, primary_key=True),
        # When the stream was made, microseconds since 1970: one that is made again counts from 1.
        Column("stream_time_us", BigInteger, nullable=False),
        # Everything up to this sequence is committed in this database.
        Column("seq", BigInteger, nullable=False),
    )
