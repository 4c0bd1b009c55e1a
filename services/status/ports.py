"""What the use cases need of the world, and what they may rely on."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Protocol, TypeVar
from uuid import UUID

import msgspec
from bluetick.v1.event_pb2 import DoorReport

from services.status.domain.account_hours import Cell, Counts
from services.status.domain.acts import Act
from services.status.domain.attribution import Move, PlacedAct, Touched
from services.status.domain.changes import Change, Known
from services.status.domain.due import Due
from services.status.domain.gathered import (
    ActPlace,
    AddressAct,
    Gathered,
    Key,
    Notice,
    Telling,
    TellingPlace,
)
from services.status.domain.people import NamedPerson
from services.status.domain.recipients import Recipient
from services.status.domain.refs import Claims
from services.status.domain.unknown_words import UnknownWord

ResultT = TypeVar("ResultT")
# (tenant_id, ref_key, who claims it)
Ref = tuple[str, bytes, Claims]
# (message, the telling of an act that stood, the one that stands now); None: none.
Standing = tuple[Key, Act | None, Act | None]
# (tenant_id, address_key, accept_time_us, message_key, where it went out)
Send = tuple[str, bytes, int, bytes, bytes]


class OutboxEntry(msgspec.Struct, frozen=True, gc=False):
    """A change batch, committed and to be published. Its id stays the same however often."""

    tenant_id: str
    outbox_id: UUID
    subject: str
    payload: bytes
    oldest_event_time_us: int


class StoreRefused(Exception):
    """The store cannot hold some of the content; no retry can help. Nothing was stored."""


class Store(Protocol):
    """The message store inside one transaction. Every method takes a whole batch."""

    async def begin(self) -> None:
        """Prepare the transaction."""

    async def add_refs(self, refs: Sequence[Ref]) -> bool:
        """Insert references; return whether all were new.

        New or not, nobody else can insert them until the transaction ends.
        """

    async def lock_refs(self, keys: Iterable[Key]) -> dict[Key, Claims]:
        """Lock references that exist; return who claims each."""

    async def update_refs(self, refs: Iterable[Ref]) -> None:
        """Overwrite references that are locked."""

    async def park_acts(self, acts: Mapping[ActPlace, Act]) -> None:
        """Keep acts told by reference, each once: the telling that stands."""

    async def read_parked_acts(self, refs: Iterable[Key]) -> dict[Key, list[Act]]:
        """Return all acts told by these references."""

    async def add_acts(
        self, acts: Mapping[ActPlace, Act], ref_acts: Mapping[ActPlace, Act]
    ) -> list[Standing]:
        """Insert acts; return those of which another telling stands now than before."""

    async def take_acts(self, places: Iterable[ActPlace]) -> list[Standing]:
        """Take acts told by reference from messages that lose it."""

    async def read_acts(self, messages: Iterable[Key]) -> dict[Key, list[Act]]:
        """Return the acts that stand on these messages, those told by an address left out."""

    async def read_all_acts(self, messages: Iterable[Key]) -> dict[Key, list[Act]]:
        """Return the acts that stand on these messages, those told by an address included."""

    async def add_address_acts(self, acts: dict[TellingPlace, AddressAct]) -> None:
        """Insert acts told by an address, on no message yet; repeats once."""

    async def move_sends(self, gone: Iterable[Send], come: Iterable[Send]) -> None:
        """Note which messages can be answered from which address."""

    async def find_touched(self, touched: Touched) -> tuple[bool, set[Key]]:
        """Return whether ``lock_acts`` would find any, and the addresses of others than it says."""

    async def lock_acts(self, touched: Touched) -> list[PlacedAct]:
        """Lock acts told by a name of a person, in every way in which each was told."""

    async def last_sends(self, acts: Iterable[PlacedAct], window_us: int) -> dict[ActPlace, bytes]:
        """Return the message sent last to the person at or before each act, within the window.

        Sees what was committed until now: read it under the locks. By (tenant_id, address_key,
        act_id).
        """

    async def move_acts(self, moves: Sequence[Move]) -> None:
        """Note on which message each act is counted from now on."""

    async def read_attributed(self, messages: Iterable[Key]) -> dict[Key, list[Act]]:
        """Return the acts told by an address that are counted on these messages."""

    async def add_recorded(self, messages: Mapping[Key, bytes]) -> None:
        """Note messages with a record, each under the key of its id."""

    async def add_strays(self, messages: Mapping[Key, bytes]) -> None:
        """Note messages without a record; those that are known stay as they are."""

    async def find_mixed(self, batches: Iterable[Key]) -> set[Key]:
        """Return the ids under which something may belong to another message than it names."""

    async def lock_recipients(self, batches: Iterable[Key]) -> dict[Key, list[Recipient]]:
        """Lock the messages under these ids; those that appear meanwhile are others' to settle."""

    async def read_names(self, names: Iterable[Key]) -> dict[Key, NamedPerson]:
        """Return whose these names are; those that are joined with no other are left out."""

    async def read_people(self, names: Iterable[Key]) -> dict[Key, NamedPerson]:
        """Return all names of the people whose names these are."""

    async def lock_people(self, tenant_ids: Iterable[str]) -> None:
        """Let nobody else join names of these tenants until the transaction ends."""

    async def add_names(self, names: Mapping[Key, bytes]) -> None:
        """Insert names, each with its own key of a person, unsettled; those that are there stay."""

    async def rename_people(self, people: Sequence[tuple[str, bytes, bytes]]) -> None:
        """Call people (tenant_id, before, after) otherwise; their names are unsettled then."""

    async def settle_names(self, names: Mapping[Key, bytes]) -> None:
        """Note that names are settled, where their people are still called so."""

    async def messages_to(self, names: Iterable[Key]) -> list[Key]:
        """Return the recorded messages to these addresses."""

    async def read_messages(
        self, keys: Sequence[Key], *, is_locking: bool = False
    ) -> list[Known | None]:
        """Return the messages as stored, in the order of ``keys``, which are sorted."""

    async def write_messages(self, changes: Sequence[Change]) -> set[Key]:
        """Store messages with their next revision, in key order.

        Returns:
            The keys of those that were moved by somebody else since they were read.
        """

    async def held_messages(self, keys: Sequence[Key]) -> set[Key]:
        """Return which of these messages somebody else holds a lock on at this moment."""

    async def spill_history(self, spilled: Mapping[Key, Iterable[Telling]]) -> None:
        """Keep what was told of messages whose rows are full, repeats once."""

    async def add_due(self, kind: Due, keys: Mapping[int, Iterable[Key]]) -> None:
        """Note what the clock will do to messages, by the time (microseconds since 1970)."""

    async def add_notices(self, notices: dict[tuple[str, bytes], Notice]) -> None:
        """Keep what was told about no message, repeats once."""

    async def add_quarantined(self, gathered: Gathered) -> None:
        """Keep what could not be read, and each time at which it was received."""

    async def add_unknown_words(self, words: Sequence[UnknownWord]) -> None:
        """Keep words that have no meaning here, each event once."""

    async def add_door_reports(self, reports: dict[Key, DoorReport]) -> None:
        """Keep what went through the doors, each report once."""

    async def add_account_hours(self, hours: dict[Cell, Counts], shard: int) -> None:
        """Add to the cells of health. Locks them until the transaction ends."""

    async def add_outbox(self, entries: Sequence[OutboxEntry], now_us: int) -> None:
        """Keep change batches until they are published."""


