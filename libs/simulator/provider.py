"""What a simulated provider has to offer. One provider, one file; `PROVIDERS` names them all."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Protocol

from libs.simulator.callback import Callback
from libs.simulator.chaos import Emission
from libs.simulator.meta import MetaProvider


class SimulatedProvider(Protocol):
    """Writes callbacks as the real provider would."""

    @property
    def name(self) -> str:
        """The provider's word in callback addresses and records ("meta")."""
        ...

    def new_message_id(self, chance: random.Random, address: str) -> str:
        """Make up the provider's id of a message to `address`."""
        ...

    def render(self, emissions: Sequence[Emission], chance: random.Random) -> Callback:
        """Write and sign one callback that tells `emissions`, 1 to 1,000 of them."""
        ...


# Each is made from the secret that the account's callbacks are signed with.
PROVIDERS: dict[str, Callable[[str], SimulatedProvider]] = {"meta": MetaProvider}
