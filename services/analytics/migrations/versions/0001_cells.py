"""Cells, campaigns and what was applied."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0001"
down_revision: str | None = None
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

SCHEMA = "analytics"
# The names as they were at this revision.
COUNTERS = (
    "targeted", "queued", "dropped", "dropped_unaddressable", "sent", "pending", "undelivered",
    "delivered", "recovered", "read", "read_inferred", "clicked", "clicks", "replied", "replies",
    "quick_reply_taps", "interacted", "unsubscribed", "complained",
)  # fmt: skip
PEOPLE = ("people_targeted", "people_reached", "repliers", "people_clicked")
DIMENSIONS = (
    "provider", "sender", "template", "language", "category", "variant", "flow_id", "step_id",
    "segment", "country",
)  # fmt: skip
WITH_ROOM = {"fillfactor": "70"}

_word, _text = sa.Text(collation="C"), sa.Text()
_small, _big, _bytes = sa.SmallInteger(), sa.BigInteger(), sa.LargeBinary()


def _columns(kind: sa.types.TypeEngine, *names: str) -> list[sa.Column]:
    return [sa.Column(name, kind, nullable=False) for name in names]


def _table(name: str, key: dict[str, sa.types.TypeEngine], *columns: sa.Column, **more) -> None:
    keys = [sa.Column(column, kind, nullable=False) for column, kind in key.items()]
    constraint = sa.PrimaryKeyConstraint(*key, name=f"pk_{name}")
    op.create_table(name, *keys, *columns, constraint, schema=SCHEMA, **more)


def upgrade() -> None:
    campaign = {"tenant_id": _word, "campaign_id": _word}
    shard = {"shard": _small}
    counters = lambda: _columns(_big, *COUNTERS)  # noqa: E731
    _table(
        "totals",
        campaign | {"channel": _small} | shard,
        *counters(),
        *_columns(_big, *PEOPLE, "unique_link_clicks"),
    )
    hour = {"clock": _small, "hour_us": _big, "dimension_key": _bytes}
    _table("hours", campaign | hour | shard, *counters())
    _table("minutes", campaign | {"minute_us": _big} | shard, *counters())
    _table(
        "dimension_sets",
        campaign | {"dimension_key": _bytes},
        *_columns(_small, "channel"),
        *_columns(_text, *DIMENSIONS),
    )
    failure = {"stage": _small, "reason": _small, "provider": _word, "provider_code": _word}
    _table("failures", campaign | failure | shard, *_columns(_big, "message_count"))
    integers = _columns(sa.Integer(), *PEOPLE)
    _table("people", campaign | {"person_key": _bytes}, *integers, postgresql_with=WITH_ROOM)
    _table(
        "link_clickers",
        campaign | {"member_key": _bytes},
        *_columns(sa.Integer(), "click_count"),
        postgresql_with=WITH_ROOM,
    )
    _campaigns(campaign)
    _table("applied", {"tenant_id": _word, "batch_id": _word}, *_columns(_big, "apply_time_us"))
    op.create_index("ix_applied_apply_time_us", "applied", ["apply_time_us"], schema=SCHEMA)
    _table(
        "rejected_batches",
        {"stream_seq": _big, "content_key": _bytes},
        *_columns(_text, "reason"),
        *_columns(_bytes, "payload"),
        *_columns(_big, "reject_time_us"),
    )


def _campaigns(campaign: dict[str, sa.types.TypeEngine]) -> None:
    _table(
        "campaigns",
        campaign,
        *_columns(_small, "kind", "state"),
        *_columns(sa.ARRAY(_text), "tags"),
        *_columns(_big, "create_time_us", "update_time_us"),
        *_columns(sa.Boolean(), "is_implicit"),
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
        {"tenant_id": _word, "request_id": _word},
        *_columns(_text, "campaign_id"),
        *_columns(_bytes, "creation_hash"),
    )


def downgrade() -> None:
    for name in (
        "totals", "hours", "minutes", "dimension_sets", "failures", "people", "link_clickers",
        "campaigns", "campaign_requests", "applied", "rejected_batches",
    ):  # fmt: skip
        op.drop_table(name, schema=SCHEMA)
