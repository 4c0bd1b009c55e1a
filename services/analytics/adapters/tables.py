"""The tables of the schema ``analytics``. Migrations are compared with them in a test.

Every key begins with the tenant and, for cells, the campaign: the column that a distributed
PostgreSQL would spread them by. Times are microseconds since 1970, UTC, in BIGINT.
Additive cells end their key with a shard: each replica writes its own rows, so that replicas do
not queue behind one another on a busy campaign; reads sum over shards.
"""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import BIT

from libs.runtime.checkpoint_table import checkpoint_table
from services.analytics.adapters.family_tables import WORD, cell_key, family_tables, key_column
from services.analytics.domain.counters import DISTINCT_NAMES, STORED_NAMES
from services.analytics.domain.dimensions import NAMES
from services.analytics.domain.families.registry import FAMILIES
from services.analytics.domain.lists.listed import CHUNK

SCHEMA = "analytics"

metadata = MetaData(
    schema=SCHEMA,
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    },
)

# Tables that follow from declarations: made and widened by ``make_family_tables``, not by hand.
FAMILY_TABLES = [table for family in FAMILIES for table in family_tables(family, metadata)]


# Why the totals of a campaign moved, by minute of folding: of whatever generation was shown then.
ledger = Table(
    "ledger",
    metadata,
    key_column("tenant_id", WORD),
    key_column("campaign_id", WORD),
    key_column("minute_us", BigInteger()),
    key_column("cause", SmallInteger()),
    key_column("shard", SmallInteger()),
    *(
        Column(name, BigInteger, nullable=False, server_default="0")
        for name in (*STORED_NAMES, *DISTINCT_NAMES)
    ),
)
FAMILY_TABLES.append(ledger)

# Lists of messages. Who is found by a term, in the order of numbers: bits that each shard turned
# round, which count modulo two. See docs/adr/0015-lists-are-bits-folded-with-the-counters.md.
list_bits = Table(
    "list_bits",
    metadata,
    *cell_key(),
    key_column("term", Integer()),
    key_column("chunk", Integer()),
    key_column("shard", SmallInteger()),
    Column("bits", BIT(CHUNK), nullable=False),
    # A bit moves and the row is written anew: on its page, while that has room.
    postgresql_with={"fillfactor": "70"},
)

# Acts on messages by link, button and card: a message is found by one while there are any.
list_acts = Table(
    "list_acts",
    metadata,
    *cell_key(),
    key_column("term", Integer()),
    key_column("number", Integer()),
    Column("acts", Integer, nullable=False),
)

# Messages of a person, as the sender names it: a hash of 16 bytes.
list_contacts = Table(
    "list_contacts",
    metadata,
    key_column("contact_key", LargeBinary()),
    *cell_key(),
    key_column("number", Integer()),
    Column("messages", SmallInteger, nullable=False),
)

# The number of each message in the lists of its campaign: given once, whatever is rebuilt.
list_numbers = Table(
    "list_numbers",
    metadata,
    key_column("message_key", LargeBinary()),
    key_column("tenant_id", WORD),
    key_column("campaign_id", WORD),
    Column("number", Integer, nullable=False),
    Index(
        None, "tenant_id", "campaign_id", "number", unique=True, postgresql_include=["message_key"]
    ),
)

# The last number given out in each campaign.
list_ends = Table(
    "list_ends",
    metadata,
    key_column("tenant_id", WORD),
    key_column("campaign_id", WORD),
    Column("number", Integer, nullable=False),
)
FAMILY_TABLES += [list_bits, list_acts, list_contacts, list_numbers, list_ends]

# The dictionary: values that a campaign's numbers are broken down by, numbered as they first came.
dimension_values = Table(
    "dimension_values",
    metadata,
    key_column("tenant_id", WORD),
    key_column("campaign_id", WORD),
    # Place in the list of dimensions; from 100 on: see dictionary.py.
    key_column("dimension", SmallInteger()),
    key_column("number", SmallInteger()),
    Column("value", WORD, nullable=False),
    UniqueConstraint("tenant_id", "campaign_id", "dimension", "value"),
)

# What a scope id in the cells stands for.
scopes = Table(
    "scopes",
    metadata,
    key_column("tenant_id", WORD),
    key_column("campaign_id", WORD),
    key_column("scope_id", BigInteger()),
    Column("scope_key", LargeBinary, nullable=False),
    Column("channel", SmallInteger, nullable=False),
    *(Column(name, Text, nullable=False) for name in NAMES[1:]),
    UniqueConstraint("tenant_id", "campaign_id", "scope_key"),
)

