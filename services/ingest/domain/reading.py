"""What one callback became: events and what could not be read, ready for the broker."""

from bluetick.v1.event_pb2 import Event, EventBatch
from google.protobuf.message import Message

from libs.runtime.keys import content_key, message_key
from services.ingest.domain.packed_events import PackedEvents
from services.ingest.domain.times import is_believable

DETAIL_CHARACTERS_MAX = 1_000


class Reading:
    """Collects the events of one callback straight into an ``EventBatch``.

    Events are generated messages and not objects of our own, because they are built and
    serialized once, a hundred thousand times a second.
    """

    __slots__ = (
        "_account",
        "_add",
        "_provider",
        "_tenant_id",
        "answer_body",
        "batch",
        "packed",
        "receive_time_us",
    )

    def __init__(
        self, *, tenant_id: str, provider: str, account: str, receive_time_us: int
    ) -> None:
        """Begin empty; the arguments are the same for all events of one callback."""
        self.batch = EventBatch()
        # What the provider hears, where the account says it; None: what it always hears.
        self.answer_body: bytes | None = None
        # Plain events that are bytes already, where whoever reads asked for that.
        self.packed: PackedEvents | None = None
        self._add = self.batch.events.add
        self._tenant_id = tenant_id
        self._provider = provider
        self._account = account
        self.receive_time_us = receive_time_us

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
    def event_count(self) -> int:
        """Events of both kinds."""
        return len(self.batch.events) + (self.packed.count if self.packed is not None else 0)

    def add(self, kind: int, time_us: int | None) -> Event:
        """Add an event of ``kind`` and return it for the rest of its fields.

        A time that is missing or beyond belief is replaced by the time of receipt, and marked.
        """
        event = self._add()
        event.kind = kind  # type: ignore[assignment]
        event.tenant_id = self._tenant_id
        event.provider = self._provider
        event.account = self._account
        received_us = self.receive_time_us
        event.receive_time_us = received_us
        if time_us is not None and is_believable(time_us, received_us):
            event.occur_time_us = time_us
        else:
            event.occur_time_us = received_us
            event.is_time_clamped = True
        return event

    def add_of_message(self, kind: int, time_us: int | None, provider_message_id: str) -> Event:
        """Add an event of the message that the provider calls ``provider_message_id``."""
        event = self.add(kind, time_us)
        self.name_message(event, provider_message_id)
        return event

    def name_message(self, event: Event, provider_message_id: str) -> None:
        """Say that ``event`` is of the message that the provider calls ``provider_message_id``."""
        event.provider_message_id = provider_message_id
        event.message_key = message_key(self._tenant_id, self._provider, provider_message_id)

    def add_beside(self, event: Event) -> Event:
        """Add another event of the same moment, message and person, and return it.

        What only ``event`` says (failure, price, act, raw form) is left out.
        """
        another = self._add()
        another.CopyFrom(event)
        for name in ("provider_code", "reason", "detail", "pricing", "engagement", "raw"):
            another.ClearField(name)
        return another

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
