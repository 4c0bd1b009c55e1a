"""Destinations of tracked links in PostgreSQL, kept in memory once they are known."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg
import msgspec

from libs.runtime.database import Database, DatabaseUnavailable
from services.ingest.domain.destinations import Destination, link_key

_REGISTER = """
    INSERT INTO ingest.destinations
      (link_key, tenant_id, url, link_id, label, card_index, kind, create_time_us)
    SELECT *, $8::bigint FROM unnest($1::bytea[], $2::text[], $3::text[], $4::text[], $5::text[],
      $6::bigint[], $7::smallint[])
    ON CONFLICT (link_key) DO NOTHING
"""
_READ = """
    SELECT link_key, tenant_id, url, link_id, label, card_index, kind
    FROM ingest.destinations WHERE link_key = ANY($1::bytea[])
"""
# The schema is not there yet: whoever starts while it is made waits like for the server itself.
_NOT_MADE_YET = (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError)
# Two destinations of one name in 64 bits are rare, three in a row are a bug.
_ATTEMPTS_MAX: Final = 4


class LinkStore:
    """See wrap_links.LinkRegister and follow_link.LinkDirectory."""

    def __init__(self, database: Database, *, timeout_s: float, cached_max: int) -> None:
        """Wait ``timeout_s`` for ``database`` at most; keep ``cached_max`` destinations."""
        self._database = database
        self._timeout_s = timeout_s
        self._cached_max = cached_max
        # Least recently used first. What is in here is in the table, and never changes there.
        self._cached: OrderedDict[bytes, Destination] = OrderedDict()

    async def register(self, destinations: Iterable[Destination], now_us: int) -> list[bytes]:
        """See wrap_links.LinkRegister.register."""
        wanted = list(destinations)
        keys: dict[Destination, bytes] = {}
        for attempt in range(_ATTEMPTS_MAX):
            tried = {one: link_key(one, attempt) for one in wanted if one not in keys}
            stored = await self._stored(tried, now_us)
            keys.update({one: key for one, key in tried.items() if stored[key] == one})
            if all(one in keys for one in wanted):
                return [keys[one] for one in wanted]
        raise AssertionError("several destinations of one name, again and again")

    async def find(self, key: bytes) -> Destination | None:
        """See follow_link.LinkDirectory.find."""
        known = self._recall(key)
        if known is not None:
            return known
        async with self._transaction() as connection:
            return self._keep(await connection.fetch(_READ, [key])).get(key)

    async def _stored(
        self, tried: dict[Destination, bytes], now_us: int
    ) -> dict[bytes, Destination]:
        """Store what is not there; return who has each name now."""
        known = {key: one for key in tried.values() if (one := self._recall(key)) is not None}
        missing = {key: one for one, key in tried.items() if key not in known}
        if not missing:
            return known
        # In one order everywhere, so that replicas wait for one another and never deadlock.
        rows = sorted((key, *msgspec.structs.astuple(one)) for key, one in missing.items())
        async with self._transaction() as connection:
            columns = [list(column) for column in zip(*rows, strict=True)]
            await connection.execute(_REGISTER, *columns, now_us)
            read = await connection.fetch(_READ, list(missing))
        # Kept only now, after the commit.
        return known | self._keep(read)

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Any]:
        try:
            async with asyncio.timeout(self._timeout_s), self._database.transaction() as connection:
                yield connection
        except (TimeoutError, *_NOT_MADE_YET) as error:
            raise DatabaseUnavailable(type(error).__name__) from error

    def _recall(self, key: bytes) -> Destination | None:
        known = self._cached.get(key)
        if known is not None:
            self._cached.move_to_end(key)
        return known

    def _keep(self, rows: Sequence[Any]) -> dict[bytes, Destination]:
        read = {row[0]: Destination(*tuple(row)[1:]) for row in rows}
        self._cached.update(read)
        while len(self._cached) > self._cached_max:
            self._cached.popitem(last=False)
        return read