# What a link key in the cells stands for.
link_names = Table(
    "link_names",
    metadata,
    key_column("tenant_id", WORD),
    key_column("campaign_id", WORD),
    key_column("link_key", LargeBinary()),
    Column("link_id", Text, nullable=False),
    Column("url", WORD, nullable=False),
    Column("label", WORD, nullable=False),
    Column("card_index", BigInteger, nullable=False),
    Column("is_external_button", Boolean, nullable=False),
)

# Which generation of the cells is shown, and which is being made. No row: generation 1 is shown.
generations = Table(
    "generations",
    metadata,
    key_column("tenant_id", WORD),
    Column("shown", Integer, nullable=False),
    # 0: none.
    Column("building", Integer, nullable=False),
    # The last generation that was ever begun; numbers are not used twice.
    Column("last", Integer, nullable=False),
    # The whole message store is in the building generation.
    Column("is_read", Boolean, nullable=False),
    # Place in the message store up to which it was read; empty: from the start.
    Column("after_key", LargeBinary, nullable=False),
    # Of the building generation: when it was begun, when the message store was read to its end.
    Column("start_time_us", BigInteger, nullable=False),
    Column("read_time_us", BigInteger, nullable=False),
    Column("message_count", BigInteger, nullable=False),
    # When the shown generation was begun: gaps of before are closed by it.
    Column("shown_since_us", BigInteger, nullable=False),
)

# Versions of messages that a generation being made got from the message store.
built_versions = Table(
    "built_versions",
    metadata,
    key_column("tenant_id", WORD),
    key_column("generation", Integer()),
    key_column("message_key", LargeBinary()),
    Column("version", BigInteger, nullable=False),
)

# Changes of messages that the reading of the message store has not come to yet.
early_changes = Table(
    "early_changes",
    metadata,
    key_column("tenant_id", WORD),
    key_column("generation", Integer()),
    key_column("message_key", LargeBinary()),
    key_column("version", BigInteger()),
    key_column("part", Integer()),
    Column("payload", LargeBinary, nullable=False),
)

# Sums of campaigns whose rows somebody else had locked; added as soon as the lock is gone.
postponed_cells = Table(
    "postponed_cells",
    metadata,
    key_column("tenant_id", WORD),
    key_column("campaign_id", WORD),
    key_column("postponed_key", LargeBinary()),
    Column("generation", Integer, nullable=False),
    Column("is_shown", Boolean, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("fold_time_us", BigInteger, nullable=False),
    # The campaign's numbers are complete up to here at most.
    Column("event_time_us", BigInteger, nullable=False),
)

campaigns = Table(
    "campaigns",
    metadata,
    key_column("tenant_id", WORD),
    key_column("campaign_id", WORD),
    Column("kind", SmallInteger, nullable=False),
    Column("state", SmallInteger, nullable=False),
    Column("tags", ARRAY(Text), nullable=False),
    Column("create_time_us", BigInteger, nullable=False),
    Column("update_time_us", BigInteger, nullable=False),
    Column("is_implicit", Boolean, nullable=False),
    # bluetick.v1.Campaign as the caller gave it; what the columns above hold wins.
    Column("body", LargeBinary, nullable=False),
    # Hash of the body that created it: the same creation again is no conflict.
    Column("creation_hash", LargeBinary, nullable=False),
    Index(None, "tenant_id", "create_time_us", "campaign_id"),
)

# What a retry with the same request id answers.
campaign_requests = Table(
    "campaign_requests",
    metadata,
    key_column("tenant_id", WORD),
    key_column("request_id", WORD),
    Column("campaign_id", Text, nullable=False),
    Column("creation_hash", LargeBinary, nullable=False),
)

# Batches that are in the cells. Kept longer than the stream keeps its messages.
applied = Table(
    "applied",
    metadata,
    key_column("tenant_id", WORD),
    key_column("batch_id", WORD),
    Column("apply_time_us", BigInteger, nullable=False),
    Index(None, "apply_time_us"),
)

checkpoint_table(metadata)

# Sequences of the stream that are in the cells, as runs: what lies between two runs is on its way,
# or never came.
folded_runs = Table(
    "folded_runs",
    metadata,
    # When the stream was made: another stream counts from 1 again.
    key_column("stream_time_us", BigInteger()),
    key_column("from_seq", BigInteger()),
    Column("to_seq", BigInteger, nullable=False),
)

# Sequences that will never be in the cells.
gaps = Table(
    "gaps",
    metadata,
    key_column("stream_time_us", BigInteger()),
    key_column("from_seq", BigInteger()),
    Column("to_seq", BigInteger, nullable=False),
    # EXPIRED, MISSING or SET_ASIDE.
    Column("reason", Text, nullable=False),
    # Between these two times they were stored.
    Column("from_time_us", BigInteger, nullable=False),
    Column("to_time_us", BigInteger, nullable=False),
)
