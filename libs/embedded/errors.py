"""What can go wrong on the local machine, told with its cure."""

from __future__ import annotations


class EmbeddedError(Exception):
    """A local server or service cannot run. ``cure`` says what a person can do about it."""

    def __init__(self, problem: str, *, cure: str) -> None:
        super().__init__(f"{problem} {cure}")
        self.problem = problem
        self.cure = cure
