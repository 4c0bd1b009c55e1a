"""The short way of a plain callback: no scope, no task, no event, one answer from the broker's.

Who takes it and who does not is decided in `door_protocol.py`; what is answered, in
`callback_desk.py`, for both ways.
"""

import time
from collections.abc import Mapping
from functools import partial
from typing import Protocol

from bluetick.v1.event_pb2 import EventBatch

from libs.runtime.broker import BrokerUnavailable
from services.ingest.adapters.callback_desk import CallbackDesk
from services.ingest.adapters.door_replies import Reply
from services.ingest.adapters.doorways import Doorway
from services.ingest.adapters.shared_message import Done
from services.ingest.domain.fair_share import Party
from services.ingest.domain.packed_events import PackedEvents
from services.ingest.domain.reading import Reading
from services.ingest.record_callback import note_stored, read_callback

# Longer bodies gain nothing here, and are better taken in with the sender held back.
BODY_BYTES_MAX = 256 * 1024
URL_BYTES_MAX = 4_096


class SoonSink(Protocol):
    """Where events go without anybody waiting."""

    def submit_soon(
        self, batch: EventBatch | None, done: Done, packed: PackedEvents | None = None
    ) -> None:
        """Call ``done`` once, when all of both is on the broker's disk or may not be."""


class Sender(Protocol):
    """Whoever sent a callback and is to be answered."""

    def answer(self, said: Reply, doorway: Doorway) -> None:
        """Answer; called once for each callback, also when the sender has left meanwhile."""

    @property
    def has_left(self) -> bool:
        """Whether nobody is there to be answered."""


class ShortWay:
    """Takes callbacks whose bytes are all here."""

    def __init__(self, desk: CallbackDesk, events: SoonSink) -> None:
        """Answer as ``desk`` says, and store in ``events``."""
        self.desk = desk
        self._events = events
        self._turns = desk.turns
        self._doorways: dict[bytes, Doorway] = {}
        self._serve()
        desk.follow(self._serve)
        self.body_bytes_max = min(BODY_BYTES_MAX, desk.limits.body.body_bytes_max)

    def _serve(self) -> None:
        self._doorways = {
            path.encode(): doorway
            for path, doorway in self.desk.doorways.items()
            if doorway.asking is None and "POST" in doorway.provider.methods
        }

    def doorway(self, url: bytes) -> Doorway | None:
        """Return whose address the target of a POST is; None if it must take the long way."""
        found = self._doorways.get(url)
        if found is not None or len(url) > URL_BYTES_MAX or b"#" in url:
            return found
        # What is escaped is none of our addresses as it stands.
        return self._doorways.get(url.partition(b"?")[0])

    def take(
        self,
        doorway: Doorway,
        url: bytes,
        headers: Mapping[bytes, bytes],
        body: bytes,
        sender: Sender,
        party: Party,
    ) -> None:
        """Prove, read and store a callback, now or in a later turn.

        Its sender is answered now or when it is stored.
        """
        taken = _Taken(self.desk, doorway, len(body), sender, party)
        if (refusal := self.desk.over_limit(doorway, len(body))) is not None:
            taken.end(refusal)
            return
        if self._turns.is_over:
            work = partial(self._work_later, doorway, url, headers, body, taken)
            self._turns.later(party, work)
        else:
            self._work(doorway, url, headers, body, taken)

    def _work_later(
        self,
        doorway: Doorway,
        url: bytes,
        headers: Mapping[bytes, bytes],
        body: bytes,
        taken: "_Taken",
        is_in_time: bool,
    ) -> None:
        if is_in_time and not taken.is_left:
            self._work(doorway, url, headers, body, taken)
        else:
            taken.end(self.desk.postponed(doorway, "turn"))

    def _work(
        self,
        doorway: Doorway,
        url: bytes,
        headers: Mapping[bytes, bytes],
        body: bytes,
        taken: "_Taken",
    ) -> None:
        began = time.perf_counter()
        try:
            query = url.partition(b"?")[2].decode("latin-1") if b"?" in url else ""
            callback = self.desk.callback(doorway, "POST", query, headers, body)
            outcome = read_callback(callback, doorway.account, doorway.provider, doorway.parse)
            if not isinstance(outcome, Reading):
                taken.end(self.desk.reply(doorway, outcome))
                return
            taken.reading = outcome
            if outcome.is_empty:
                # Nothing can be lost, so nobody has to wait for a broker that is away.
                taken.settled(None)
                return
            batch = None if outcome.is_all_packed else outcome.batch
            self._events.submit_soon(batch, taken.settled, outcome.packed)
        except Exception as error:
            taken.end(self.desk.crashed(doorway, error))
        finally:
            self._turns.spent(taken.party, began)


class _Taken:
    """A callback that is worked on."""

    __slots__ = ("_began", "_body_bytes", "_desk", "_doorway", "_sender", "party", "reading")

    reading: Reading

    def __init__(
        self, desk: CallbackDesk, doorway: Doorway, body_bytes: int, sender: Sender, party: Party
    ) -> None:
        self._began = time.perf_counter()
        self._desk = desk
        self._doorway = doorway
        self._body_bytes = body_bytes
        self._sender: Sender | None = sender
        self.party = party
        desk.begin(party)

    @property
    def is_left(self) -> bool:
        """Whether nobody is there to be answered."""
        return self._sender is None or self._sender.has_left

    def settled(self, error: BrokerUnavailable | None) -> None:
        """Let the sender hear whether it is stored."""
        desk, doorway = self._desk, self._doorway
        if error is not None:
            self.end(desk.postponed(doorway, "broker"))
            return
        try:
            answer = note_stored(self.reading, doorway.account, doorway.provider, desk.doors)
            said = desk.reply(doorway, answer)
        except Exception as failure:
            said = desk.crashed(doorway, failure)
        self.end(said)

    def end(self, said: Reply) -> None:
        """Answer, count, and hold nothing any more; once."""
        sender, self._sender = self._sender, None
        if sender is None:
            return
        desk = self._desk
        desk.end(self.party, self._body_bytes)
        desk.count(self._doorway, said.http_status, self._body_bytes, self._began)
        sender.answer(said, self._doorway)
