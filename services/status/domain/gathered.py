"""What a pulled batch says, sorted by message: the shapes that one step hands to the next."""

from hashlib import blake2b
from typing import Final

import msgspec
from bluetick.v1.event_pb2 import DoorReport, Event, Quarantined

from services.status.domain.acts import Act
from services.status.domain.message import Record
from services.status.domain.people import Join

# (tenant_id, 16 bytes): a message or a reference.
Key = tuple[str, bytes]
# (tenant_id, message_key or ref_key, act_id)
ActPlace = tuple[str, bytes, str]
# (tenant_id, address_key, act_id, fingerprint): one way in which an act was told by an address.
TellingPlace = tuple[str, bytes, str, bytes]
# An act, and where it came in; see ``domain.origins``.
AddressAct = tuple[Act, bytes]
# (kind, time, what history keeps, receive time, provider_message_id, message_ref, the event, the
# sender's record). The event has lost the fields that stand here beside it; None: it only goes into
# the history.
Telling = tuple[int, int, bytes, int, str, str, Event | None, Record | None]

FINGERPRINT_BYTES: Final = 16


class HistoryEntry(msgspec.Struct, frozen=True, gc=False):
    """One thing told about a message. Unique by (message, ``event``)."""

    kind: int
    occur_time_us: int
    receive_time_us: int
    event: bytes  # bluetick.v1.Event without identity and receive time


class Notice(msgspec.Struct, frozen=True, gc=False):
    """Something told about no message. Unique by (tenant, ``fingerprint``)."""

    provider: str
    account: str
    kind: int
    occur_time_us: int
    receive_time_us: int
    event: bytes


class Gathered(msgspec.Struct):
    """What a batch says, by message. Order and repeats do not matter to whoever uses it."""

    told: dict[Key, list[Telling]] = {}
    # Of each act the telling that stands among those in the batch.
    acts: dict[ActPlace, Act] = {}
    ref_acts: dict[ActPlace, Act] = {}
    # Reference -> messages whose records name it.
    claims: dict[Key, set[bytes]] = {}
    notices: dict[tuple[str, bytes], Notice] = {}
    # Messages under an id that may have several -> key of the id.
    batched: dict[Key, bytes] = {}
    # Names that are one person's.
    joins: set[Join] = set()
    # Acts that name no message.
    address_acts: dict[TellingPlace, AddressAct] = {}
    # (tenant_id, place, event, receive time): words of messages that have no meaning here.
    unknown: list[tuple[str, bytes, bytes, int]] = []
    # (tenant_id, quarantine_key) -> content, and the times at which it was received.
    quarantined: dict[Key, Quarantined] = {}
    receipts: set[tuple[str, bytes, int]] = set()
    # By tenant and report id.
    door_reports: dict[Key, DoorReport] = {}
    event_count: int = 0


def fingerprint(stored: bytes) -> bytes:
    """Return 16 bytes that tell one event from another."""
    return blake2b(stored, digest_size=FINGERPRINT_BYTES).digest()
