"""The tables of schema ``status``, as Alembic compares them with the database.

Every primary key has ``tenant_id``, the column by which a cluster would spread the rows. A key of
16 bytes comes before it: the tenant tells nothing apart, and each look-up would compare it a dozen
times. Times are microseconds since 1970 UTC in ``bigint``; 0: never.
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

from libs.runtime.checkpoint_table import checkpoint_table

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


def _column(name: str, kind: type[TypeEngine[Any]]) -> Column[Any]:
    return Column(name, kind, nullable=False)


def _key(*names: str) -> list[Column[Any]]:
    kinds: dict[str, type[TypeEngine[Any]]] = {
        "tenant_id": Text,
        "provider": Text,
        "account": Text,
        "hour": BigInteger,
        "shard": SmallInteger,
        "act_id": Text,
        "endpoint_id": Text,
        "webhook_id": Text,
        "reason": Text,
        "outbox_id": Uuid,
        "due_id": Uuid,
        "due_time_us": BigInteger,
        "receive_time_us": BigInteger,
        "accept_time_us": BigInteger,
    }
    return [
        Column(name, kinds.get(name, LargeBinary), primary_key=True, nullable=False)
        for name in names
    ]


# Hot: rewritten at each move, on its page while that has room, so nothing that moves is indexed.
# What hardly ever moves comes first and what only grows comes last: the log skips both. See
# docs/adr/0005-one-packed-row-a-message.md.
messages = Table(
    "messages",
    metadata,
    *_key("message_key", "tenant_id"),
    # Null: the sender's record has not come.
    Column("campaign_id", Text),
    Column("record", LargeBinary),
    # With ``image``: the serialized public image.
    _column("dimensions", LargeBinary),
    # +1 at each write of the row, the guard of whoever writes next.
    _column("revision", Integer),
    _column("state", SmallInteger),
    # +1 at each change that others are told of; 0: none yet.
    _column("version", BigInteger),
    _column("stored", LargeBinary),
    _column("image", LargeBinary),
    _column("history", LargeBinary),
    CheckConstraint("octet_length(message_key) = 16", name="a_message_key_has_16_bytes"),
    CheckConstraint("version >= 0 AND revision > 0", name="versions_count_up"),
    CheckConstraint("state BETWEEN 0 AND 7", name="a_state_is_one_of_the_order"),
    CheckConstraint("(record IS NULL) = (campaign_id IS NULL)", name="a_record_has_a_campaign"),
    postgresql_with={
        "fillfactor": "70",
        "autovacuum_vacuum_scale_factor": "0.02",
        # A row is read and written as a whole: out of line it would be two.
        "toast_tuple_target": "4096",
    },
)

# Which message stands for a sender's reference; ``message_key`` empty: only acts so far.
# ``others``: keys of the attempts that do not stand, sorted, one behind the other; hardly ever any.
refs = Table(
    "refs",
    metadata,
    *_key("ref_key", "tenant_id"),
    _column("message_key", LargeBinary),
    _column("others", LargeBinary),
    _column("has_acts", Boolean),
)

# Messages under one id of a provider's that may have several: of mail, and of groups.
recipients = Table(
    "recipients",
    metadata,
    *_key("batch_key", "tenant_id", "message_key"),
    _column("role", SmallInteger),  # ``domain.recipients.Role``
    Index(None, "message_key", "tenant_id", postgresql_where=text("role = 0")),
)

# Acts counted on messages, each once. What was told of the message itself and what was told by a
# reference is kept apart, since the reference may move on to another message; of the two, the
# smaller stands (``domain.acts.Act.told``).
acts = Table(
    "acts",
    metadata,
    *_key("message_key", "tenant_id", "act_id"),
    Column("act", LargeBinary),
    Column("act_by_ref", LargeBinary),
    CheckConstraint("act IS NOT NULL OR act_by_ref IS NOT NULL", name="an_act_was_told"),
)

# Acts told by reference: parked here until a message stands for it, and kept, since another may
# come to stand for it.
parked_acts = Table(
    "parked_acts",
    metadata,
    *_key("ref_key", "tenant_id", "act_id"),
    _column("act", LargeBinary),
)

# Where and when messages with a record were sent; kept in step with the messages.
address_sends = Table(
    "address_sends",
    metadata,
    *_key("address_key", "tenant_id", "accept_time_us", "message_key"),
    # Channel, account and our number; see ``domain.origins``. Empty: nobody can answer it.
    _column("origin", LargeBinary),
)

# Names of people that are joined with others; a name that stands alone is not here. ``person_key``:
# the smallest of its set. ``is_settled``: messages and acts of this name count for that person.
names = Table(
    "names",
    metadata,
    *_key("address_key", "tenant_id"),
    _column("person_key", LargeBinary),
    _column("is_settled", Boolean),
    Index(None, "person_key", "tenant_id"),
)

# Tenants with joined names: whoever joins names locks the row, and who has none pays for none.
joined_tenants = Table("joined_tenants", metadata, *_key("tenant_id"))

# Acts told by an address only, each way of telling once; ``message_key``: on which message it is
# counted, null for none. ``fingerprint`` is that of the notice that keeps the whole event.
address_acts = Table(
    "address_acts",
    metadata,
    *_key("address_key", "tenant_id", "act_id", "fingerprint"),
    _column("occur_time_us", BigInteger),
    _column("act", LargeBinary),
    # Null and not empty: a value that most rows share would mislead the planner.
    Column("message_key", LargeBinary),
    _column("origin", LargeBinary),
    Index(None, "address_key", "tenant_id", "occur_time_us"),
    Index(None, "message_key", "tenant_id", postgresql_where=text("message_key IS NOT NULL")),
    # Opt-outs on no message: the kind stands behind the nine bytes of rank and time.
    Index(
        None,
        "tenant_id",
        "occur_time_us",
        postgresql_where=text("message_key IS NULL AND substr(act, 10, 2) = '\\x000d'::bytea"),
    ),
)

# What was told about messages of which more was told than their rows hold, repeats once.
history = Table(
    "history",
    metadata,
    *_key("message_key", "tenant_id", "fingerprint"),
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
    _column("proof", SmallInteger),  # bluetick.v1.CallbackProof
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
    _column("unrecorded", BigInteger),
    _column("contradicted", BigInteger),
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

# Why the requests of a report were refused, a row for each reason; kept as long as the report.
door_refusals = Table(
    "door_refusals",
    metadata,
    *_key("tenant_id", "report_id", "reason"),
    _column("provider", Text),
    _column("account", Text),
    _column("report_time_us", BigInteger),
    _column("refused_count", BigInteger),
    _column("cure", Text),
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

# What the clock will do to messages, and when (microseconds since 1970, UTC): one row holds the
# keys of many, so that a message costs 17 bytes and no index entry. ``kind`` is one of
# ``domain.due.Due``.
due = Table(
    "due",
    metadata,
    *_key("due_time_us", "tenant_id", "due_id"),
    _column("kind", SmallInteger),
    _column("message_keys", LargeBinary),  # 16 bytes each
)

# Where changes are posted to, and up to which place of CHANGES that is done. One replica works at
# an endpoint at a time: ``lease_owner``, until ``lease_until_us`` by the database's clock.
webhook_endpoints = Table(
    "webhook_endpoints",
    metadata,
    *_key("tenant_id", "endpoint_id"),
    _column("url", Text),
    _column("description", Text),
    _column("filter", LargeBinary),  # bluetick.v1.ChangeFilter
    _column("disable_reason", Text),  # empty: it is not disabled
    _column("secrets", LargeBinary),  # sealed; see ``domain.webhooks.EndpointSecret``
    _column("create_time_us", BigInteger),
    _column("update_time_us", BigInteger),
    # Another one after each change by call: whoever works at the endpoint begins anew.
    _column("revision", BigInteger),
    _column("stream_id", BigInteger),
    _column("seq", BigInteger),
    _column("passed", BigInteger),
    _column("missed_time_us", BigInteger),
    _column("success_time_us", BigInteger),
    _column("failure_time_us", BigInteger),
    _column("failure", Text),
    _column("lease_owner", Text),
    _column("lease_until_us", BigInteger),
)

# Changes that an endpoint did not take: tried again, or given up.
webhook_letters = Table(
    "webhook_letters",
    metadata,
    *_key("tenant_id", "endpoint_id", "webhook_id"),
    _column("body", LargeBinary),
    _column("is_dead", Boolean),
    _column("attempt_count", Integer),
    _column("first_time_us", BigInteger),
    _column("last_time_us", BigInteger),
    _column("due_time_us", BigInteger),
    _column("failure", Text),
    Index(None, "tenant_id", "endpoint_id", "is_dead", "due_time_us"),
)


def _outbox(name: str, *more: Column[Any]) -> Table:
    return Table(
        name,
        metadata,
        *_key("tenant_id", "outbox_id"),
        _column("subject", Text),
        _column("payload", LargeBinary),
        _column("oldest_event_time_us", BigInteger),
        _column("create_time_us", BigInteger),
        *more,
        postgresql_with={
            "autovacuum_vacuum_scale_factor": "0.0",
            "autovacuum_vacuum_threshold": "1000",
        },
    )


# Changes committed and not yet known to be published. Nearly always empty.
outbox = _outbox("outbox")

# Of those, what the broker can never take as it stands. It is tried again from time to time.
outbox_aside = _outbox("outbox_aside", _column("reason", Text))

# Up to where EVENTS is committed here, so that a restored database is noticed.
checkpoints = checkpoint_table(metadata)
