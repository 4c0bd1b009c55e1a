"""Clicks of machines, beside all clicks."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    # With defaults, since a replica of yesterday does not name them.
    for name, kind in (
        ("machine_click_count", sa.Integer()),
        ("human_click_time_us", sa.BigInteger()),
    ):
        op.add_column(
            "messages", sa.Column(name, kind, nullable=False, server_default="0"), schema="status"
        )
    op.execute(
        """CREATE TYPE status.message_row_2 AS (
            tenant_id text,
            message_key bytea,
            version bigint,
            state smallint,
            is_counted boolean,
            provider text,
            account text,
            provider_message_id text,
            message_ref text,
            queue_time_us bigint,
            drop_time_us bigint,
            accept_time_us bigint,
            send_time_us bigint,
            undeliver_time_us bigint,
            report_time_us bigint,
            proof_time_us bigint,
            read_time_us bigint,
            play_time_us bigint,
            cancel_time_us bigint,
            evidence_time_us bigint,
            click_count integer,
            click_time_us bigint,
            reply_count integer,
            reply_time_us bigint,
            tap_count integer,
            tap_time_us bigint,
            unsubscribe_time_us bigint,
            complain_time_us bigint,
            failure_time_us bigint,
            failure_code text,
            failure_reason smallint,
            failure_codes text,
            pricing_time_us bigint,
            pricing bytea,
            is_superseded boolean,
            attributed_proof_time_us bigint,
            attributed bytea,
            machine_click_count integer,
            human_click_time_us bigint)"""
    )


def downgrade() -> None:
    """Go back."""
    op.execute("DROP TYPE status.message_row_2")
    op.drop_column("messages", "human_click_time_us", schema="status")
    op.drop_column("messages", "machine_click_count", schema="status")
