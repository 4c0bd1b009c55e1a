"""Where tracked links lead; accounts and keys that were put by call."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "destinations",
        sa.Column("link_key", sa.LargeBinary(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("link_id", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("card_index", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("create_time_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("link_key", name="pk_destinations"),
        schema="ingest",
    )
    op.create_table(
        "accounts",
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("options", sa.Text(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("requests_per_second", sa.Double(), nullable=False),
        sa.Column("body_bytes_max", sa.BigInteger(), nullable=False),
        sa.Column("is_disabled", sa.Boolean(), nullable=False),
        sa.Column("update_time_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("provider", "account", name="pk_accounts"),
        schema="ingest",
    )
    op.create_index("accounts_by_tenant_id", "accounts", ["tenant_id"], schema="ingest")
    op.create_table(
        "account_secrets",
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("seal_key_id", sa.Text(), nullable=False),
        sa.Column("create_time_us", sa.BigInteger(), nullable=False),
        sa.Column("expire_time_us", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["provider", "account"],
            ["ingest.accounts.provider", "ingest.accounts.account"],
            name="fk_account_secrets",
        ),
        sa.PrimaryKeyConstraint("provider", "account", "name", "key_id", name="pk_account_secrets"),
        schema="ingest",
    )
    op.create_table(
        "api_keys",
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("role", sa.SmallInteger(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("create_time_us", sa.BigInteger(), nullable=False),
        sa.Column("expire_time_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key_id", name="pk_api_keys"),
        schema="ingest",
    )
    op.create_index(
        "api_keys_by_tenant_id",
        "api_keys",
        ["tenant_id", "create_time_us", "key_id"],
        schema="ingest",
    )
    op.create_index("api_keys_by_sha256", "api_keys", ["sha256"], unique=True, schema="ingest")
    op.create_table(
        "revisions",
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("revision", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("topic", name="pk_revisions"),
        schema="ingest",
    )


def downgrade() -> None:
    """Go back."""
    op.drop_table("revisions", schema="ingest")
    op.drop_table("api_keys", schema="ingest")
    op.drop_table("account_secrets", schema="ingest")
    op.drop_table("accounts", schema="ingest")
    op.drop_table("destinations", schema="ingest")
