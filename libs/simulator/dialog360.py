"""360dialog: Meta's webhook bodies with a static header, "Name: value", in place of a signature.

Shapes: docs.360dialog.com, "Webhook" (read 2026-09).
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from libs.simulator.callback import Callback
from libs.simulator.chaos import Emission
from libs.simulator.meta import MetaProvider, dump, envelope_of


class Dialog360Provider(MetaProvider):
    """Renders callbacks of one number; its ids are Meta's."""

    name = "dialog360"

    def render(self, emissions: Sequence[Emission], chance: random.Random) -> Callback:
        """One webhook, as Meta's."""
        header, _, value = self.secret.partition(": ")
        return Callback(
            headers=(("Content-Type", "application/json"), (header, value)),
            body=dump(envelope_of(emissions, chance), chance),
            update_count=len(emissions),
        )
