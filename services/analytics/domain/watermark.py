"""How far the numbers are complete: what status says, once its changes are in the cells."""

from collections import deque

_MARKS_MAX = 10_000


class Watermark:
    """Everything answered OK before ``complete_until_us`` is in the cells; None: not known yet.

    It never goes back, whatever order its news come in.
    """

    def __init__(self) -> None:
        self.complete_until_us: int | None = None
        # (time, sequence): complete until the time, once all changes up to the sequence are in.
        self._marks: deque[tuple[int, int]] = deque(maxlen=_MARKS_MAX)

    def expect(self, complete_until_us: int, changes_seq: int) -> None:
        """Note that all before ``complete_until_us`` lies at or before ``changes_seq``."""
        self._marks.append((complete_until_us, changes_seq))

    def advance(self, folded_seq: int) -> None:
        """Note that all changes up to ``folded_seq`` are in the cells."""
        waiting = deque[tuple[int, int]](maxlen=_MARKS_MAX)
        for time_us, changes_seq in self._marks:
            if changes_seq > folded_seq:
                waiting.append((time_us, changes_seq))
            elif self.complete_until_us is None or time_us > self.complete_until_us:
                self.complete_until_us = time_us
        self._marks = waiting
