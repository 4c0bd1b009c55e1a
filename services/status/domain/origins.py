"""Where a message went out, and where an act came in: which of the two may belong together.

Who writes to one of our numbers answers what came from that number, on that channel. Most senders
record an account and no number; then the account decides.
"""

from functools import lru_cache
from hashlib import blake2b
from typing import Final

from bluetick.v1.common_pb2 import CHANNEL_EMAIL

from libs.runtime.addresses import canonical_address

# An origin as stored: channel, account, our number. ``address_sql.LAST_SENDS`` compares them.
CHANNEL_BYTES: Final = 1
PART_BYTES: Final = 8
UNTOLD: Final = bytes(PART_BYTES)
_CHANNEL_MAX: Final = 255


@lru_cache(maxsize=4096)
def origin(channel: int, provider: str, account: str, own_address: str) -> bytes:
    """Return 17 bytes; a part that was not told is zeros, and agrees with every other.

    Args:
        channel: bluetick.v1.Channel; 0: not told.
        provider: of the account.
        account: at the provider; empty: not told.
        own_address: our number. Of mail it says nothing, since answers go to another mailbox.
    """
    own = canonical_address(own_address) if channel != CHANNEL_EMAIL else ""
    return (
        bytes((min(max(channel, 0), _CHANNEL_MAX),))
        + (_part(f"{provider}\x00{account}") if account else UNTOLD)
        # Names and short codes are written in too many ways to tell two of them apart.
        + (_part(own) if own.startswith("+") else UNTOLD)
    )


def may_answer(act: bytes, send: bytes) -> bool:
    """Return whether an act that came in there may answer what went out here."""
    if not _agree(act[:CHANNEL_BYTES], send[:CHANNEL_BYTES]):
        return False
    at = CHANNEL_BYTES + PART_BYTES
    if UNTOLD not in (act[at:], send[at:]):
        return act[at:] == send[at:]
    return _agree(act[CHANNEL_BYTES:at], send[CHANNEL_BYTES:at])


def _agree(one: bytes, other: bytes) -> bool:
    return one == other or not any(one) or not any(other)


def _part(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=PART_BYTES).digest()
