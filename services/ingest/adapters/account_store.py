"""Accounts that were put by call, in PostgreSQL; secrets sealed."""

import json
from collections.abc import Iterable
from typing import Any, Final

import asyncpg
import msgspec

from libs.runtime.accounts import Limits
from libs.runtime.database import Database, DatabaseUnavailable
from libs.runtime.secret_box import Sealed
from services.ingest.account_ports import Decide, Place
from services.ingest.domain.stored_account import StoredAccount, StoredSecret

TOPIC: Final = "accounts"
# Taken first by whoever writes, so that changes come one after another.
BUMP = """
    INSERT INTO ingest.revisions (topic, revision) VALUES ($1, gen_random_uuid())
    ON CONFLICT (topic) DO UPDATE SET revision = excluded.revision
"""
READ_REVISION = "SELECT revision::text FROM ingest.revisions WHERE topic = $1"
_ACCOUNT_COLUMNS = """provider, account, tenant_id, options, words, requests_per_second,
    body_bytes_max, is_disabled, update_time_us"""
_READ_ACCOUNTS = f"""
    SELECT {_ACCOUNT_COLUMNS} FROM ingest.accounts
    WHERE $1::text IS NULL OR (provider, account) = ($1, $2::text)
    ORDER BY provider, account
"""  # noqa: S608 names are ours
_READ_SECRETS = """
    SELECT provider, account, name, key_id, sealed, seal_key_id, create_time_us, expire_time_us
    FROM ingest.account_secrets
    WHERE $1::text IS NULL OR (provider, account) = ($1, $2::text)
    ORDER BY provider, account, name, create_time_us, key_id
"""
_COUNT = "SELECT count(*) FROM ingest.accounts WHERE tenant_id = $1"
_WRITE_ACCOUNT = f"""
    INSERT INTO ingest.accounts ({_ACCOUNT_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    ON CONFLICT (provider, account) DO UPDATE SET
      options = excluded.options, words = excluded.words,
      requests_per_second = excluded.requests_per_second,
      body_bytes_max = excluded.body_bytes_max, is_disabled = excluded.is_disabled,
      update_time_us = excluded.update_time_us
"""  # noqa: S608 names are ours
_WRITE_SECRETS = """
    INSERT INTO ingest.account_secrets
      (provider, account, name, key_id, sealed, seal_key_id, create_time_us, expire_time_us)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""
_DELETE_SECRETS = "DELETE FROM ingest.account_secrets WHERE (provider, account) = ($1, $2)"
_DELETE_ACCOUNT = "DELETE FROM ingest.accounts WHERE (provider, account) = ($1, $2)"
_RESEAL = """
    UPDATE ingest.account_secrets SET sealed = $1, seal_key_id = $2
    WHERE (provider, account, name, key_id) = ($3, $4, $5, $6) AND sealed = $7
"""
# The schema is not there yet: whoever starts while it is made waits like for the server itself.
NOT_MADE_YET: Final = (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError)


class AccountRows:
    """See ``account_ports.AccountStore``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def revision(self) -> str:
        """Read one row."""

        async def work(connection: Any) -> str:
            return await connection.fetchval(READ_REVISION, TOPIC) or ""

        return str(await run(self._database, work))

    async def read(self) -> tuple[str, list[StoredAccount]]:
        """Read everything as of one moment."""

        async def work(connection: Any) -> tuple[str, list[StoredAccount]]:
            await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            revision = await connection.fetchval(READ_REVISION, TOPIC) or ""
            return revision, await _read(connection, None)

        found: tuple[str, list[StoredAccount]] = await run(self._database, work)
        return found

    async def change(self, place: Place, tenant_id: str, decide: Decide) -> None:
        """Lock, read, decide, write, in one transaction."""

        async def work(connection: Any) -> None:
            await connection.execute(BUMP, TOPIC)
            found = await _read(connection, place)
            count = await connection.fetchval(_COUNT, tenant_id)
            wanted = decide(found[0] if found else None, count)
            await connection.execute(_DELETE_SECRETS, *place)
            if wanted is None:
                await connection.execute(_DELETE_ACCOUNT, *place)
                return
            await connection.execute(_WRITE_ACCOUNT, *_account_row(wanted))
            await connection.executemany(_WRITE_SECRETS, _secret_rows(wanted))

        await run(self._database, work)

    async def reseal(self, sealed: Iterable[tuple[StoredAccount, StoredSecret, Sealed]]) -> None:
        """Write what nobody has changed meanwhile."""
        rows = [
            (new.sealed, new.seal_key_id, *account.place, old.name, old.key_id, old.sealed)
            for account, old, new in sealed
        ]

        async def work(connection: Any) -> None:
            await connection.executemany(_RESEAL, rows)

        await run(self._database, work)


async def run(database: Database, work: Any) -> Any:
    """Run ``work`` in a transaction; a schema that is not made yet is an outage."""
    try:
        return await database.run(work)
    except NOT_MADE_YET as error:
        raise DatabaseUnavailable(type(error).__name__) from error


async def _read(connection: Any, place: Place | None) -> list[StoredAccount]:
    of_place = place or (None, None)
    secrets: dict[Place, list[StoredSecret]] = {}
    for row in await connection.fetch(_READ_SECRETS, *of_place):
        secrets.setdefault((row[0], row[1]), []).append(
            StoredSecret(
                name=row[2],
                key_id=row[3],
                sealed=row[4],
                seal_key_id=row[5],
                create_time_us=row[6],
                expire_time_us=row[7],
            )
        )
    return [
        StoredAccount(
            provider=row[0],
            account=row[1],
            tenant_id=row[2],
            secrets=tuple(secrets.get((row[0], row[1]), ())),
            options=msgspec.json.decode(row[3], type=dict[str, str]),
            words=msgspec.json.decode(row[4], type=dict[str, str]),
            limits=Limits(requests_per_second=row[5], body_bytes_max=row[6]),
            is_disabled=row[7],
            update_time_us=row[8],
        )
        for row in await connection.fetch(_READ_ACCOUNTS, *of_place)
    ]


def _account_row(account: StoredAccount) -> tuple[Any, ...]:
    return (
        *account.place,
        account.tenant_id,
        json.dumps(account.options, sort_keys=True),
        json.dumps(account.words, sort_keys=True),
        account.limits.requests_per_second,
        account.limits.body_bytes_max,
        account.is_disabled,
        account.update_time_us,
    )


def _secret_rows(account: StoredAccount) -> list[tuple[Any, ...]]:
    return [
        (
            *account.place,
            secret.name,
            secret.key_id,
            secret.sealed,
            secret.seal_key_id,
            secret.create_time_us,
            secret.expire_time_us,
        )
        for secret in account.secrets
    ]
