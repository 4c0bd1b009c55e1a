"""What the use cases need of the world, and what they may rely on."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Protocol, TypeVar
from uuid import UUID

import msgspec
from bluetick.v1.event_pb2 import DoorReport

from services.status.domain.account_hours import Cell, Counts
from services.status.domain.attribution import Act, Move, Touched
from services.status.domain.facts import Fact
from services.status.domain.gather import ActPlace, Gathered, HistoryEntry, Key, Notice
from services.status.domain.message import Message, Record
from services.status.domain.unknown_words import UnknownWord

ResultT = TypeVar("ResultT")
# (tenant_id, ref_key, message_key that stands for it or empty, acts are parked for it)
Ref = tuple[str, bytes, bytes, bool]
FactPlace = tuple[str, bytes, str]
# (tenant_id, address_key, accept_time_us, message_key)
Send = tuple[str, bytes, int, bytes]


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

    async def lock_refs(self, keys: Iterable[Key]) -> dict[Key, tuple[bytes, bool]]:
        """Lock references that exist; return who stands for each and whether acts are parked."""

    async def update_refs(self, refs: Iterable[Ref]) -> None:
        """Overwrite references that are locked."""

    async def park_facts(self, facts: dict[FactPlace, Fact]) -> None:
        """Keep acts told by reference, repeats once."""

    async def read_parked_facts(self, refs: Iterable[Key]) -> dict[Key, list[Fact]]:
        """Return all acts told by these references."""

    async def add_facts(self, facts: dict[FactPlace, Fact]) -> set[FactPlace]:
        """Insert acts; return those that were never counted before, by anybody."""

    async def read_facts(self, messages: Iterable[Key]) -> dict[Key, list[Fact]]:
        """Return all acts of these messages, those told by an address included."""

    async def add_address_acts(self, acts: dict[ActPlace, Fact]) -> None:
        """Insert acts told by an address, on no message yet; repeats once."""

    async def move_sends(self, gone: Iterable[Send], come: Iterable[Send]) -> None:
        """Note which messages can be answered from which address."""

    async def lock_acts(self, touched: Touched) -> list[Act]:
        """Lock acts told by an address, in every way in which each was told."""

    async def last_sends(self, acts: Iterable[Act], window_us: int) -> dict[FactPlace, bytes]:
        """Return the message sent last to the address at or before each act, within the window.

        Sees what was committed until now: read it under the locks. By (tenant_id, address_key,
        fact_id).
        """

    async def move_acts(self, moves: Sequence[Move]) -> None:
        """Note on which message each act is counted from now on."""

    async def read_attributed(self, messages: Iterable[Key]) -> dict[Key, list[Fact]]:
        """Return the acts told by an address that are counted on these messages."""

    async def read_messages(self, keys: Sequence[Key]) -> dict[Key, tuple[int, Message]]:
        """Return version and content of the messages that exist. They are not locked."""

    async def write_messages(self, messages: dict[Key, tuple[int, Message]]) -> set[Key]:
        """Store messages with their next version; return the keys written.

        The others were moved by somebody else since they were read. They are locked now, so that
        reading and writing them again succeeds.
        """

    async def write_registrations(self, records: dict[Key, Record]) -> None:
        """Store the sender's records of messages written in this transaction."""

    async def append_history(self, history: dict[tuple[str, bytes, bytes], HistoryEntry]) -> None:
        """Keep what was told, repeats once."""

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

    async def run(self, work: Callable[[Store], Awaitable[ResultT]]) -> ResultT:
        """Run ``work``; after a deadlock it runs again, so it must change nothing else.

        Raises:
            StoreRefused: some content cannot be stored.
            DatabaseUnavailable: trying again later helps.
        """


class Outbox(Protocol):
    """Committed change batches on their way to the broker."""

    async def publish(self, entries: Sequence[OutboxEntry]) -> None:
        """Publish, then forget the entries.

        Raises:
            BrokerUnavailable: some may be published; the sweeper publishes all again.
        """

    async def sweep(self, created_before_us: int, limit: int) -> int:
        """Publish what was left behind; return how many entries that were.

        Entries that another replica sweeps at the same moment are passed over.
        """
