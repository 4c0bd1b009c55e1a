"""The one total order of states, as data: what proves a state, strongest first.

The same rule is written three times on purpose: here, as a check constraint on ``status.messages``
and as a table in docs/states.md. A test compares all three over every combination of proofs.
"""

from typing import Final

from bluetick.v1.common_pb2 import (
    MESSAGE_STATE_ACCEPTED,
    MESSAGE_STATE_DELIVERED,
    MESSAGE_STATE_DROPPED,
    MESSAGE_STATE_QUEUED,
    MESSAGE_STATE_READ,
    MESSAGE_STATE_SENT,
    MESSAGE_STATE_UNDELIVERED,
    MessageState,
)

# A drop is a proof of two states: with a provider's id the message was handed over after all, and
# the drop is a failure after the hand-over.
DROP_WITH_ID: Final = "drop_time_us with provider_message_id"

# (state, names of the times that prove it), from the strongest evidence to the weakest. A message
# has the first state that any of its times proves, else UNSPECIFIED.
PROOFS: Final[tuple[tuple[MessageState.ValueType, tuple[str, ...]], ...]] = (
    (MESSAGE_STATE_READ, ("read_time_us",)),
    (MESSAGE_STATE_DELIVERED, ("report_time_us", "proof_time_us", "attributed_proof_time_us")),
    (MESSAGE_STATE_UNDELIVERED, ("undeliver_time_us", DROP_WITH_ID)),
    (MESSAGE_STATE_SENT, ("send_time_us",)),
    (MESSAGE_STATE_ACCEPTED, ("accept_time_us",)),
    (MESSAGE_STATE_DROPPED, ("drop_time_us",)),
    (MESSAGE_STATE_QUEUED, ("queue_time_us",)),
)


def word(state: MessageState.ValueType) -> str:
    """Return the state's word in subjects and pictures: ``delivered``, ``unspecified``."""
    return MessageState.Name(state).removeprefix("MESSAGE_STATE_").lower()
