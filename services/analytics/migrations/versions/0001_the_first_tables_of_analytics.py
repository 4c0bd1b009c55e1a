"""Campaigns, dictionary, generations, and what was applied.

Tables of families are no part of migrations: they follow from their declarations.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0001"
down_revision: str | None = None
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

SCHEMA = "analytics"
# The names as they were at this revision.
DIMENSIONS = (
    "provider", "account", "sender", "template", "language", "category", "variant", "flow_id",
    "branch_id", "step_id", "segment", "country", "market", "time_zone",
)  # fmt: skip

_word, _text = sa.Text(collation="C"), sa.Text()
_small, _int, _big, _bytes = sa.SmallInteger(), sa.Integer(), sa.BigInteger(), sa.LargeBinary()
_bool = sa.Boolean()
_tenant = {"tenant_id": _word}
_campaign = _tenant | {"campaign_id": _word}


def _columns(kind: sa.types.TypeEngine, *names: str) -> list[sa.Column]:
    return [sa.Column(name, kind, nullable=False) for name in names]


def _table(name: str, key: dict[str, sa.types.TypeEngine], *columns: sa.Column, **more) -> None:
    keys = [sa.Column(column, kind, nullable=False) for column, kind in key.items()]
    constraint = sa.PrimaryKeyConstraint(*key, name=f"pk_{name}")
    unique = [
        sa.UniqueConstraint(*named, name=f"uq_{name}_{'_'.join(named)}")
        for named in more.pop("unique", ())
    ]
    op.create_table(name, *keys, *columns, constraint, *unique, schema=SCHEMA, **more)


def upgrade() -> None:
    _dictionary()
    _generations()
    _campaigns()
    _flow()


def _dictionary() -> None:
    _table(
        "dimension_values",
        _campaign | {"dimension": _small, "number": _small},
        *_columns(_word, "value"),
        unique=[("tenant_id", "campaign_id", "dimension", "value")],
    )
    _table(
        "scopes",
        _campaign | {"scope_id": _big},
        *_columns(_bytes, "scope_key"),
        *_columns(_small, "channel"),
        *_columns(_text, *DIMENSIONS),
        unique=[("tenant_id", "campaign_id", "scope_key")],
    )
    _table(
        "link_names",
        _campaign | {"link_key": _bytes},
        *_columns(_text, "link_id"),
        *_columns(_word, "url", "label"),
        *_columns(_big, "card_index"),
        *_columns(_bool, "is_external_button"),
    )


def _generations() -> None:
    _table(
        "generations",
        _tenant,
        *_columns(_int, "shown", "building", "last"),
        *_columns(_bool, "is_read"),
        *_columns(_bytes, "after_key"),
        *_columns(_big, "start_time_us", "read_time_us", "message_count", "shown_since_us"),
    )
    message = _tenant | {"generation": _int, "message_key": _bytes}
    _table("built_versions", message, *_columns(_big, "version"))
    _table("early_changes", message | {"version": _big, "part": _int}, *_columns(_bytes, "payload"))
    _table(
        "postponed_cells",
        _campaign | {"postponed_key": _bytes},
        *_columns(_int, "generation"),
        *_columns(_bool, "is_shown"),
        *_columns(_bytes, "payload"),
        *_columns(_big, "fold_time_us", "event_time_us"),
    )


def _campaigns() -> None:
    _table(
        "campaigns",
        _campaign,
        *_columns(_small, "kind", "state"),
        *_columns(sa.ARRAY(_text), "tags"),
        *_columns(_big, "create_time_us", "update_time_us"),
        *_columns(_bool, "is_implicit"),
        *_columns(_bytes, "body", "creation_hash"),
    )
    op.create_index(
        "ix_campaigns_tenant_id_create_time_us_campaign_id",
        "campaigns",
        ["tenant_id", "create_time_us", "campaign_id"],
        schema=SCHEMA,
    )
    _table(
        "campaign_requests",
        _tenant | {"request_id": _word},
        *_columns(_text, "campaign_id"),
        *_columns(_bytes, "creation_hash"),
    )


def _flow() -> None:
    _table("applied", _tenant | {"batch_id": _word}, *_columns(_big, "apply_time_us"))
    op.create_index("ix_applied_apply_time_us", "applied", ["apply_time_us"], schema=SCHEMA)
    _table(
        "checkpoints",
        {"stream": _text, "consumer": _text},
        *_columns(_big, "stream_time_us", "seq"),
    )
    run = {"stream_time_us": _big, "from_seq": _big}
    _table("folded_runs", run, *_columns(_big, "to_seq"))
    _table(
        "gaps",
        run,
        *_columns(_big, "to_seq"),
        *_columns(_text, "reason"),
        *_columns(_big, "from_time_us", "to_time_us"),
    )


def downgrade() -> None:
    # Tables of families follow from declarations of today, so that all that is there goes.
    op.execute("""
        DO $$ DECLARE made record; BEGIN
          FOR made IN SELECT tablename FROM pg_tables
            WHERE schemaname = 'analytics' AND tablename <> 'alembic_version'
          LOOP EXECUTE format('DROP TABLE analytics.%I', made.tablename); END LOOP;
        END $$
    """)
