"""The part of the transaction about messages under one id."""

from collections.abc import Iterable, Mapping

from services.status.adapters import recipients_sql
from services.status.adapters.kept_store import KeptStore, columns_of, key_columns
from services.status.domain.gathered import Key
from services.status.domain.recipients import Recipient, Role


class RecipientsStore(KeptStore):
    """Statements inside one transaction; ``connection`` is a raw asyncpg connection in it."""

    async def add_recorded(self, messages: Mapping[Key, bytes]) -> None:
        """Note messages with a record, each under the key of its id."""
        await self._connection.execute(recipients_sql.ADD_RECORDED, *_rows(messages, Role.RECORDED))

    async def add_strays(self, messages: Mapping[Key, bytes]) -> None:
        """Note messages without a record; those that are known stay as they are."""
        await self._connection.execute(recipients_sql.ADD_STRAYS, *_rows(messages, Role.STRAY))

    async def find_mixed(self, batches: Iterable[Key]) -> set[Key]:
        """Return the ids under which something may belong to another message than it names."""
        rows = await self._connection.fetch(recipients_sql.FIND_MIXED, *key_columns(batches))
        return {(row[0], row[1]) for row in rows}

    async def lock_recipients(self, batches: Iterable[Key]) -> dict[Key, list[Recipient]]:
        """Lock the messages under these ids; those that appear meanwhile are others' to settle."""
        rows = await self._connection.fetch(recipients_sql.LOCK_RECIPIENTS, *key_columns(batches))
        found: dict[Key, list[Recipient]] = {}
        for tenant_id, batch_key, message_key, role in rows:
            found.setdefault((tenant_id, batch_key), []).append(Recipient(message_key, role))
        return found


def _rows(messages: Mapping[Key, bytes], role: Role) -> list[list[object]]:
    rows = sorted((batch, tenant, key, int(role)) for (tenant, key), batch in messages.items())
    return columns_of(rows)
