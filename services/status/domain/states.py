"""The one total order of states, as data made from the field table: what proves a state.

The same rule is written as code in ``message.state_of`` and as a table in docs/states.md. A test
compares all three over every combination of proofs.
"""

from typing import Final, TypeAlias

from bluetick.v1.common_pb2 import MessageState

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


def word(state: State) -> str:
    """Return the state's word in subjects and pictures: ``delivered``, ``unspecified``."""
    return MessageState.Name(state).removeprefix("MESSAGE_STATE_").lower()
