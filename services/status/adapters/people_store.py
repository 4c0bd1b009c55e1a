"""The part of the transaction about the names of people."""

from collections.abc import Iterable, Mapping, Sequence

from services.status.adapters import people_sql
from services.status.adapters.kept_store import columns_of, key_columns
from services.status.adapters.recipients_store import RecipientsStore
from services.status.domain.gathered import Key
from services.status.domain.people import NamedPerson


class PeopleStore(RecipientsStore):
    """Statements inside one transaction; ``connection`` is a raw asyncpg connection in it."""

    async def read_names(self, names: Iterable[Key]) -> dict[Key, NamedPerson]:
        """Return whose these names are; those that are joined with no other are left out."""
        rows = await self._connection.fetch(people_sql.READ_NAMES, *key_columns(names))
        return {(row[0], row[1]): NamedPerson(row[2], row[3]) for row in rows}

    async def read_people(self, names: Iterable[Key]) -> dict[Key, NamedPerson]:
        """Return all names of the people whose names these are."""
        rows = await self._connection.fetch(people_sql.READ_PEOPLE, *key_columns(names))
        return {(row[0], row[1]): NamedPerson(row[2], row[3]) for row in rows}

    async def lock_people(self, tenant_ids: Iterable[str]) -> None:
        """Let nobody else join names of these tenants until the transaction ends."""
        wanted = sorted(tenant_ids)
        await self._connection.execute(people_sql.ADD_JOINED_TENANTS, wanted)
        await self._connection.fetch(people_sql.LOCK_JOINED_TENANTS, wanted)

    async def add_names(self, names: Mapping[Key, bytes]) -> None:
        """Insert names, each with its own key of a person, unsettled; those that are there stay."""
        rows = sorted((key, tenant_id, own, False) for (tenant_id, key), own in names.items())
        await self._connection.execute(people_sql.ADD_NAMES, *columns_of(rows))

    async def rename_people(self, people: Sequence[tuple[str, bytes, bytes]]) -> None:
        """Call people by another key; from then on their names are unsettled."""
        await self._connection.execute(people_sql.RENAME_PEOPLE, *columns_of(people))

    async def settle_names(self, names: Mapping[Key, bytes]) -> None:
        """Note that names are settled, where their people are still called so."""
        rows = [(*name, person) for name, person in sorted(names.items())]
        await self._connection.execute(people_sql.SETTLE_NAMES, *columns_of(rows))

    async def messages_to(self, names: Iterable[Key]) -> list[Key]:
        """Return the recorded messages to these addresses."""
        rows = await self._connection.fetch(people_sql.MESSAGES_TO, *key_columns(names))
        return [(row[0], row[1]) for row in rows]
