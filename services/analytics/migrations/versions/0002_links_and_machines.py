"""Clicks per link, and clicks of machines apart from people's."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

SCHEMA = "analytics"
COUNTERS = ("human_clicked", "machine_clicks")
WITH_ROOM = {"fillfactor": "70"}

_word, _text, _bytes = sa.Text(collation="C"), sa.Text(), sa.LargeBinary()
_integer, _big = sa.Integer(), sa.BigInteger()


def _table(name: str, key: dict[str, sa.types.TypeEngine], *columns: sa.Column, **more) -> None:
    keys = [sa.Column(column, kind, nullable=False) for column, kind in key.items()]
    constraint = sa.PrimaryKeyConstraint(*key, name=f"pk_{name}")
    op.create_table(name, *keys, *columns, constraint, schema=SCHEMA, **more)


def _columns(kind: sa.types.TypeEngine, *names: str) -> list[sa.Column]:
    return [sa.Column(name, kind, nullable=False) for name in names]


def upgrade() -> None:
    for table in ("totals", "hours", "minutes"):
        for name in COUNTERS:
            # With a default, since a replica of yesterday does not name it.
            column = sa.Column(name, _big, nullable=False, server_default="0")
            op.add_column(table, column, schema=SCHEMA)
        # Clicks of before nobody had told apart: as the messages' images say it of them, too.
        columns = sa.column("human_clicked"), sa.column("clicked")
        cells = sa.table(table, *columns, schema=SCHEMA)
        op.execute(cells.update().where(cells.c.clicked != 0).values(human_clicked=cells.c.clicked))
    link = {"tenant_id": _word, "campaign_id": _word, "link_key": _bytes}
    _table(
        "links",
        link | {"shard": sa.SmallInteger()},
        *_columns(_big, "click_count", "machine_click_count", "people_count", "human_people_count"),
    )
    _table(
        "link_names",
        link,
        *_columns(_text, "link_id"),
        *_columns(_word, "url", "label"),
        *_columns(_big, "card_index"),
        *_columns(sa.Boolean(), "is_external_button"),
    )
    _table(
        "link_people",
        link | {"person_key": _bytes},
        *_columns(_integer, "click_count", "machine_click_count"),
        postgresql_with=WITH_ROOM,
    )


def downgrade() -> None:
    for name in ("links", "link_names", "link_people"):
        op.drop_table(name, schema=SCHEMA)
    for table in ("totals", "hours", "minutes"):
        for name in COUNTERS:
            op.drop_column(table, name, schema=SCHEMA)
