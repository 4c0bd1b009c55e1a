"""API keys that were issued by call, in PostgreSQL; only their hashes."""

from typing import Any, Final

from libs.runtime.database import Database
from services.ingest.account_ports import StoredKey
from services.ingest.adapters.account_store import BUMP, READ_REVISION, run

TOPIC: Final = "api_keys"
_COLUMNS = "key_id, tenant_id, sha256, role, title, create_time_us, expire_time_us"
_ADD = f"""
    INSERT INTO ingest.api_keys ({_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7)
"""  # noqa: S608 names are ours
_COUNT = "SELECT count(*) FROM ingest.api_keys WHERE tenant_id = $1"
_READ_PAGE = f"""
    SELECT {_COLUMNS} FROM ingest.api_keys
    WHERE tenant_id = $1 AND ($2::bigint IS NULL OR (create_time_us, key_id) > ($2, $3::text))
    ORDER BY create_time_us, key_id
    LIMIT $4
"""  # noqa: S608 names are ours
_READ_ALL = f"SELECT {_COLUMNS} FROM ingest.api_keys"  # noqa: S608 names are ours
_DELETE = "DELETE FROM ingest.api_keys WHERE tenant_id = $1 AND key_id = $2 RETURNING 1"
_FIELDS = StoredKey.__struct_fields__


class KeyRows:
    """See ``account_ports.KeyStore``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, key: StoredKey, keys_max: int) -> bool:
        """Insert a row, unless there are too many."""

        async def work(connection: Any) -> bool:
            await connection.execute(BUMP, TOPIC)
            if await connection.fetchval(_COUNT, key.tenant_id) >= keys_max:
                return False
            await connection.execute(_ADD, *(getattr(key, name) for name in _FIELDS))
            return True

        return bool(await run(self._database, work))

    async def of_tenant(
        self, tenant_id: str, after: tuple[int, str] | None, limit: int
    ) -> list[StoredKey]:
        """Read a page."""

        async def work(connection: Any) -> list[StoredKey]:
            rows = await connection.fetch(_READ_PAGE, tenant_id, *(after or (None, None)), limit)
            return [_key(row) for row in rows]

        found: list[StoredKey] = await run(self._database, work)
        return found

    async def revoke(self, tenant_id: str, key_id: str) -> bool:
        """Delete a row."""

        async def work(connection: Any) -> bool:
            await connection.execute(BUMP, TOPIC)
            return await connection.fetchval(_DELETE, tenant_id, key_id) is not None

        return bool(await run(self._database, work))

    async def issued(self, known_revision: str) -> tuple[str, list[StoredKey] | None]:
        """Read one row, and all keys only if it is another than before."""

        async def work(connection: Any) -> tuple[str, list[StoredKey] | None]:
            await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            # A word, also where no key was ever issued: the caller then knows that it has all.
            revision = await connection.fetchval(READ_REVISION, TOPIC) or "none"
            if revision == known_revision:
                return revision, None
            return revision, [_key(row) for row in await connection.fetch(_READ_ALL)]

        found: tuple[str, list[StoredKey] | None] = await run(self._database, work)
        return found


def _key(row: Any) -> StoredKey:
    return StoredKey(**dict(zip(_FIELDS, row, strict=True)))
