"""The order of states, one a channel, as data: what proves a state, and which proof is stronger.

The same rule is written as code in ``message.state_of`` and as tables in docs/states.md. A test
compares all three over every combination of proofs. An order ranks proofs, and a message has the
state of its strongest one: a maximum, so no order of telling can matter. The channel, too, may be
told last.
"""

from typing import Final, TypeAlias

from bluetick.v1.common_pb2 import (
    CHANNEL_EMAIL,
    MESSAGE_STATE_DELIVERED,
    MESSAGE_STATE_READ,
    MESSAGE_STATE_SENT,
    MESSAGE_STATE_UNDELIVERED,
    MessageState,
)

from services.status.domain.message import FIELDS

State: TypeAlias = MessageState.ValueType


def with_id(name: str) -> str:
    """Return how a proof is named that holds only where a provider's id proves the hand-over."""
    return f"{name} with provider_message_id"


def _proofs() -> tuple[tuple[State, tuple[str, ...]], ...]:
    proofs: dict[State, tuple[str, ...]] = {}
    for name, row in FIELDS.items():
        for state, proof in ((row.proves, name), (row.proves_with_id, with_id(name))):
            if state:
                proofs[state] = (*proofs.get(state, ()), proof)
    return tuple(sorted(proofs.items(), reverse=True))


# (state, names of the times that prove it), from the strongest evidence to the weakest. A message
# has the first state that any of its times proves, else UNSPECIFIED. A drop is a proof of two
# states: with a provider's id the message was handed over after all, and the drop is a failure
# after the hand-over.
PROOFS: Final = _proofs()


# On top of that, for mail: its server's word that it took the message is no proof that the message
# stays there. A bounce for good outranks it, and only what people did outranks the bounce.
_EMAIL_PROOFS: Final = (
    (MESSAGE_STATE_READ, ("human_read_time_us",)),
    (
        MESSAGE_STATE_READ,
        tuple(
            f"{name} with read_time_us" for name in ("evidence_time_us", "attributed_proof_time_us")
        ),
    ),
    (MESSAGE_STATE_DELIVERED, ("evidence_time_us", "attributed_proof_time_us")),
    (MESSAGE_STATE_UNDELIVERED, (with_id("drop_time_us"), "bounce_time_us")),
    *PROOFS,
)
# By channel; of one that is not named here, and of none: under 0.
ORDERS: Final = {0: PROOFS, CHANNEL_EMAIL: _EMAIL_PROOFS}
# Of a message that its provider reports in parts, on every channel but email: what people did
# proves the whole, a lost part takes it, and it arrived when nothing is awaited any more.
ORDER_OF_PARTS: Final = (
    (MESSAGE_STATE_READ, ("read_time_us",)),
    (MESSAGE_STATE_DELIVERED, ("attributed_proof_time_us", "proof_time_us")),
    (
        MESSAGE_STATE_UNDELIVERED,
        ("bounce_time_us", "part_loss_time_us", "undeliver_time_us with is_part_awaited"),
    ),
    (MESSAGE_STATE_SENT, ("is_part_awaited",)),
    (MESSAGE_STATE_DELIVERED, ("parts",)),
)


def word(state: State) -> str:
    """Return the state's word in subjects and pictures: ``delivered``, ``unspecified``."""
    return MessageState.Name(state).removeprefix("MESSAGE_STATE_").lower()
