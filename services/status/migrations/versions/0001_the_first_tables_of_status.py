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
        "checkpoints",
        sa.Column("stream", sa.Text(), nullable=False),
        sa.Column("consumer", sa.Text(), nullable=False),
        sa.Column("stream_time_us", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("stream", "consumer", name=op.f("checkpoints_pkey")),
        schema="status",
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
        sa.Column("unrecorded", sa.BigInteger(), nullable=False),
        sa.Column("contradicted", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "tenant_id", "provider", "account", "hour", "shard", name=op.f("account_hours_pkey")
        ),
        schema="status",
    )
    op.create_table(
        "address_acts",
        sa.Column("address_key", sa.LargeBinary(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("act_id", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("occur_time_us", sa.BigInteger(), nullable=False),
        sa.Column("act", sa.LargeBinary(), nullable=False),
        sa.Column("message_key", sa.LargeBinary(), nullable=True),
        sa.Column("origin", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint(
            "address_key", "tenant_id", "act_id", "fingerprint", name=op.f("address_acts_pkey")
        ),
        schema="status",
    )
    op.create_index(
        op.f("address_acts_by_address_key_tenant_id_occur_time_us"),
        "address_acts",
        ["address_key", "tenant_id", "occur_time_us"],
        unique=False,
        schema="status",
    )
    op.create_index(
        op.f("address_acts_by_message_key_tenant_id"),
        "address_acts",
        ["message_key", "tenant_id"],
        unique=False,
        schema="status",
        postgresql_where=sa.text("message_key IS NOT NULL"),
    )
    op.create_index(
        op.f("address_acts_by_tenant_id_occur_time_us"),
        "address_acts",
        ["tenant_id", "occur_time_us"],
        unique=False,
        schema="status",
        postgresql_where=sa.text("message_key IS NULL AND substr(act, 10, 2) = '\\x000d'::bytea"),
    )
    op.create_table(
        "address_sends",
        sa.Column("address_key", sa.LargeBinary(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("accept_time_us", sa.BigInteger(), nullable=False),
        sa.Column("message_key", sa.LargeBinary(), nullable=False),
        sa.Column("origin", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint(
            "address_key",
            "tenant_id",
            "accept_time_us",
            "message_key",
            name=op.f("address_sends_pkey"),
        ),
        schema="status",
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
        schema="status",
    )
    op.create_table(
        "door_refusals",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("report_id", sa.LargeBinary(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("report_time_us", sa.BigInteger(), nullable=False),
        sa.Column("refused_count", sa.BigInteger(), nullable=False),
        sa.Column("cure", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint(
            "tenant_id", "report_id", "reason", name=op.f("door_refusals_pkey")
        ),
        schema="status",
    )
    op.create_index(
        op.f("door_refusals_by_tenant_id_report_time_us"),
        "door_refusals",
        ["tenant_id", "report_time_us"],
        unique=False,
        schema="status",
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
        schema="status",
    )
    op.create_index(
        op.f("door_reports_by_tenant_id_report_time_us"),
        "door_reports",
        ["tenant_id", "report_time_us"],
        unique=False,
        schema="status",
    )
    op.create_table(
        "due",
        sa.Column("due_time_us", sa.BigInteger(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("due_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("message_keys", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("due_time_us", "tenant_id", "due_id", name=op.f("due_pkey")),
        schema="status",
    )
    op.create_table(
        "acts",
        sa.Column("message_key", sa.LargeBinary(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("act_id", sa.Text(), nullable=False),
        sa.Column("act", sa.LargeBinary(), nullable=True),
        sa.Column("act_by_ref", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint(
            "act IS NOT NULL OR act_by_ref IS NOT NULL", name=op.f("an_act_was_told")
        ),
        sa.PrimaryKeyConstraint("message_key", "tenant_id", "act_id", name=op.f("acts_pkey")),
        schema="status",
    )
    op.create_table(
        "history",
        sa.Column("message_key", sa.LargeBinary(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("occur_time_us", sa.BigInteger(), nullable=False),
        sa.Column("receive_time_us", sa.BigInteger(), nullable=False),
        sa.Column("event", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint(
            "message_key", "tenant_id", "fingerprint", name=op.f("history_pkey")
        ),
        schema="status",
    )
    op.create_table(
        "joined_tenants",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("joined_tenants_pkey")),
        schema="status",
    )
    op.create_table(
        "messages",
        sa.Column("message_key", sa.LargeBinary(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("campaign_id", sa.Text(), nullable=True),
        sa.Column("record", sa.LargeBinary(), nullable=True),
        sa.Column("dimensions", sa.LargeBinary(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("stored", sa.LargeBinary(), nullable=False),
        sa.Column("image", sa.LargeBinary(), nullable=False),
        sa.Column("history", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint(
            "(record IS NULL) = (campaign_id IS NULL)", name=op.f("a_record_has_a_campaign")
        ),
        sa.CheckConstraint(
            "octet_length(message_key) = 16", name=op.f("a_message_key_has_16_bytes")
        ),
        sa.CheckConstraint("state BETWEEN 0 AND 7", name=op.f("a_state_is_one_of_the_order")),
        sa.CheckConstraint("version >= 0 AND revision > 0", name=op.f("versions_count_up")),
        sa.PrimaryKeyConstraint("message_key", "tenant_id", name=op.f("messages_pkey")),
        schema="status",
        postgresql_with={
            "fillfactor": "70",
            "autovacuum_vacuum_scale_factor": "0.02",
            "toast_tuple_target": "4096",
        },
    )
    op.create_table(
        "names",
        sa.Column("address_key", sa.LargeBinary(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("person_key", sa.LargeBinary(), nullable=False),
        sa.Column("is_settled", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("address_key", "tenant_id", name=op.f("names_pkey")),
        schema="status",
    )
    op.create_index(
        op.f("names_by_person_key_tenant_id"),
        "names",
        ["person_key", "tenant_id"],
        unique=False,
        schema="status",
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
        "outbox_aside",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("outbox_id", sa.Uuid(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("oldest_event_time_us", sa.BigInteger(), nullable=False),
        sa.Column("create_time_us", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "outbox_id", name=op.f("outbox_aside_pkey")),
        schema="status",
        postgresql_with={
            "autovacuum_vacuum_scale_factor": "0.0",
            "autovacuum_vacuum_threshold": "1000",
        },
    )
    op.create_table(
        "parked_acts",
        sa.Column("ref_key", sa.LargeBinary(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("act_id", sa.Text(), nullable=False),
        sa.Column("act", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("ref_key", "tenant_id", "act_id", name=op.f("parked_acts_pkey")),
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
        sa.Column("proof", sa.SmallInteger(), nullable=False),
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
        "quarantine_replays",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("quarantine_key", sa.LargeBinary(), nullable=False),
        sa.Column("through_receive_time_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "tenant_id", "quarantine_key", name=op.f("quarantine_replays_pkey")
        ),
        schema="status",
    )
    op.create_table(
        "recipients",
        sa.Column("batch_key", sa.LargeBinary(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("message_key", sa.LargeBinary(), nullable=False),
        sa.Column("role", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "batch_key", "tenant_id", "message_key", name=op.f("recipients_pkey")
        ),
        schema="status",
    )
    op.create_index(
        op.f("recipients_by_message_key_tenant_id"),
        "recipients",
        ["message_key", "tenant_id"],
        unique=False,
        schema="status",
        postgresql_where=sa.text("role = 0"),
    )
    op.create_table(
        "refs",
        sa.Column("ref_key", sa.LargeBinary(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("message_key", sa.LargeBinary(), nullable=False),
        sa.Column("others", sa.LargeBinary(), nullable=False),
        sa.Column("has_acts", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("ref_key", "tenant_id", name=op.f("refs_pkey")),
        schema="status",
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
        schema="status",
    )
    # ### end Alembic commands ###
    op.create_table(
        "webhook_endpoints",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("endpoint_id", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("filter", sa.LargeBinary(), nullable=False),
        sa.Column("disable_reason", sa.Text(), nullable=False),
        sa.Column("secrets", sa.LargeBinary(), nullable=False),
        sa.Column("create_time_us", sa.BigInteger(), nullable=False),
        sa.Column("update_time_us", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("stream_id", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("passed", sa.BigInteger(), nullable=False),
        sa.Column("missed_time_us", sa.BigInteger(), nullable=False),
        sa.Column("success_time_us", sa.BigInteger(), nullable=False),
        sa.Column("failure_time_us", sa.BigInteger(), nullable=False),
        sa.Column("failure", sa.Text(), nullable=False),
        sa.Column("lease_owner", sa.Text(), nullable=False),
        sa.Column("lease_until_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "endpoint_id", name=op.f("webhook_endpoints_pkey")),
        schema="status",
    )
    op.create_table(
        "webhook_letters",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("endpoint_id", sa.Text(), nullable=False),
        sa.Column("webhook_id", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("is_dead", sa.Boolean(), nullable=False),
        sa.Column("attempt_count", sa.Integer(), nullable=False),
        sa.Column("first_time_us", sa.BigInteger(), nullable=False),
        sa.Column("last_time_us", sa.BigInteger(), nullable=False),
        sa.Column("due_time_us", sa.BigInteger(), nullable=False),
        sa.Column("failure", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint(
            "tenant_id", "endpoint_id", "webhook_id", name=op.f("webhook_letters_pkey")
        ),
        schema="status",
    )
    op.create_index(
        op.f("webhook_letters_by_tenant_id_endpoint_id_is_dead_due_time_us"),
        "webhook_letters",
        ["tenant_id", "endpoint_id", "is_dead", "due_time_us"],
        unique=False,
        schema="status",
    )
    op.execute(
        """CREATE TYPE status.message_row_1 AS (
            message_key bytea,
            tenant_id text,
            campaign_id text,
            record bytea,
            dimensions bytea,
            revision integer,
            state smallint,
            version bigint,
            stored bytea,
            image bytea,
            history bytea)"""
    )
    op.execute(
        """CREATE TYPE status.history_row_1 AS (
            message_key bytea,
            tenant_id text,
            fingerprint bytea,
            kind smallint,
            occur_time_us bigint,
            receive_time_us bigint,
            event bytea)"""
    )
    op.execute(
        """CREATE TYPE status.ref_row_1 AS (
            ref_key bytea,
            tenant_id text,
            message_key bytea,
            others bytea,
            has_acts boolean)"""
    )
    op.execute(
        """CREATE TYPE status.address_send_row_1 AS (
            address_key bytea,
            tenant_id text,
            accept_time_us bigint,
            message_key bytea,
            origin bytea)"""
    )
    # Rows that are written where they were found.
    op.execute(
        """CREATE TYPE status.advance_row_1 AS (
            at tid,
            message_key bytea,
            tenant_id text,
            revision integer,
            state smallint,
            version bigint,
            stored bytea,
            image bytea,
            history bytea)"""
    )
    op.execute(
        """CREATE TYPE status.record_row_1 AS (
            at tid,
            message_key bytea,
            tenant_id text,
            campaign_id text,
            record bytea,
            dimensions bytea,
            revision integer,
            state smallint,
            version bigint,
            stored bytea,
            image bytea,
            history bytea)"""
    )
    # A row is read and written as a whole, and what is in it is small or changes with it.
    op.execute(
        "ALTER TABLE status.messages ALTER COLUMN history SET STORAGE EXTERNAL,"
        " ALTER COLUMN stored SET STORAGE MAIN, ALTER COLUMN image SET STORAGE MAIN,"
        " ALTER COLUMN dimensions SET STORAGE MAIN, ALTER COLUMN record SET STORAGE MAIN"
    )
    # Deleted a moment later: compressing it would only cost.
    op.execute("ALTER TABLE status.outbox ALTER COLUMN payload SET STORAGE EXTERNAL")


def downgrade() -> None:
    """Go back."""
    op.drop_table("webhook_letters", schema="status")
    op.drop_table("webhook_endpoints", schema="status")
    op.drop_table("unknown_words", schema="status")
    op.drop_table("refs", schema="status")
    op.drop_table("recipients", schema="status")
    op.drop_table("quarantine_replays", schema="status")
    op.drop_table("quarantine_receipts", schema="status")
    op.drop_table("quarantine", schema="status")
    op.drop_table("parked_acts", schema="status")
    op.drop_table("outbox_aside", schema="status")
    op.drop_table("outbox", schema="status")
    op.drop_table("notices", schema="status")
    op.drop_table("names", schema="status")
    op.drop_table("messages", schema="status")
    op.drop_table("joined_tenants", schema="status")
    op.drop_table("history", schema="status")
    op.drop_table("acts", schema="status")
    op.drop_table("due", schema="status")
    op.drop_table("door_reports", schema="status")
    op.drop_table("door_refusals", schema="status")
    op.drop_table("checkpoints", schema="status")
    op.drop_table("callback_accounts", schema="status")
    op.drop_table("address_sends", schema="status")
    op.drop_table("address_acts", schema="status")
    op.drop_table("account_hours", schema="status")
    op.execute("DROP TYPE status.record_row_1")
    op.execute("DROP TYPE status.advance_row_1")
    op.execute("DROP TYPE status.address_send_row_1")
    op.execute("DROP TYPE status.ref_row_1")
    op.execute("DROP TYPE status.history_row_1")
    op.execute("DROP TYPE status.message_row_1")