class Transactions(Protocol):
    """Runs work in a transaction that commits when the work returns."""

    async def look(self, work: Callable[[Store], Awaitable[ResultT]]) -> ResultT:
        """Run ``work``, which only reads, outside of any transaction; raises what ``run`` does."""

    async def run(self, work: Callable[[Store], Awaitable[ResultT]]) -> ResultT:
        """Run ``work``; after a deadlock it runs again, so it must change nothing else.

        Raises:
            StoreRefused: some content cannot be stored.
            RowsLocked: others hold some of the rows.
            DatabaseUnavailable: trying again later helps.
        """


class Outbox(Protocol):
    """Committed change batches on their way to the broker."""

    @property
    def is_blocked(self) -> bool:
        """Whether the broker does not take changes; until it does, nothing more may be stored."""

    async def publish(self, entries: Sequence[OutboxEntry]) -> None:
        """Publish, then forget the entries.

        Raises:
            BrokerUnavailable: some may be published; the sweeper publishes all again.
        """

    async def sweep(self, created_before_us: int, limit: int) -> int:
        """Publish what was left behind; return how many entries that were.

        Entries that another replica sweeps at the same moment are passed over. What the broker can
        never take is set aside, and its neighbours go out.
        """

    async def measure(self) -> tuple[int, int | None, int]:
        """Return how many entries wait, when the oldest was made, and how many lie aside."""

    async def put_back(self) -> int:
        """Put what was set aside back, for ``sweep`` to try again; return how many entries."""
