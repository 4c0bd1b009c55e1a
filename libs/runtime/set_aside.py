"""The operator's quarantine: broker messages that belong to no tenant, or that nobody can handle.

They lie in a JetStream stream of their own, so that keeping one needs no table that may be the
very thing that is broken. They never come back by themselves and are never dropped: the stream has
no age limit, and refuses when it is full.
"""

from collections.abc import Sequence
from typing import Final

from libs.runtime.broker import SET_ASIDE_STREAM, SET_ASIDE_SUBJECT, Broker
from libs.runtime.delivery import Refused

# Headers of a message that was set aside; those that it had itself follow behind this prefix.
ORIGINAL: Final = "Bluetick-Original-"
SERVICE: Final = "Bluetick-Service"
STREAM: Final = "Bluetick-Stream"
SEQUENCE: Final = "Bluetick-Sequence"
SUBJECT: Final = "Bluetick-Subject"
STORED_US: Final = "Bluetick-Stored-Time-Us"
REASON: Final = "Bluetick-Reason"
DELIVERIES: Final = "Bluetick-Deliveries"

_REASON_CHARS_MAX: Final = 500


class SetAside:
    """Keeps what one consumer cannot handle."""

    def __init__(self, broker: Broker, *, service: str, stream: str) -> None:
        self._broker = broker
        self._service = service
        self._stream = stream

    async def keep(self, refused: Sequence[Refused]) -> None:
        """Return when all are on the broker's disk.

        Raises:
            BrokerUnavailable: some may be kept, some not; keeping them again keeps them once.
        """
        for one in refused:
            delivery = one.delivery
            headers = {ORIGINAL + name: value for name, value in delivery.headers.items()}
            headers |= {
                SERVICE: self._service,
                STREAM: self._stream,
                SEQUENCE: str(delivery.stream_seq),
                SUBJECT: delivery.subject,
                STORED_US: str(delivery.stored_time_us),
                DELIVERIES: str(delivery.delivery_count),
                REASON: _one_line(one.reason),
            }
            await self._broker.publish(
                f"{SET_ASIDE_SUBJECT}.{self._service}",
                delivery.data,
                msg_id=f"{self._service}:{self._stream}:{delivery.stream_seq}",
                stream=SET_ASIDE_STREAM,
                headers=headers,
            )


def _one_line(text: str) -> str:
    """Return ``text`` as a header can carry it."""
    plain = text.encode("ascii", "replace").decode()
    return " ".join(plain.split())[:_REASON_CHARS_MAX]
