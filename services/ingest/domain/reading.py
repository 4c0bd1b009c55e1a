"""What one callback became: events and what could not be read, ready for the broker."""

from collections.abc import Mapping

from bluetick.v1.common_pb2 import CHANNEL_EMAIL, CHANNEL_UNSPECIFIED
from bluetick.v1.event_pb2 import Event, EventBatch
from google.protobuf.message import Message

from libs.runtime.keys import content_key, message_key
from libs.runtime.message_ids import names_of
from services.ingest.domain.packed_events import PackedEvents
from services.ingest.domain.times import AHEAD_S_MAX, SECOND_US, is_believable

DETAIL_CHARACTERS_MAX = 1_000
# Ids of WhatsApp have one spelling everywhere and need no looking at: nearly all traffic.
_EXACT = frozenset({"dialog360", "meta"})
_MAY_BE_MAIL = frozenset({CHANNEL_EMAIL, CHANNEL_UNSPECIFIED})
_NO_OPTIONS: Mapping[str, str] = {}


class Reading:
    """Collects the events of one callback straight into an ``EventBatch``.

    Events are generated messages and not objects of our own, because they are built and
    serialized once, a hundred thousand times a second.
    """

    __slots__ = (
        "_account",
        "_ahead_us_max",
        "_batch",
        "_is_exact",
        "_provider",
        "_tenant_id",
        "answer_body",
        "options",
        "packed",
        "receive_time_us",
    )

    def __init__(
        self,
        *,
        tenant_id: str,
        provider: str,
        account: str,
        receive_time_us: int,
        options: Mapping[str, str] = _NO_OPTIONS,
        ahead_s_max: int = AHEAD_S_MAX,
    ) -> None:
        """Begin empty; the arguments are the same for all events of one callback."""
        self._batch: EventBatch | None = None
        # What the provider hears, where the account says it; None: what it always hears.
        self.answer_body: bytes | None = None
        # Plain events that are bytes already, where whoever reads asked for that.
        self.packed: PackedEvents | None = None
        # Of the account.
        self.options = options
        self._tenant_id = tenant_id
        self._provider = provider
        self._account = account
        self.receive_time_us = receive_time_us
        self._ahead_us_max = ahead_s_max * SECOND_US
        self._is_exact = provider in _EXACT

    @property
    def batch(self) -> EventBatch:
        """What is no bytes yet; made when first asked for: many a reading needs none."""
        batch = self._batch
        if batch is None:
            batch = self._batch = EventBatch()
        return batch

    @property
    def is_all_packed(self) -> bool:
        """Whether all there is are packed events, as in nearly every callback of Meta's."""
        return self._batch is None and self.packed is not None

    def pack(self) -> PackedEvents:
        """Begin to keep plain events as bytes."""
        self.packed = PackedEvents(
            tenant_id=self._tenant_id,
            provider=self._provider,
            account=self._account,
            receive_time_us=self.receive_time_us,
        )
        return self.packed

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to store: the body held an empty list, and nothing odd."""
        batch = self._batch
        if batch is not None and (batch.events or batch.quarantined):
            return False
        return self.packed is None or not self.packed.count

    @property
    def event_count(self) -> int:
        """Events of both kinds."""
        packed_count = self.packed.count if self.packed is not None else 0
        return packed_count if self._batch is None else packed_count + len(self._batch.events)

    def add(self, kind: int, time_us: int | None) -> Event:
        """Add an event of ``kind`` and return it for the rest of its fields.

        A time that is missing or beyond belief is replaced by the time of receipt, and marked.
        """
        event = self.batch.events.add()
        event.kind = kind  # type: ignore[assignment]
        event.tenant_id = self._tenant_id
        event.provider = self._provider
        event.account = self._account
        received_us = self.receive_time_us
        event.receive_time_us = received_us
        if time_us is not None and is_believable(time_us, received_us, self._ahead_us_max):
            event.occur_time_us = time_us
        else:
            event.occur_time_us = received_us
            event.is_time_clamped = True
            event.is_time_untold = time_us is None
        return event

    def add_untimed(self, kind: int) -> Event:
        """Add an event of a report that never tells a time; that is marked, and no fault."""
        event = self.add(kind, self.receive_time_us)
        event.is_time_untold = True
        return event

    def add_of_message(self, kind: int, time_us: int | None, provider_message_id: str) -> Event:
        """Add an event of the message that the provider calls ``provider_message_id``."""
        event = self.add(kind, time_us)
        self.name_message(event, provider_message_id)
        return event

    def name_message(self, event: Event, provider_message_id: str, recipient: str = "") -> None:
        """Say that ``event`` is of the message that the provider calls ``provider_message_id``.

        Args:
            event: one of this reading's.
            provider_message_id: as it was told; "id/recipient" where it is one of several.
            recipient: mailbox, where the message is an email.
        """
        if self._is_exact and "/" not in provider_message_id:
            event.provider_message_id = provider_message_id
            event.message_key = message_key(self._tenant_id, self._provider, provider_message_id)
            return
        event.provider_message_id, event.message_key, event.batch_key = names_of(
            self._tenant_id,
            self._provider,
            self._account,
            provider_message_id,
            recipient,
            id_format=self.options.get("id_format", "auto"),
        )

    def name_mail(self) -> None:
        """Name what may be mail by its recipient too: of a provider that sends other things, too.

        Where no recipient is told, the id alone leads to the one message that was sent under it.
        """
        for event in self.batch.events:
            if not event.provider_message_id or event.batch_key:
                continue
            address = event.address
            if "@" in address:
                self.name_message(event, event.provider_message_id, address)
            elif not address and event.channel in _MAY_BE_MAIL:
                event.batch_key = event.message_key

    def add_beside(self, event: Event) -> Event:
        """Add another event of the same moment, message and person, and return it.

        What only ``event`` says (failure, price, act, raw form) is left out.
        """
        another = self.batch.events.add()
        another.CopyFrom(event)
        for name in ("provider_code", "reason", "topic", "detail", "pricing", "engagement", "raw"):
            another.ClearField(name)
        return another

    def prove(self, proof: int) -> None:
        """Note in all that was read what proved the callback."""
        if self.packed is not None:
            self.packed.prove(proof)
        if proof and self._batch is not None:
            for event in self.batch.events:
                event.proof = proof  # type: ignore[assignment]
            for part in self.batch.quarantined:
                part.proof = proof  # type: ignore[assignment]

    def has_nul(self) -> bool:
        """Say whether any text of the events holds NUL, which the database cannot."""
        return any(holds_nul(event) for event in self.batch.events)

    def quarantine(self, reason: str, detail: str, body: bytes, *, is_part: bool) -> None:
        """Keep ``body`` with the reason why it cannot be read; ``detail`` holds no value of it."""
        self.batch.quarantined.add(
            quarantine_key=content_key(
                self._tenant_id.encode(), self._provider.encode(), self._account.encode(), body
            ),
            tenant_id=self._tenant_id,
            provider=self._provider,
            account=self._account,
            reason=reason,
            detail=detail[:DETAIL_CHARACTERS_MAX],
            body=body,
            is_part=is_part,
            receive_time_us=self.receive_time_us,
        )

    def forget_after(self, event_count: int) -> None:
        """Take back the events beyond the first ``event_count``."""
        del self.batch.events[event_count:]


def holds_nul(message: Message) -> bool:
    """Say whether any text of ``message`` holds NUL, which the database cannot."""
    for field, value in message.ListFields():
        if isinstance(value, str):
            if "\x00" in value:
                return True
        elif field.type == field.TYPE_MESSAGE and holds_nul(value):
            return True
    return False
