"""Webhook endpoints and their letters in PostgreSQL."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from libs.runtime.database import Database
from services.status.adapters import webhook_sql as sql
from services.status.adapters.kept_store import columns_of
from services.status.domain.watch_place import Place
from services.status.domain.webhooks import Endpoint, EndpointSecret, Letter
from services.status.webhook_ports import Decide, LeaseLost, Tally

_SECRETS: Final = msgspec.msgpack.Decoder(list[EndpointSecret])
_SECOND_US: Final = 1_000_000
_KEPT_MAX: Final = 100_000


class WebhookRows:
    """``webhook_ports.LetterStore`` and ``EndpointStore``."""

    def __init__(self, database: Database) -> None:
        """Build it."""
        self._database = database

    async def change(self, tenant_id: str, endpoint_id: str, decide: Decide) -> None:
        """Store what ``decide`` answers; calls of a tenant come one after another."""

        async def work(connection: Any) -> None:
            await connection.execute(sql.LOCK_TENANT, tenant_id)
            row = await connection.fetchrow(sql.LOCK_ONE, tenant_id, endpoint_id)
            count = await connection.fetchval(sql.COUNT, tenant_id)
            wanted = decide(_endpoint(row) if row is not None else None, count)
            if wanted is not None:
                await connection.execute(sql.PUT, *_row(wanted))
            else:
                await connection.execute(sql.DELETE, tenant_id, endpoint_id)
                await connection.execute(sql.DELETE_LETTERS_OF, tenant_id, endpoint_id)

        await self._database.run(work)

    async def read(self, tenant_id: str, after: str, limit: int) -> list[Endpoint]:
        """Read a page."""
        async with self._database.transaction() as connection:
            rows = await connection.fetch(sql.READ, tenant_id, after, limit)
        return [_endpoint(row) for row in rows]

    async def one(self, tenant_id: str, endpoint_id: str) -> Endpoint | None:
        """Read one."""
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(sql.READ_ONE, tenant_id, endpoint_id)
        return _endpoint(row) if row is not None else None

    async def dead(self, tenant_id: str, endpoint_id: str, after: str, limit: int) -> list[Letter]:
        """Read a page of dead letters."""
        async with self._database.transaction() as connection:
            rows = await connection.fetch(sql.DEAD, tenant_id, endpoint_id, after, limit)
        return [_letter(row) for row in rows]

    async def revive(
        self,
        tenant_id: str,
        endpoint_id: str,
        webhook_ids: Sequence[str],
        from_us: int,
        now_us: int,
    ) -> int:
        """Have dead letters wait again, and tell whoever holds the endpoint."""
        async with self._database.transaction() as connection:
            done = await connection.execute(
                sql.REVIVE, tenant_id, endpoint_id, list(webhook_ids), from_us, now_us
            )
            await connection.execute(sql.STIR, tenant_id, endpoint_id)
        return _count(done)

    async def lease(self, owner: str, lease_s: float, claims_max: int) -> list[Endpoint]:
        """Renew, claim, and read what is held."""
        lease_us = round(lease_s * _SECOND_US)
        async with self._database.transaction() as connection:
            await connection.execute(sql.RENEW, owner, lease_us, _KEPT_MAX)
            await connection.execute(sql.CLAIM, owner, lease_us, claims_max)
            rows = await connection.fetch(sql.HELD, owner)
        return [_endpoint(row) for row in rows]

    async def release(self, owner: str) -> None:
        """Leave all to others."""
        async with self._database.transaction() as connection:
            await connection.execute(sql.RELEASE, owner)

    async def advance(
        self,
        owner: str,
        endpoint: Endpoint,
        stream_id: int,
        place: Place,
        waiting: Sequence[Letter],
        tally: Tally,
    ) -> None:
        """Move on and keep what was not taken, in one transaction."""
        told = msgspec.structs.astuple(tally)
        async with self._database.transaction() as connection:
            await _held(
                connection, sql.ADVANCE, owner, endpoint, stream_id, place.seq, place.passed, *told
            )
            await _put_letters(connection, endpoint, waiting)

    async def settle(
        self,
        owner: str,
        endpoint: Endpoint,
        taken: Sequence[str],
        others: Sequence[Letter],
        tally: Tally,
    ) -> None:
        """Delete what was taken and keep the rest, in one transaction."""
        key = endpoint.tenant_id, endpoint.endpoint_id
        async with self._database.transaction() as connection:
            await _held(connection, sql.TELL, owner, endpoint, *msgspec.structs.astuple(tally))
            await connection.execute(sql.DELETE_LETTERS, *key, list(taken))
            await _put_letters(connection, endpoint, others)

    async def missed(self, owner: str, endpoint: Endpoint, now_us: int) -> None:
        """Note a gap."""
        async with self._database.transaction() as connection:
            await _held(connection, sql.MISSED, owner, endpoint, now_us)

    async def disable(self, owner: str, endpoint: Endpoint, reason: str) -> None:
        """Send no more."""
        async with self._database.transaction() as connection:
            await _held(connection, sql.DISABLE, owner, endpoint, reason)

    async def due(self, endpoint: Endpoint, now_us: int, limit: int) -> list[Letter]:
        """Read letters that are due."""
        key = endpoint.tenant_id, endpoint.endpoint_id
        async with self._database.transaction() as connection:
            rows = await connection.fetch(sql.DUE, *key, now_us, limit)
        return [_letter(row) for row in rows]

    async def count_waiting(self, endpoint: Endpoint) -> int:
        """Count what waits."""
        key = endpoint.tenant_id, endpoint.endpoint_id
        async with self._database.transaction() as connection:
            return int(await connection.fetchval(sql.COUNT_WAITING, *key))

    async def hurry(self, endpoint: Endpoint, now_us: int) -> None:
        """Make all that wait due."""
        key = endpoint.tenant_id, endpoint.endpoint_id
        async with self._database.transaction() as connection:
            await connection.execute(sql.HURRY, *key, now_us)

    async def forget_dead(self, before_us: int) -> int:
        """Delete some old dead letters."""
        async with self._database.transaction() as connection:
            return _count(await connection.execute(sql.FORGET_DEAD, before_us))


async def _held(
    connection: Any, statement: str, owner: str, endpoint: Endpoint, *more: Any
) -> None:
    key = endpoint.tenant_id, endpoint.endpoint_id
    if not await connection.fetchval(statement, *key, owner, endpoint.revision, *more):
        raise LeaseLost(endpoint.endpoint_id)


async def _put_letters(connection: Any, endpoint: Endpoint, letters: Sequence[Letter]) -> None:
    # A change that a batch holds twice is one letter.
    unique = {letter.webhook_id: letter for letter in letters}
    if unique:
        columns = columns_of(msgspec.structs.astuple(one) for _, one in sorted(unique.items()))
        key = endpoint.tenant_id, endpoint.endpoint_id
        await connection.execute(sql.PUT_LETTERS, *key, *columns)


def _count(done: str) -> int:
    """Return the rows that a command's answer names ("UPDATE 3")."""
    return int(done.rpartition(" ")[2])


def _letter(row: Any) -> Letter:
    return Letter(**dict(row.items()))


def _endpoint(row: Any) -> Endpoint:
    fields = dict(row.items())
    place = Place(fields.pop("seq"), fields.pop("passed"))
    fields["secrets"] = _SECRETS.decode(fields["secrets"])
    return Endpoint(place=place, **fields)


def _row(endpoint: Endpoint) -> tuple[Any, ...]:
    """Return the columns of ``webhook_sql.PUT``."""
    fields = msgspec.structs.asdict(endpoint)
    fields["secrets"] = msgspec.msgpack.encode(endpoint.secrets)
    fields |= {"seq": endpoint.place.seq, "passed": endpoint.place.passed}
    return tuple(fields[name] for name in sql.STORED)
