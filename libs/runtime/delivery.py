"""One broker message as a consumer hands it out, and what the handler may say of it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from nats.aio.msg import Msg


@dataclass(frozen=True, slots=True)
class Delivery:
    """One broker message."""

    data: bytes
    subject: str
    stream_seq: int
    stored_time_us: int  # when the broker stored it, microseconds since 1970
    delivery_count: int  # 1 the first time
    reply: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refused:
    """A message whose content is wrong, found by the handler that did all the others."""

    delivery: Delivery
    # A word without any of the content, e.g. "NOT_A_BATCH".
    reason: str


# Returns when the work of all is committed; what it returns is kept for the operator, and only then
# are all acknowledged. Raises: nothing of the batch was done, see verdicts.py for what follows.
Handle = Callable[[list[Delivery]], Awaitable[Sequence[Refused] | None]]


def delivery_of(message: Msg) -> Delivery:
    """Return what the client library's message says."""
    # "$JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<nanoseconds>.<pending>",
    # with two tokens more in front (domain, account) in the newer form.
    parts = message.reply.split(".")
    at = 4 if len(parts) == 9 else 6
    return Delivery(
        data=message.data,
        subject=message.subject,
        stream_seq=int(parts[at + 1]),
        stored_time_us=int(parts[at + 3]) // 1_000,
        delivery_count=int(parts[at]),
        reply=message.reply,
        headers=message.headers or {},
    )
