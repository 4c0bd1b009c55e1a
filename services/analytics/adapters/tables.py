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
)

from services.analytics.domain.counters import PEOPLE, STORED_NAMES
from services.analytics.domain.dimensions import NAMES

SCHEMA = "analytics"

metadata = MetaData(
    schema=SCHEMA,
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    },
)

# Keys compare byte by byte: quicker than any language's order, and the same on every machine.
_WORD = Text(collation="C")
# Rows that are updated again and again keep room on their page, so that the update stays there.
_WITH_ROOM = {"fillfactor": "70"}


def _key(name: str, kind: object) -> Column[object]:
    return Column(name, kind, primary_key=True)  # type: ignore[arg-type]


def _counts() -> list[Column[object]]:
    return [Column(name, BigInteger, nullable=False) for name in STORED_NAMES]


# Campaign totals: what a report of the whole campaign reads. Distinct counters live here under
# channel 0, since the same person may be on several channels.
totals = Table(
    "totals",
    metadata,
    _key("tenant_id", _WORD),
    _key("campaign_id", _WORD),
    _key("channel", SmallInteger),
    _key("shard", SmallInteger),
    *_counts(),
    *(Column(counter.name, BigInteger, nullable=False) for counter in PEOPLE),
    Column("unique_link_clicks", BigInteger, nullable=False),
)

# Hours with all dimensions, on both clocks (1 EVENT_TIME, 2 SEND_COHORT).
hours = Table(
    "hours",
    metadata,
    _key("tenant_id", _WORD),
    _key("campaign_id", _WORD),
    _key("clock", SmallInteger),
    _key("hour_us", BigInteger),
    _key("dimension_key", LargeBinary),
    _key("shard", SmallInteger),
    *_counts(),
)

# Minutes without dimensions, on the clock EVENT_TIME: the live timeline.
minutes = Table(
    "minutes",
    metadata,
    _key("tenant_id", _WORD),
    _key("campaign_id", _WORD),
    _key("minute_us", BigInteger),
    _key("shard", SmallInteger),
    *_counts(),
)

# What the key in ``hours`` stands for.
dimension_sets = Table(
    "dimension_sets",
    metadata,
    _key("tenant_id", _WORD),
    _key("campaign_id", _WORD),
    _key("dimension_key", LargeBinary),
    Column("channel", SmallInteger, nullable=False),
    *(Column(name, Text, nullable=False) for name in NAMES[1:]),
)

failures = Table(
    "failures",
    metadata,
    _key("tenant_id", _WORD),
    _key("campaign_id", _WORD),
    _key("stage", SmallInteger),
    _key("reason", SmallInteger),
    _key("provider", _WORD),
    _key("provider_code", _WORD),
    _key("shard", SmallInteger),
    Column("message_count", BigInteger, nullable=False),
)

# Each person of a campaign once, with how many of their messages put them into each set. Going
# from 0 to more adds 1 to the distinct counter, going back takes it away.
people = Table(
    "people",
    metadata,
    _key("tenant_id", _WORD),
    _key("campaign_id", _WORD),
    _key("person_key", LargeBinary),
    *(Column(counter.name, Integer, nullable=False) for counter in PEOPLE),
    postgresql_with=_WITH_ROOM,
)

# The same for pairs of a person and a link.
link_clickers = Table(
    "link_clickers",
    metadata,
    _key("tenant_id", _WORD),
    _key("campaign_id", _WORD),
    _key("member_key", LargeBinary),
    Column("click_count", Integer, nullable=False),
    postgresql_with=_WITH_ROOM,
)

# Clicks per link, or per link of one card.
links = Table(
    "links",
    metadata,
    _key("tenant_id", _WORD),
    _key("campaign_id", _WORD),
    _key("link_key", LargeBinary),
    _key("shard", SmallInteger),
    Column("click_count", BigInteger, nullable=False),
    Column("machine_click_count", BigInteger, nullable=False),
    Column("people_count", BigInteger, nullable=False),
    Column("human_people_count", BigInteger, nullable=False),
)

# What the key in ``links`` stands for.
link_names = Table(
    "link_names",
    metadata,
    _key("tenant_id", _WORD),
    _key("campaign_id", _WORD),
    _key("link_key", LargeBinary),
    Column("link_id", Text, nullable=False),
    Column("url", _WORD, nullable=False),
    Column("label", _WORD, nullable=False),
    Column("card_index", BigInteger, nullable=False),
    Column("is_external_button", Boolean, nullable=False),
)

# Who clicked it: from 0 to more adds 1 to ``links``, going back takes it away.
link_people = Table(
    "link_people",
    metadata,
    _key("tenant_id", _WORD),
    _key("campaign_id", _WORD),
    _key("link_key", LargeBinary),
    _key("person_key", LargeBinary),
    Column("click_count", Integer, nullable=False),
    Column("machine_click_count", Integer, nullable=False),
    postgresql_with=_WITH_ROOM,
)

campaigns = Table(
    "campaigns",
    metadata,
    _key("tenant_id", _WORD),
    _key("campaign_id", _WORD),
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
    _key("tenant_id", _WORD),
    _key("request_id", _WORD),
    Column("campaign_id", Text, nullable=False),
    Column("creation_hash", LargeBinary, nullable=False),
)

# Batches that are in the cells. Kept longer than the stream keeps its messages.
applied = Table(
    "applied",
    metadata,
    _key("tenant_id", _WORD),
    _key("batch_id", _WORD),
    Column("apply_time_us", BigInteger, nullable=False),
    Index(None, "apply_time_us"),
)

# Broker messages that nobody could read, so that they can be looked at and folded later.
rejected_batches = Table(
    "rejected_batches",
    metadata,
    _key("stream_seq", BigInteger),
    # Two streams, one after another, may count from 1 each.
    _key("content_key", LargeBinary),
    Column("reason", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("reject_time_us", BigInteger, nullable=False),
)
