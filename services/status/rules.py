"""What settings say about the work on events."""

import msgspec

from services.status.domain.attribution import HOUR_US
from services.status.domain.silence import Patience


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """The rules; each has a setting of a like name."""

    # How long after a send an act that names no message may answer it; 0: never.
    reply_window_us: int = 72 * HOUR_US
    # Bytes of changes from which on a new broker message starts.
    change_batch_bytes_max: int = 512 * 1024
    # Days after which a message that no sender recorded is removed.
    unrecorded_days: int = 30
    # How long a report on the end of a message is waited for.
    patience: Patience = Patience()
