"""What a person types to run this program again: as they did, where no path leads to it."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

_NAME = "bluetick"


def own_name() -> str:
    """Return `bluetick`, or the path of it as seen from here (`.venv/bin/bluetick`)."""
    ours = Path(sys.argv[0])
    found = shutil.which(_NAME)
    if ours.name != _NAME or not ours.is_file() or (found and ours.samefile(found)):
        return _NAME
    return shlex.quote(os.path.relpath(ours))
