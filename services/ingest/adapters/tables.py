"""The tables of the schema ``ingest``. Migrations are compared with them in a test."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    Uuid,
)

SCHEMA = "ingest"

metadata = MetaData(
    schema=SCHEMA, naming_convention={"pk": "pk_%(table_name)s", "fk": "fk_%(table_name)s"}
)

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

# Provider accounts that were put by call. Their address is (provider, account), whosever they are.
accounts = Table(
    "accounts",
    metadata,
    Column("provider", Text, primary_key=True),
    Column("account", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("options", Text, nullable=False),  # JSON object of texts
    Column("words", Text, nullable=False),  # likewise
    Column("requests_per_second", Double, nullable=False),  # 0: no limit of its own
    Column("body_bytes_max", BigInteger, nullable=False),  # likewise
    Column("is_disabled", Boolean, nullable=False),
    Column("update_time_us", BigInteger, nullable=False),
    Index("accounts_by_tenant_id", "tenant_id"),
)

# Their secrets, sealed with the key of BLUETICK_ACCOUNT_KEYS that ``seal_key_id`` names.
account_secrets = Table(
    "account_secrets",
    metadata,
    Column("provider", Text, primary_key=True),
    Column("account", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("key_id", Text, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("seal_key_id", Text, nullable=False),
    Column("create_time_us", BigInteger, nullable=False),
    Column("expire_time_us", BigInteger, nullable=False),  # 0: never
    ForeignKeyConstraint(
        ["provider", "account"], ["ingest.accounts.provider", "ingest.accounts.account"]
    ),
)

# API keys that were issued by call: hashes only.
api_keys = Table(
    "api_keys",
    metadata,
    Column("key_id", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    Column("role", SmallInteger, nullable=False),  # bluetick.v1.Role
    Column("title", Text, nullable=False),
    Column("create_time_us", BigInteger, nullable=False),
    Column("expire_time_us", BigInteger, nullable=False),  # 0: never
    Index("api_keys_by_tenant_id", "tenant_id", "create_time_us", "key_id"),
    Index("api_keys_by_sha256", "sha256", unique=True),
)

# Another word after each change of a topic ("accounts", "api_keys"): what replicas look at. Random,
# not counted, so that a database that was restored never repeats one.
revisions = Table(
    "revisions",
    metadata,
    Column("topic", Text, primary_key=True),
    Column("revision", Uuid, nullable=False),
)
