"""What replays of the quarantine and the health of callbacks need."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_SCHEMA = "status"


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "quarantine_replays",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("quarantine_key", sa.LargeBinary(), nullable=False),
        sa.Column("through_receive_time_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "tenant_id", "quarantine_key", name=op.f("quarantine_replays_pkey")
        ),
        schema=_SCHEMA,
    )
    op.create_table(
        "account_hours",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("hour", sa.BigInteger(), nullable=False),
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column("accepted", sa.BigInteger(), nullable=False),
        sa.Column("heard", sa.BigInteger(), nullable=False),
        sa.Column("delivered", sa.BigInteger(), nullable=False),
        sa.Column("read", sa.BigInteger(), nullable=False),
        sa.Column("engaged", sa.BigInteger(), nullable=False),
        sa.Column("timed_reads", sa.BigInteger(), nullable=False),
        sa.Column("fast_reads", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "tenant_id", "provider", "account", "hour", "shard", name=op.f("account_hours_pkey")
        ),
        schema=_SCHEMA,
    )
    op.create_table(
        "door_reports",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("report_id", sa.LargeBinary(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("report_time_us", sa.BigInteger(), nullable=False),
        sa.Column("callback_count", sa.BigInteger(), nullable=False),
        sa.Column("refused_count", sa.BigInteger(), nullable=False),
        sa.Column("lag_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "report_id", name=op.f("door_reports_pkey")),
        schema=_SCHEMA,
    )
    op.create_index(
        op.f("door_reports_by_tenant_id_report_time_us"),
        "door_reports",
        ["tenant_id", "report_time_us"],
        unique=False,
        schema=_SCHEMA,
    )
    op.create_table(
        "callback_accounts",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("last_receive_time_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "tenant_id", "provider", "account", name=op.f("callback_accounts_pkey")
        ),
        schema=_SCHEMA,
    )
    op.create_table(
        "unknown_words",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("word", sa.Text(), nullable=False),
        sa.Column("receive_time_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "fingerprint", name=op.f("unknown_words_pkey")),
        schema=_SCHEMA,
    )


def downgrade() -> None:
    """Go back. What was replayed may then be kept once more."""
    for table in (
        "unknown_words",
        "callback_accounts",
        "door_reports",
        "account_hours",
        "quarantine_replays",
    ):
        op.drop_table(table, schema=_SCHEMA)
