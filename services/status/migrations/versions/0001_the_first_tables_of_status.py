"""The first tables of status."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "address_acts",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("address_key", sa.LargeBinary(), nullable=False),
        sa.Column("fact_id", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("occur_time_us", sa.BigInteger(), nullable=False),
        sa.Column("engagement", sa.LargeBinary(), nullable=False),
        sa.Column("message_key", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint(
            "tenant_id", "address_key", "fact_id", "fingerprint", name=op.f("address_acts_pkey")
        ),
        schema="status",
    )
    op.create_index(
        op.f("address_acts_by_tenant_id_address_key_occur_time_us"),
        "address_acts",
        ["tenant_id", "address_key", "occur_time_us"],
        unique=False,
        schema="status",
    )
    op.create_index(
        op.f("address_acts_by_tenant_id_message_key"),
        "address_acts",
        ["tenant_id", "message_key"],
        unique=False,
        schema="status",
        postgresql_where=sa.text("message_key IS NOT NULL"),
    )
    op.create_table(
        "address_sends",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("address_key", sa.LargeBinary(), nullable=False),
        sa.Column("accept_time_us", sa.BigInteger(), nullable=False),
        sa.Column("message_key", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint(
            "tenant_id",
            "address_key",
            "accept_time_us",
            "message_key",
            name=op.f("address_sends_pkey"),
        ),
        schema="status",
    )
    op.create_table(
        "facts",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("message_key", sa.LargeBinary(), nullable=False),
        sa.Column("fact_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("occur_time_us", sa.BigInteger(), nullable=False),
        sa.Column("engagement", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "message_key", "fact_id", name=op.f("facts_pkey")),
        schema="status",
    )
    op.create_table(
        "history",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("message_key", sa.LargeBinary(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("occur_time_us", sa.BigInteger(), nullable=False),
        sa.Column("receive_time_us", sa.BigInteger(), nullable=False),
        sa.Column("event", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint(
            "tenant_id", "message_key", "fingerprint", name=op.f("history_pkey")
        ),
        schema="status",
    )
    op.create_table(
        "messages",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("message_key", sa.LargeBinary(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("is_counted", sa.Boolean(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("provider_message_id", sa.Text(), nullable=False),
        sa.Column("message_ref", sa.Text(), nullable=False),
        sa.Column("queue_time_us", sa.BigInteger(), nullable=False),
        sa.Column("drop_time_us", sa.BigInteger(), nullable=False),
        sa.Column("accept_time_us", sa.BigInteger(), nullable=False),
        sa.Column("send_time_us", sa.BigInteger(), nullable=False),
        sa.Column("undeliver_time_us", sa.BigInteger(), nullable=False),
        sa.Column("report_time_us", sa.BigInteger(), nullable=False),
        sa.Column("proof_time_us", sa.BigInteger(), nullable=False),
        sa.Column("read_time_us", sa.BigInteger(), nullable=False),
        sa.Column("play_time_us", sa.BigInteger(), nullable=False),
        sa.Column("cancel_time_us", sa.BigInteger(), nullable=False),
        sa.Column("evidence_time_us", sa.BigInteger(), nullable=False),
        sa.Column("click_count", sa.Integer(), nullable=False),
        sa.Column("click_time_us", sa.BigInteger(), nullable=False),
        sa.Column("reply_count", sa.Integer(), nullable=False),
        sa.Column("reply_time_us", sa.BigInteger(), nullable=False),
        sa.Column("tap_count", sa.Integer(), nullable=False),
        sa.Column("tap_time_us", sa.BigInteger(), nullable=False),
        sa.Column("unsubscribe_time_us", sa.BigInteger(), nullable=False),
        sa.Column("complain_time_us", sa.BigInteger(), nullable=False),
        sa.Column("failure_time_us", sa.BigInteger(), nullable=False),
        sa.Column("failure_code", sa.Text(), nullable=False),
        sa.Column("failure_reason", sa.SmallInteger(), nullable=False),
        sa.Column("failure_codes", sa.Text(), nullable=False),
        sa.Column("pricing_time_us", sa.BigInteger(), nullable=False),
        sa.Column("pricing", sa.LargeBinary(), nullable=False),
        sa.Column("is_superseded", sa.Boolean(), nullable=False),
        sa.Column("attributed_proof_time_us", sa.BigInteger(), nullable=False),
        sa.Column("attributed", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint(
            """state = CASE
    WHEN read_time_us > 0 THEN 7
    WHEN report_time_us > 0 OR proof_time_us > 0 OR attributed_proof_time_us > 0 THEN 6
    WHEN undeliver_time_us > 0 OR (drop_time_us > 0 AND provider_message_id <> '') THEN 5
    WHEN send_time_us > 0 THEN 4
    WHEN accept_time_us > 0 THEN 3
    WHEN drop_time_us > 0 THEN 2
    WHEN queue_time_us > 0 THEN 1
    ELSE 0 END""",
            name=op.f("state_is_the_highest_proven"),
        ),
        sa.CheckConstraint(
            "NOT (is_counted AND is_superseded)", name=op.f("a_superseded_message_never_counts")
        ),
        sa.CheckConstraint(
            "octet_length(message_key) = 16", name=op.f("a_message_key_has_16_bytes")
        ),
        sa.CheckConstraint("version > 0", name=op.f("versions_start_at_1")),
        sa.PrimaryKeyConstraint("tenant_id", "message_key", name=op.f("messages_pkey")),
        schema="status",
        postgresql_with={"fillfactor": "80", "autovacuum_vacuum_scale_factor": "0.02"},
    )
    op.create_table(
        "notices",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("occur_time_us", sa.BigInteger(), nullable=False),
        sa.Column("receive_time_us", sa.BigInteger(), nullable=False),
        sa.Column("event", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "fingerprint", name=op.f("notices_pkey")),
        schema="status",
    )
    op.create_table(
        "outbox",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("outbox_id", sa.Uuid(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("oldest_event_time_us", sa.BigInteger(), nullable=False),
        sa.Column("create_time_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "outbox_id", name=op.f("outbox_pkey")),
        schema="status",
        postgresql_with={
            "autovacuum_vacuum_scale_factor": "0.0",
            "autovacuum_vacuum_threshold": "1000",
        },
    )
    op.create_table(
        "parked_facts",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("ref_key", sa.LargeBinary(), nullable=False),
        sa.Column("fact_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("occur_time_us", sa.BigInteger(), nullable=False),
        sa.Column("engagement", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "ref_key", "fact_id", name=op.f("parked_facts_pkey")),
        schema="status",
    )
    op.create_table(
        "quarantine",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("quarantine_key", sa.LargeBinary(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("content_type", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("is_part", sa.Boolean(), nullable=False),
        sa.Column("receive_time_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "quarantine_key", name=op.f("quarantine_pkey")),
        schema="status",
    )
    op.create_index(
        op.f("quarantine_by_tenant_id_receive_time_us_quarantine_key"),
        "quarantine",
        ["tenant_id", "receive_time_us", "quarantine_key"],
        unique=False,
        schema="status",
    )
    op.create_table(
        "quarantine_receipts",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("quarantine_key", sa.LargeBinary(), nullable=False),
        sa.Column("receive_time_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "tenant_id", "quarantine_key", "receive_time_us", name=op.f("quarantine_receipts_pkey")
        ),
        schema="status",
    )
    op.create_table(
        "refs",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("ref_key", sa.LargeBinary(), nullable=False),
        sa.Column("message_key", sa.LargeBinary(), nullable=False),
        sa.Column("has_facts", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "ref_key", name=op.f("refs_pkey")),
        schema="status",
    )
    op.create_table(
        "registrations",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("message_key", sa.LargeBinary(), nullable=False),
        sa.Column("record_time_us", sa.BigInteger(), nullable=False),
        sa.Column("registration", sa.LargeBinary(), nullable=False),
        sa.Column("message_ref", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("campaign_id", sa.Text(), nullable=False),
        sa.Column("contact_id", sa.Text(), nullable=False),
        sa.Column("person_key", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "message_key", name=op.f("registrations_pkey")),
        schema="status",
    )
    # Shapes of the rows that the hottest statements send; a change of columns makes new ones.
    op.execute(
        """CREATE TYPE status.message_row_1 AS (
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
            attributed bytea)"""
    )
    op.execute(
        """CREATE TYPE status.history_row_1 AS (
            tenant_id text,
            message_key bytea,
            fingerprint bytea,
            kind smallint,
            occur_time_us bigint,
            receive_time_us bigint,
            event bytea)"""
    )
    op.execute(
        """CREATE TYPE status.address_send_row_1 AS (
            tenant_id text,
            address_key bytea,
            accept_time_us bigint,
            message_key bytea)"""
    )
    op.execute(
        """CREATE TYPE status.registration_row_1 AS (
            tenant_id text,
            message_key bytea,
            record_time_us bigint,
            registration bytea,
            message_ref text,
            address text,
            campaign_id text,
            contact_id text,
            person_key bytea,
            kind smallint)"""
    )
    op.execute(
        """CREATE TYPE status.ref_row_1 AS (
            tenant_id text,
            ref_key bytea,
            message_key bytea,
            has_facts boolean)"""
    )
    # Deleted a moment later: compressing it would only cost.
    op.execute("ALTER TABLE status.outbox ALTER COLUMN payload SET STORAGE EXTERNAL")


def downgrade() -> None:
    """Go back."""
    op.drop_table("registrations", schema="status")
    op.drop_table("refs", schema="status")
    op.drop_table("quarantine_receipts", schema="status")
    op.drop_index(
        op.f("quarantine_by_tenant_id_receive_time_us_quarantine_key"),
        table_name="quarantine",
        schema="status",
    )
    op.drop_table("quarantine", schema="status")
    op.drop_table("parked_facts", schema="status")
    op.drop_table("outbox", schema="status")
    op.drop_table("notices", schema="status")
    op.drop_table("messages", schema="status")
    op.drop_table("history", schema="status")
    op.drop_table("facts", schema="status")
    op.drop_table("address_sends", schema="status")
    op.drop_table("address_acts", schema="status")
    op.execute("DROP TYPE status.ref_row_1")
    op.execute("DROP TYPE status.registration_row_1")
    op.execute("DROP TYPE status.address_send_row_1")
    op.execute("DROP TYPE status.history_row_1")
    op.execute("DROP TYPE status.message_row_1")
