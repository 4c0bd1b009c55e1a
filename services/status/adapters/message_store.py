"""The set-based half of the transaction: every method is one statement for a whole batch.

Tables are locked in one order (names, address acts, recipients, refs, acts, messages, the rest)
and rows by key, in every transaction, so that replicas wait for one another and never deadlock.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from services.status.adapters import address_sql, message_sql, people_sql, sql
from services.status.adapters.kept_store import columns_of, key_columns
from services.status.adapters.people_store import PeopleStore
from services.status.domain.acts import Act, stored_act
from services.status.domain.attribution import Move, PlacedAct, Touched
from services.status.domain.changes import Change, Known
from services.status.domain.gathered import ActPlace, AddressAct, Key, TellingPlace
from services.status.domain.packing import pack, pack_record, unpack
from services.status.domain.refs import Claims
from services.status.ports import Ref, Send, Standing

_KEY_BYTES = 16


class MessageStore(PeopleStore):
    """Statements inside one transaction; ``connection`` is a raw asyncpg connection in it."""

    def __init__(self, connection: Any, *, is_planned: bool = False) -> None:
        """Build it; ``is_planned``: the connection plans each statement once (``message_sql``)."""
        super().__init__(connection)
        self._is_planned = is_planned

    async def begin(self) -> None:
        """Prepare the transaction."""
        if not self._is_planned:
            await self._connection.execute(sql.FRESH_PLANS)

    # -- references --------------------------------------------------------------------------------

    async def add_refs(self, refs: Iterable[Ref]) -> bool:
        """Insert references; return if all were new.

        New or not, nobody else can insert them until the transaction ends.
        """
        rows = sorted(map(_ref_row, refs))
        # "INSERT 0 n": the number says enough, and costs less than rows.
        return _count(await self._connection.execute(sql.ADD_REFS, rows)) == len(rows)

    async def lock_refs(self, keys: Iterable[Key]) -> dict[Key, Claims]:
        """Lock references that exist; return who claims each."""
        ordered = sorted(keys, key=lambda key: (key[1], key[0]))
        rows = await self._connection.fetch(sql.LOCK_REFS, *columns_of(ordered))
        return {(row[0], row[1]): Claims(*row[2:]) for row in rows}

    async def update_refs(self, refs: Iterable[Ref]) -> None:
        """Overwrite references that are locked."""
        rows = sorted(map(_ref_row, refs))
        await self._connection.execute(sql.UPDATE_REFS, rows)

    # -- acts --------------------------------------------------------------------------------------

    async def park_acts(self, acts: Mapping[ActPlace, Act]) -> None:
        """Keep acts told by reference; of each the telling that stands."""
        rows = sorted((key, tenant, n, act.told) for (tenant, key, n), act in acts.items())
        await self._connection.execute(sql.PARK_ACTS, *columns_of(rows))

    async def read_parked_acts(self, refs: Iterable[Key]) -> dict[Key, list[Act]]:
        """Return all acts told by these references."""
        return _acts(await self._connection.fetch(sql.READ_PARKED_ACTS, *columns_of(refs)))

    async def add_acts(
        self, acts: Mapping[ActPlace, Act], ref_acts: Mapping[ActPlace, Act]
    ) -> list[Standing]:
        """Insert acts; return those of which another telling stands now than before."""
        rows = []
        for place in {*acts, *ref_acts}:
            tenant_id, key, act_id = place
            own, by_ref = acts.get(place), ref_acts.get(place)
            rows.append(
                (
                    *(key, tenant_id, act_id),
                    own.told if own is not None else None,
                    by_ref.told if by_ref is not None else None,
                )
            )
        rows.sort(key=lambda row: row[:3])
        found = await self._connection.fetch(sql.ADD_ACTS, *columns_of(rows))
        return [_standing(row) for row in found if row[3] != row[4]]

    async def take_acts(self, places: Iterable[ActPlace]) -> list[Standing]:
        """Take acts told by reference from messages that lose it; return what stood and stands."""
        rows = sorted((key, tenant_id, act_id) for tenant_id, key, act_id in places)
        found = await self._connection.fetch(sql.LOCK_REF_ACTS, *columns_of(rows))
        if found:
            await self._connection.execute(sql.TAKE_REF_ACTS, [row[5] for row in found])
        return [_standing(row) for row in found if row[3] != row[4]]

    async def read_acts(self, messages: Iterable[Key]) -> dict[Key, list[Act]]:
        """Return the acts that stand on these messages, those told by an address left out."""
        return _acts(await self._connection.fetch(sql.READ_ACTS, *key_columns(messages)))

    async def read_all_acts(self, messages: Iterable[Key]) -> dict[Key, list[Act]]:
        """Return the acts that stand on these messages, those told by an address included."""
        return _acts(await self._connection.fetch(sql.READ_ALL_ACTS, *key_columns(messages)))

    # -- acts told by an address -------------------------------------------------------------------

    async def add_address_acts(self, acts: dict[TellingPlace, AddressAct]) -> None:
        """Insert acts told by an address, on no message yet."""
        rows = [
            (key, tenant_id, act_id, mark, act.occur_time_us, act.told, None, came_in)
            for (tenant_id, key, act_id, mark), (act, came_in) in acts.items()
        ]
        rows.sort(key=lambda row: row[:4])
        await self._connection.execute(address_sql.ADD_ADDRESS_ACTS, *columns_of(rows))

    async def move_sends(self, gone: Iterable[Send], come: Iterable[Send]) -> None:
        """Delete and insert sends."""
        if rows := sorted((send[1], send[0], *send[2:]) for send in gone):
            await self._connection.execute(address_sql.REMOVE_ADDRESS_SENDS, rows)
        if rows := sorted((send[1], send[0], *send[2:]) for send in come):
            await self._connection.execute(address_sql.ADD_ADDRESS_SENDS, rows)

    async def find_touched(self, touched: Touched) -> tuple[bool, set[Key]]:
        """Return whether ``lock_acts`` would find any, and the addresses of others than it says."""
        has_acts, are_any_named = await self._connection.fetchrow(
            address_sql.FIND_TOUCHED,
            *key_columns(touched.addresses),
            *(touched.from_us, touched.to_us),
            *key_columns(touched.messages),
        )
        if not are_any_named or not touched.people:
            return has_acts, set()
        people = sorted(touched.people)
        rows = await self._connection.fetch(address_sql.FIND_STRANGERS, *columns_of(people))
        return has_acts, {people[row[0] - 1][:2] for row in rows}

    async def lock_acts(self, touched: Touched) -> list[PlacedAct]:
        """Lock acts, sorted by place; those that appear meanwhile are somebody else's to move."""
        messages = key_columns(touched.messages)
        who = await self._connection.fetch(
            people_sql.WHO_ACTED, *key_columns(touched.addresses), *messages
        )
        if not who:
            return []
        tenants, addresses, people = columns_of(who)
        rows = await self._connection.fetch(
            address_sql.LOCK_ADDRESS_ACTS,
            *(tenants, addresses, touched.from_us, touched.to_us, *messages, people),
        )
        return [
            PlacedAct(tuple(row[:4]), stored_act(row[2], row[4]), row[5] or b"", row[6], row[7])
            for row in rows
        ]

    async def last_sends(
        self, acts: Iterable[PlacedAct], window_us: int
    ) -> dict[tuple[str, bytes, str], bytes]:
        """Look the send before each act up."""
        rows = await self._connection.fetch(
            address_sql.LAST_SENDS,
            *columns_of((*act.place[:3], act.act.occur_time_us, act.origin) for act in acts),
            window_us,
        )
        return {(row[0], row[1], row[2]): row[3] for row in rows}

    async def move_acts(self, moves: Sequence[Move]) -> None:
        """Overwrite where acts that are locked are counted."""
        rows = ((*move.act.place, move.message_key or None) for move in moves)
        await self._connection.execute(address_sql.MOVE_ADDRESS_ACTS, *columns_of(rows))

    async def read_attributed(self, messages: Iterable[Key]) -> dict[Key, list[Act]]:
        """Return the acts told by an address that are counted on these messages."""
        rows = await self._connection.fetch(sql.READ_ATTRIBUTED_ACTS, *key_columns(messages))
        return _acts(rows)

    # -- messages ----------------------------------------------------------------------------------

    async def read_messages(
        self, keys: Sequence[Key], *, is_locking: bool = False
    ) -> list[Known | None]:
        """Return the messages as stored, in the order of ``keys``, which are sorted."""
        found: list[Known | None] = [None] * len(keys)
        if not keys:
            return found
        tenants, message_keys = zip(*keys, strict=True)
        joined = b"".join(message_keys)
        if is_locking:
            rows = await self._connection.fetch(message_sql.LOCK_MESSAGES, tenants, message_keys)
        elif len(set(tenants)) == 1 and len(joined) == _KEY_BYTES * len(keys):
            rows = await self._connection.fetch(message_sql.READ_MESSAGES_OF, tenants[0], joined)
        else:
            rows = await self._connection.fetch(message_sql.READ_MESSAGES, tenants, message_keys)
        for n, revision, version, state, stored, record, dimensions, image, history, at in rows:
            found[n - 1] = Known(
                revision, version, state, unpack(stored, record), dimensions, image, history, at
            )
        return found

    async def write_messages(self, changes: Sequence[Change]) -> set[Key]:
        """Insert or overwrite messages with their next revision; they come in key order.

        Returns:
            The keys of those that were moved by somebody else since they were read.
        """
        new, moved, recorded = [], [], []
        for change in changes:
            known, message = change.known, change.new
            tenant_id, key = change.key
            tail = (change.state, change.version, pack(message), change.image, change.history)
            if known is not None and change.dimensions is known.dimensions:
                moved.append((known.at, key, tenant_id, known.revision + 1, *tail))
                continue
            record = message.record
            told = (None, None) if record is None else (record.campaign_id, pack_record(record))
            middle = (*told, change.dimensions)
            if known is None:
                new.append((key, tenant_id, *middle, 1, *tail))
            else:
                recorded.append((known.at, key, tenant_id, *middle, known.revision + 1, *tail))
        written = 0
        for statement, rows in (
            (message_sql.ADVANCE_MESSAGES, moved),
            (message_sql.RECORD_MESSAGES, recorded),
            (message_sql.ADD_MESSAGES, new),
        ):
            if rows:
                written += _count(await self._connection.execute(statement, rows))
        if written == len(changes):
            return set()
        keys = [change.key for change in changes]
        found = await self._connection.fetch(message_sql.WRITTEN_MESSAGES, *columns_of(keys))
        return set(keys) - {keys[row[0] - 1] for row in found}

    async def held_messages(self, keys: Sequence[Key]) -> set[Key]:
        """Return which of these messages somebody else holds a lock on at this moment."""
        columns = columns_of(keys)
        stored = await self._connection.fetch(message_sql.STORED_MESSAGES, *columns)
        free = await self._connection.fetch(message_sql.FREE_MESSAGES, *columns)
        return {keys[row[0] - 1] for row in stored} - {keys[row[0] - 1] for row in free}


def _ref_row(ref: Ref) -> tuple[bytes, str, bytes, bytes, bool]:
    tenant_id, key, claims = ref
    return (key, tenant_id, claims.standing, claims.others, claims.has_acts)


def _count(done: str) -> int:
    """Return the number of rows of "UPDATE 3" or "INSERT 0 3"."""
    return int(done.rpartition(" ")[2])


def _standing(row: Any) -> Standing:
    tenant_id, key, act_id, before, after = row[:5]
    return (
        (tenant_id, key),
        stored_act(act_id, before) if before is not None else None,
        stored_act(act_id, after) if after is not None else None,
    )


def _acts(rows: Iterable[Any]) -> dict[Key, list[Act]]:
    found: dict[Key, list[Act]] = {}
    for tenant_id, key, act_id, told in rows:
        found.setdefault((tenant_id, key), []).append(stored_act(act_id, told))
    return found
