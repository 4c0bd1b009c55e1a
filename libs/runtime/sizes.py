"""One chain of sizes, from the largest body to the consumer's pull; each link fits the next.

callback body <= event <= broker message      (ingest: a body travels whole, in one event)
largest change <= change message <= broker message            (status: a larger one is split)
broker message + what set-aside adds <= the broker's limit    (nothing is too large to keep)
broker's limit <= one pull                                    (nothing is too large to take)
"""

from collections.abc import Sequence
from typing import Final

MIB: Final = 1024 * 1024

# What the broker must take at least (`max_payload`); our own servers are set to it.
BROKER_MESSAGE_BYTES_MIN: Final = 8 * MIB
# The names, headers and numbers that an event has beside a body.
EVENT_ENVELOPE_BYTES: Final = 64 * 1024
# The headers that a message gets when it is set aside, with those that it has.
SET_ASIDE_ENVELOPE_BYTES: Final = 64 * 1024
# The broker counts subjects and headers into a pull, too.
PULL_ENVELOPE_BYTES: Final = 64 * 1024

# Defaults of the settings of the same names.
BODY_BYTES_MAX: Final = 3 * MIB
CHANGE_BYTES_MAX: Final = 256 * 1024
CHANGE_MESSAGE_BYTES_MAX: Final = 384 * 1024


class SizesUnfit(Exception):
    """A limit is larger than what has to carry it; the message names both and the cure."""


def message_bytes_max(broker_bytes: int) -> int:
    """Return how large a message of ours may be where the broker takes ``broker_bytes``."""
    return broker_bytes - SET_ASIDE_ENVELOPE_BYTES


def pull_bytes_max(broker_bytes: int) -> int:
    """Return the bytes of one pull that can take any message of the broker."""
    return broker_bytes + PULL_ENVELOPE_BYTES


def check_sizes(broker_bytes: int, needs: Sequence[tuple[str, int]]) -> None:
    """Make sure that the broker takes the largest message that each setting allows.

    Args:
        broker_bytes: the broker's ``max_payload``.
        needs: (setting, bytes of the largest message that it leads to).

    Raises:
        SizesUnfit: one is too large.
    """
    limit = message_bytes_max(broker_bytes)
    problems = [
        f"{setting} leads to broker messages of {need:,} bytes"
        for setting, need in needs
        if need > limit
    ]
    if problems:
        raise SizesUnfit(
            f"{'; '.join(problems)}; the broker's max_payload of {broker_bytes:,} bytes leaves "
            f"room for {limit:,}. Lower the setting, or raise max_payload."
        )
