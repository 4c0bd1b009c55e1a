"""Requests and records in files: more than memory holds, each to be sent once."""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(slots=True)
class RequestFile:
    """Ready-made requests, one after the other. `used` of them were sent: those never again."""

    file: Path
    lengths_file: Path
    count: int
    updates: int  # statuses in each
    used: int = 0

    def each(self) -> Iterator[bytes]:
        """Read them one by one."""
        with self.file.open("rb") as data:
            for length in array("I", self.lengths_file.read_bytes()):
                yield data.read(length)


@contextmanager
def request_file(requests: Iterable[bytes], updates: int) -> Iterator[RequestFile]:
    """Write these requests to a file that is there until the block ends."""
    with tempfile.TemporaryDirectory(prefix="bluetick-bench-") as folder:
        file, lengths_file = Path(folder, "requests"), Path(folder, "lengths")
        lengths = array("I")
        with file.open("wb") as out:
            for request in requests:
                out.write(request)
                lengths.append(len(request))
        lengths_file.write_bytes(lengths.tobytes())
        yield RequestFile(file, lengths_file, len(lengths), updates)
