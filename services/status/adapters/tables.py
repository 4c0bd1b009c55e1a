"""The tables of schema ``status``, as Alembic compares them with the database.

Every primary key starts with ``tenant_id``, the column by which a cluster would spread the rows.
Times are microseconds since 1970 UTC in ``bigint``; 0: never.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.types import TypeEngine

SCHEMA = "status"

metadata = MetaData(
    schema=SCHEMA,
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "ix": "%(table_name)s_by_%(column_0_N_name)s",
        # Named after the rule they keep.
        "ck": "%(constraint_name)s",
    },
)

# The third writing of ``domain.states.PROOFS``; a test compares them.
STATE_IS_THE_HIGHEST_PROVEN = """state = CASE
    WHEN read_time_us > 0 THEN 7
    WHEN report_time_us > 0 OR proof_time_us > 0 OR attributed_proof_time_us > 0 THEN 6
    WHEN undeliver_time_us > 0 OR (drop_time_us > 0 AND provider_message_id <> '') THEN 5
    WHEN send_time_us > 0 THEN 4
    WHEN accept_time_us > 0 THEN 3
    WHEN drop_time_us > 0 THEN 2
    WHEN queue_time_us > 0 THEN 1
    ELSE 0 END"""


def _column(name: str, kind: type[TypeEngine[Any]]) -> Column[Any]:
    return Column(name, kind, nullable=False)


def _key(*names: str) -> list[Column[Any]]:
    kinds: dict[str, type[TypeEngine[Any]]] = {
        "tenant_id": Text,
        "provider": Text,
        "account": Text,
        "hour": BigInteger,
        "shard": SmallInteger,
        "fact_id": Text,
        "outbox_id": Uuid,
        "receive_time_us": BigInteger,
        "accept_time_us": BigInteger,
    }
    return [
        Column(name, kinds.get(name, LargeBinary), primary_key=True, nullable=False)
        for name in names
    ]


# Hot: rewritten at each move, so it holds what moves and has no index but its key (updates then
# stay on their page). Columns after ``is_counted`` are the fields of ``domain.message.Message``.
messages = Table(
    "messages",
    metadata,
    *_key("tenant_id", "message_key"),
    _column("version", BigInteger),
    _column("state", SmallInteger),
    _column("is_counted", Boolean),
    _column("provider", Text),
    _column("account", Text),
    _column("provider_message_id", Text),
    _column("message_ref", Text),
    _column("queue_time_us", BigInteger),
    _column("drop_time_us", BigInteger),
    _column("accept_time_us", BigInteger),
    _column("send_time_us", BigInteger),
    _column("undeliver_time_us", BigInteger),
    _column("report_time_us", BigInteger),
    _column("proof_time_us", BigInteger),
    _column("read_time_us", BigInteger),
    _column("play_time_us", BigInteger),
    _column("cancel_time_us", BigInteger),
    _column("evidence_time_us", BigInteger),
    _column("click_count", Integer),
    _column("click_time_us", BigInteger),
    _column("reply_count", Integer),
    _column("reply_time_us", BigInteger),
    _column("tap_count", Integer),
    _column("tap_time_us", BigInteger),
    _column("unsubscribe_time_us", BigInteger),
    _column("complain_time_us", BigInteger),
    _column("failure_time_us", BigInteger),
    _column("failure_code", Text),
    _column("failure_reason", SmallInteger),
    _column("failure_codes", Text),
    _column("pricing_time_us", BigInteger),
    _column("pricing", LargeBinary),
    _column("is_superseded", Boolean),
    _column("attributed_proof_time_us", BigInteger),
    _column("attributed", LargeBinary),
    _column("machine_click_count", Integer),
    _column("human_click_time_us", BigInteger),
    CheckConstraint("octet_length(message_key) = 16", name="a_message_key_has_16_bytes"),
    CheckConstraint("version > 0", name="versions_start_at_1"),
    CheckConstraint(STATE_IS_THE_HIGHEST_PROVEN, name="state_is_the_highest_proven"),
    CheckConstraint("NOT (is_counted AND is_superseded)", name="a_superseded_message_never_counts"),
    postgresql_with={"fillfactor": "80", "autovacuum_vacuum_scale_factor": "0.02"},
)

# Cold: written once, when the sender's record arrives.
registrations = Table(
    "registrations",
    metadata,
    *_key("tenant_id", "message_key"),
    _column("record_time_us", BigInteger),
    _column("registration", LargeBinary),
    _column("message_ref", Text),
    _column("address", Text),
    _column("campaign_id", Text),
    _column("contact_id", Text),
    _column("person_key", LargeBinary),
    _column("kind", SmallInteger),
)

# Which message stands for a sender's reference; ``message_key`` empty: only acts so far.
refs = Table(
    "refs",
    metadata,
    *_key("tenant_id", "ref_key"),
    _column("message_key", LargeBinary),
    _column("has_facts", Boolean),
)

# Acts counted, each once.
facts = Table(
    "facts",
    metadata,
    *_key("tenant_id", "message_key", "fact_id"),
    _column("kind", SmallInteger),
    _column("occur_time_us", BigInteger),
    _column("engagement", LargeBinary),
)

# Acts told by reference: parked here until a message stands for it, and kept, since another may
# come to stand for it.
parked_facts = Table(
    "parked_facts",
    metadata,
    *_key("tenant_id", "ref_key", "fact_id"),
    _column("kind", SmallInteger),
    _column("occur_time_us", BigInteger),
    _column("engagement", LargeBinary),
)

# Where and when messages were sent that somebody may answer; kept in step with the messages.
address_sends = Table(
    "address_sends",
    metadata,
    *_key("tenant_id", "address_key", "accept_time_us", "message_key"),
)

# Acts told by an address only, each way of telling once; ``message_key``: on which message it is
# counted, null for none. ``fingerprint`` is that of the notice that keeps the whole event.
address_acts = Table(
    "address_acts",
    metadata,
    *_key("tenant_id", "address_key", "fact_id", "fingerprint"),
    _column("kind", SmallInteger),
    _column("occur_time_us", BigInteger),
    _column("engagement", LargeBinary),
    # Null and not empty: a value that most rows share would mislead the planner.
    Column("message_key", LargeBinary),
    Index(None, "tenant_id", "address_key", "occur_time_us"),
    Index(None, "tenant_id", "message_key", postgresql_where=text("message_key IS NOT NULL")),
)

# Everything told about a message, repeats once.
history = Table(
    "history",
    metadata,
    *_key("tenant_id", "message_key", "fingerprint"),
    _column("kind", SmallInteger),
    _column("occur_time_us", BigInteger),
    _column("receive_time_us", BigInteger),
    _column("event", LargeBinary),
)

# What was told about no message: templates, accounts, quality, words never seen.
notices = Table(
    "notices",
    metadata,
    *_key("tenant_id", "fingerprint"),
    _column("provider", Text),
    _column("account", Text),
    _column("kind", SmallInteger),
    _column("occur_time_us", BigInteger),
    _column("receive_time_us", BigInteger),
    _column("event", LargeBinary),
)

# What could not be read or stored.
quarantine = Table(
    "quarantine",
    metadata,
    *_key("tenant_id", "quarantine_key"),
    _column("provider", Text),
    _column("account", Text),
    _column("reason", Text),
    _column("detail", Text),
    _column("method", Text),
    _column("query", Text),
    _column("content_type", Text),
    _column("body", LargeBinary),
    _column("is_part", Boolean),
    _column("receive_time_us", BigInteger),
    Index(None, "tenant_id", "receive_time_us", "quarantine_key"),
)

# One row each time that the same content was received. A redelivery by the broker carries the same
# time of receipt, so it adds none: the count of rows is how often it really came.
quarantine_receipts = Table(
    "quarantine_receipts",
    metadata,
    *_key("tenant_id", "quarantine_key", "receive_time_us"),
)

# Quarantined callbacks that could be read later, without their content. What was received up to
# that receipt is not kept again, however often the broker delivers it; what comes later is.
quarantine_replays = Table(
    "quarantine_replays",
    metadata,
    *_key("tenant_id", "quarantine_key"),
    _column("through_receive_time_us", BigInteger),
)

# Linear sums over messages, by the hour in which they were accepted: moved by deltas, never
# recounted. Several shards of a cell, so that replicas do not wait for one another; a reader adds
# them up.
account_hours = Table(
    "account_hours",
    metadata,
    *_key("tenant_id", "provider", "account", "hour", "shard"),
    _column("accepted", BigInteger),
    _column("heard", BigInteger),
    _column("delivered", BigInteger),
    _column("read", BigInteger),
    _column("engaged", BigInteger),
    _column("timed_reads", BigInteger),
    _column("fast_reads", BigInteger),
)

# What went through the doors, as ingest reported it; kept for two days.
door_reports = Table(
    "door_reports",
    metadata,
    *_key("tenant_id", "report_id"),
    _column("provider", Text),
    _column("account", Text),
    _column("report_time_us", BigInteger),
    _column("callback_count", BigInteger),
    _column("refused_count", BigInteger),
    Column("lag_us", BigInteger),  # null: no event told a time
    Index(None, "tenant_id", "report_time_us"),
)

# The last callback of each account, ever; 0: only refused requests so far.
callback_accounts = Table(
    "callback_accounts",
    metadata,
    *_key("tenant_id", "provider", "account"),
    _column("last_receive_time_us", BigInteger),
)

# Events whose word has no meaning here; kept for some weeks.
unknown_words = Table(
    "unknown_words",
    metadata,
    *_key("tenant_id", "fingerprint"),
    _column("provider", Text),
    _column("account", Text),
    _column("word", Text),
    _column("receive_time_us", BigInteger),
)

# Changes committed and not yet known to be published. Nearly always empty.
outbox = Table(
    "outbox",
    metadata,
    *_key("tenant_id", "outbox_id"),
    _column("subject", Text),
    _column("payload", LargeBinary),
    _column("oldest_event_time_us", BigInteger),
    _column("create_time_us", BigInteger),
    postgresql_with={
        "autovacuum_vacuum_scale_factor": "0.0",
        "autovacuum_vacuum_threshold": "1000",
    },
)
