"""The half of the transaction that only keeps: what was told beside messages, and what is due."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from bluetick.v1.event_pb2 import DoorReport

from services.status.adapters import health_sql, outbox_sql, sql
from services.status.domain.account_hours import Cell, Counts
from services.status.domain.due import Due
from services.status.domain.gathered import Gathered, Key, Notice, Telling, fingerprint
from services.status.domain.unknown_words import UnknownWord
from services.status.ports import OutboxEntry


def columns_of(rows: Iterable[tuple[Any, ...]]) -> list[list[Any]]:
    """Return rows as columns, for ``unnest``."""
    return [list(column) for column in zip(*rows, strict=True)]


def key_columns(keys: Iterable[Key]) -> list[list[Any]]:
    """Return keys as two columns, sorted, also if there are none."""
    ordered = sorted(keys)
    return [[key[0] for key in ordered], [key[1] for key in ordered]]


def storable(text: str) -> str:
    """Return ``text`` without NUL, which PostgreSQL cannot store."""
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}")


def _by_key(item: tuple[Any, Any]) -> Any:
    return item[0]


class KeptStore:
    """Statements inside one transaction; ``connection`` is a raw asyncpg connection in it."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def spill_history(self, spilled: Mapping[Key, Iterable[Telling]]) -> None:
        """Keep what was told of messages whose rows are full, repeats once."""
        rows: dict[tuple[bytes, str, bytes], tuple[Any, ...]] = {}
        for (tenant_id, key), tellings in spilled.items():
            for kind, time_us, event, receive_us, *_ in tellings:
                place = (key, tenant_id, fingerprint(event))
                if place not in rows or receive_us < rows[place][2]:
                    rows[place] = (kind, time_us, receive_us, event)
        ordered = [(*place, *rest) for place, rest in sorted(rows.items())]
        await self._connection.execute(sql.APPEND_HISTORY, ordered)

    async def add_due(self, kind: Due, keys: Mapping[int, Iterable[Key]]) -> None:
        """Note what the clock will do to messages, by the time."""
        found: dict[tuple[int, str], list[bytes]] = {}
        for due_us, messages in keys.items():
            for tenant_id, key in messages:
                found.setdefault((due_us, tenant_id), []).append(key)
        rows = [(*at, uuid.uuid4(), kind, b"".join(joined)) for at, joined in found.items()]
        await self._connection.execute(sql.ADD_DUE, *columns_of(rows))

    async def add_notices(self, notices: dict[tuple[str, bytes], Notice]) -> None:
        """Keep what was told about no message."""
        rows = [
            (*place, *msgspec.structs.astuple(notice))
            for place, notice in sorted(notices.items(), key=_by_key)
        ]
        await self._connection.execute(sql.ADD_NOTICES, *columns_of(rows))

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
                q.proof,
            )
            for key, q in sorted(gathered.quarantined.items(), key=_by_key)
        ]
        await self._connection.execute(sql.ADD_RECEIPTS, *columns_of(sorted(gathered.receipts)))
        await self._connection.execute(sql.ADD_QUARANTINE, *columns_of(rows))

    async def add_unknown_words(self, words: Sequence[UnknownWord]) -> None:
        """Keep words that have no meaning here."""
        await self._connection.execute(health_sql.ADD_UNKNOWN_WORDS, *columns_of(words))

    async def add_door_reports(self, reports: dict[Key, DoorReport]) -> None:
        """Keep what went through the doors, and the last callback of each account."""
        told = [report for _, report in sorted(reports.items(), key=_by_key)]
        await self._connection.execute(
            health_sql.ADD_DOOR_REPORTS, *columns_of(map(health_sql.report_row, told))
        )
        refusals = [row for report in told for row in health_sql.refusal_rows(report)]
        if refusals:
            await self._connection.execute(health_sql.ADD_DOOR_REFUSALS, *columns_of(refusals))
        await self._connection.execute(
            health_sql.MOVE_ACCOUNTS, *columns_of(health_sql.account_rows(told))
        )

    async def add_account_hours(self, hours: dict[Cell, Counts], shard: int) -> None:
        """Add to the cells, in key order."""
        rows = [(*cell, shard, *counts) for cell, counts in sorted(hours.items())]
        await self._connection.execute(health_sql.ADD_ACCOUNT_HOURS, *columns_of(rows))

    async def add_outbox(self, entries: Sequence[OutboxEntry], now_us: int) -> None:
        """Keep change batches until they are published."""
        rows = ((*msgspec.structs.astuple(entry), now_us) for entry in entries)
        await self._connection.execute(outbox_sql.ADD_OUTBOX, *columns_of(rows))
