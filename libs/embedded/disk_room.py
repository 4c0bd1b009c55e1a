"""Whether a disk takes data."""

from __future__ import annotations

import os
from pathlib import Path

# Less is full again within a second of traffic.
ROOM_BYTES_MIN = 16 * 1024**2
_TRIED_BYTES = 1024**2


def has_room(folder: Path) -> bool:
    """True when 16 MiB are free below ``folder`` and a file of 1 MiB reaches the disk; blocks."""
    trial = folder / "room"
    try:
        status = os.statvfs(folder)
        if status.f_bavail * status.f_frsize < ROOM_BYTES_MIN:
            return False
        # A quota may be full on a disk that is not.
        with trial.open("wb") as file:
            file.write(b"\0" * _TRIED_BYTES)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        return False
    finally:
        trial.unlink(missing_ok=True)
    return True
