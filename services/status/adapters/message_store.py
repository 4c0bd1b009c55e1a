"""The set-based half of the transaction: every method is one statement for a whole batch.

Tables are locked in one order (address acts, refs, facts, messages, the rest) and rows by key, in
every transaction, so that replicas wait for one another and never deadlock.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from bluetick.v1.event_pb2 import DoorReport

from services.status.adapters import health_sql, sql
from services.status.domain.account_hours import Cell, Counts
from services.status.domain.attribution import Act, Move, Touched
from services.status.domain.facts import Fact, stored_fact
from services.status.domain.gather import ActPlace, Gathered, HistoryEntry, Key, Notice
from services.status.domain.message import Message, Record, state_of
from services.status.domain.unknown_words import UnknownWord
from services.status.ports import OutboxEntry, Send

# Message as stored, with its version.
Stored = tuple[int, Message]
_FIELDS_END = len(sql.MESSAGE_COLUMNS)


def _columns(rows: Iterable[tuple[Any, ...]]) -> list[list[Any]]:
    """Return rows as columns, for ``unnest``."""
    return [list(column) for column in zip(*rows, strict=True)]


def _key_columns(keys: Iterable[Key]) -> list[list[Any]]:
    """Return keys as two columns, also if there are none."""
    ordered = sorted(keys)
    return [[key[0] for key in ordered], [key[1] for key in ordered]]


class MessageStore:
    """Statements inside one transaction; ``connection`` is a raw asyncpg connection in it."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def begin(self) -> None:
        """Prepare the transaction."""
        await self._connection.execute(sql.FRESH_PLANS)

    # -- references --------------------------------------------------------------------------------

    async def add_refs(self, refs: Sequence[tuple[str, bytes, bytes, bool]]) -> bool:
        """Insert (tenant, ref_key, message_key or empty, has_facts); return if all were new.

        New or not, nobody else can insert them until the transaction ends.
        """
        # "INSERT 0 n": the number says enough, and costs less than rows.
        done = await self._connection.execute(sql.ADD_REFS, sorted(refs))
        return int(done.rpartition(" ")[2]) == len(refs)

    async def lock_refs(self, keys: Iterable[Key]) -> dict[Key, tuple[bytes, bool]]:
        """Lock references that exist; return who stands for each and whether acts are parked."""
        rows = await self._connection.fetch(sql.LOCK_REFS, *_columns(sorted(keys)))
        return {(row[0], row[1]): (row[2], row[3]) for row in rows}

    async def update_refs(self, refs: Iterable[tuple[str, bytes, bytes, bool]]) -> None:
        """Overwrite references that are locked."""
        await self._connection.execute(sql.UPDATE_REFS, *_columns(sorted(refs)))

    # -- acts --------------------------------------------------------------------------------------

    async def park_facts(self, facts: dict[tuple[str, bytes, str], Fact]) -> None:
        """Keep acts told by reference."""
        await self._connection.execute(sql.PARK_FACTS, *_fact_columns(facts))

    async def read_parked_facts(self, refs: Iterable[Key]) -> dict[Key, list[Fact]]:
        """Return all acts told by these references."""
        return _facts(await self._connection.fetch(sql.READ_PARKED_FACTS, *_columns(refs)))

    async def add_facts(
        self, facts: dict[tuple[str, bytes, str], Fact]
    ) -> set[tuple[str, bytes, str]]:
        """Insert acts; return those that were never counted before."""
        rows = await self._connection.fetch(sql.ADD_FACTS, *_fact_columns(facts))
        return {(row[0], row[1], row[2]) for row in rows}

    async def read_facts(self, messages: Iterable[Key]) -> dict[Key, list[Fact]]:
        """Return all acts of these messages, those told by an address included."""
        return _facts(await self._connection.fetch(sql.READ_ALL_FACTS, *_columns(messages)))

    # -- acts told by an address -------------------------------------------------------------------

    async def add_address_acts(self, acts: dict[ActPlace, Fact]) -> None:
        """Insert acts told by an address, on no message yet."""
        rows = [
            (*place, fact.kind, fact.occur_time_us, fact.engagement, None)
            for place, fact in sorted(acts.items(), key=_by_key)
        ]
        await self._connection.execute(sql.ADD_ADDRESS_ACTS, *_columns(rows))

    async def move_sends(self, gone: Iterable[Send], come: Iterable[Send]) -> None:
        """Delete and insert (tenant_id, address_key, accept_time_us, message_key)."""
        if gone := sorted(gone):
            await self._connection.execute(sql.REMOVE_ADDRESS_SENDS, *_columns(gone))
        if come := sorted(come):
            await self._connection.execute(sql.ADD_ADDRESS_SENDS, come)

    async def lock_acts(self, touched: Touched) -> list[Act]:
        """Lock acts, sorted by place; those that appear meanwhile are somebody else's to move."""
        rows = await self._connection.fetch(
            sql.LOCK_ADDRESS_ACTS,
            *_key_columns(touched.addresses),
            touched.from_us,
            touched.to_us,
            *_key_columns(touched.messages),
        )
        return [Act(tuple(row[:4]), stored_fact(row[2], *row[4:7]), row[7] or b"") for row in rows]

    async def last_sends(
        self, acts: Iterable[Act], window_us: int
    ) -> dict[tuple[str, bytes, str], bytes]:
        """Look the send before each act up."""
        rows = await self._connection.fetch(
            sql.LAST_SENDS,
            *_columns((*act.place[:3], act.fact.occur_time_us) for act in acts),
            window_us,
        )
        return {(row[0], row[1], row[2]): row[3] for row in rows}

    async def move_acts(self, moves: Sequence[Move]) -> None:
        """Overwrite where acts that are locked are counted."""
        rows = ((*move.act.place, move.message_key or None) for move in moves)
        await self._connection.execute(sql.MOVE_ADDRESS_ACTS, *_columns(rows))

    async def read_attributed(self, messages: Iterable[Key]) -> dict[Key, list[Fact]]:
        """Return the acts told by an address that are counted on these messages."""
        rows = await self._connection.fetch(sql.READ_ATTRIBUTED_FACTS, *_key_columns(messages))
        return _facts(rows)

    # -- messages ----------------------------------------------------------------------------------

    async def read_messages(self, keys: Sequence[Key]) -> dict[Key, Stored]:
        """Return the messages that exist. They are not locked: ``write_messages`` notices."""
        rows = await self._connection.fetch(sql.READ_MESSAGES, *_columns(keys))
        return {(row[0], row[1]): (row[2], _message(row)) for row in rows}

    async def write_messages(self, messages: dict[Key, Stored]) -> set[Key]:
        """Insert or overwrite messages with their next version, in key order.

        Returns:
            The keys written. The others were moved by somebody else since they were read; they
            are locked now, so that reading and writing them again succeeds.
        """
        rows = [
            (
                *key,
                version,
                state_of(message),
                message.is_counted,
                *msgspec.structs.astuple(message)[:-1],
            )
            for key, (version, message) in sorted(messages.items(), key=_by_key)
        ]
        written = await self._connection.fetch(sql.WRITE_MESSAGES, rows)
        return {(row[0], row[1]) for row in written}

    async def write_registrations(self, records: dict[Key, Record]) -> None:
        """Store the sender's records; their messages were written in this transaction."""
        rows = [
            (*key, *msgspec.structs.astuple(record))
            for key, record in sorted(records.items(), key=_by_key)
        ]
        await self._connection.execute(sql.WRITE_REGISTRATIONS, rows)

    # -- what is only kept -------------------------------------------------------------------------

    async def append_history(self, history: dict[tuple[str, bytes, bytes], HistoryEntry]) -> None:
        """Keep what was told, repeats once."""
        rows = [
            (*place, e.kind, e.occur_time_us, e.receive_time_us, e.event)
            for place, e in sorted(history.items(), key=_by_key)
        ]
        await self._connection.execute(sql.APPEND_HISTORY, rows)

    async def add_notices(self, notices: dict[tuple[str, bytes], Notice]) -> None:
        """Keep what was told about no message."""
        rows = [
            (*place, *msgspec.structs.astuple(notice))
            for place, notice in sorted(notices.items(), key=_by_key)
        ]
        await self._connection.execute(sql.ADD_NOTICES, *_columns(rows))

    async def add_quarantined(self, gathered: Gathered) -> None:
        """Keep what could not be read, and when it was received."""
        rows = [
            (
                *key,
                storable(q.provider),
                storable(q.account),
                storable(q.reason),
                storable(q.detail),
                storable(q.method),
                storable(q.query),
                storable(q.content_type),
                q.body,
                q.is_part,
                q.receive_time_us,
            )
            for key, q in sorted(gathered.quarantined.items(), key=_by_key)
        ]
        await self._connection.execute(sql.ADD_RECEIPTS, *_columns(sorted(gathered.receipts)))
        await self._connection.execute(sql.ADD_QUARANTINE, *_columns(rows))

    async def add_unknown_words(self, words: Sequence[UnknownWord]) -> None:
        """Keep words that have no meaning here."""
        await self._connection.execute(health_sql.ADD_UNKNOWN_WORDS, *_columns(words))

    async def add_door_reports(self, reports: dict[Key, DoorReport]) -> None:
        """Keep what went through the doors, and the last callback of each account."""
        told = [report for _, report in sorted(reports.items(), key=_by_key)]
        await self._connection.execute(
            health_sql.ADD_DOOR_REPORTS, *_columns(map(health_sql.report_row, told))
        )
        await self._connection.execute(
            health_sql.MOVE_ACCOUNTS, *_columns(health_sql.account_rows(told))
        )

    async def add_account_hours(self, hours: dict[Cell, Counts], shard: int) -> None:
        """Add to the cells, in key order."""
        rows = [(*cell, shard, *counts) for cell, counts in sorted(hours.items())]
        await self._connection.execute(health_sql.ADD_ACCOUNT_HOURS, *_columns(rows))

    async def add_outbox(self, entries: Sequence[OutboxEntry], now_us: int) -> None:
        """Keep change batches until they are published."""
        rows = ((*msgspec.structs.astuple(entry), now_us) for entry in entries)
        await self._connection.execute(sql.ADD_OUTBOX, *_columns(rows))


def storable(text: str) -> str:
    """Return ``text`` without NUL, which PostgreSQL cannot store."""
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}")


def _by_key(item: tuple[Any, Any]) -> Any:
    return item[0]


def _fact_columns(facts: dict[tuple[str, bytes, str], Fact]) -> list[list[Any]]:
    return _columns(
        (*place, fact.kind, fact.occur_time_us, fact.engagement)
        for place, fact in sorted(facts.items(), key=_by_key)
    )


def _facts(rows: Iterable[Any]) -> dict[Key, list[Fact]]:
    found: dict[Key, list[Fact]] = {}
    for tenant_id, key, fact_id, kind, occur_time_us, engagement in rows:
        fact = stored_fact(fact_id, kind, occur_time_us, engagement)
        found.setdefault((tenant_id, key), []).append(fact)
    return found


def _message(row: Any) -> Message:
    """Return the message of a row of ``READ_MESSAGES``."""
    record = Record(*row[_FIELDS_END:]) if row[_FIELDS_END] is not None else None
    fields = [*row[sql.FIELDS_START : _FIELDS_END], record]
    return Message(*fields)
