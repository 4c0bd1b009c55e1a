"""What a look at a part of Bluetick gives."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum


class Verdict(IntEnum):
    """How a part is doing."""

    FINE = 0
    ODD = 1  # it works; numbers or safety are less than they could be
    WRONG = 2  # something does not work


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """One thing that was looked at."""

    area: str  # "broker"
    subject: str  # "stream EVENTS"
    verdict: Verdict
    says: str  # what was found
    cure: str = ""  # what to do; empty if nothing is wrong


class Signs:
    """Collects the signs of one area."""

    def __init__(self, area: str) -> None:
        self._area = area
        self.found: list[Sign] = []

    def fine(self, subject: str, says: str) -> None:
        """Note what is as it should be."""
        self._add(subject, Verdict.FINE, says, "")

    def odd(self, subject: str, says: str, cure: str) -> None:
        """Note what works, but should be looked at."""
        self._add(subject, Verdict.ODD, says, cure)

    def wrong(self, subject: str, says: str, cure: str) -> None:
        """Note what does not work."""
        self._add(subject, Verdict.WRONG, says, cure)

    def _add(self, subject: str, verdict: Verdict, says: str, cure: str) -> None:
        self.found.append(
            Sign(area=self._area, subject=subject, verdict=verdict, says=says, cure=cure)
        )


def worst(signs: Iterable[Sign]) -> Verdict:
    """Return the worst verdict; fine if there is none."""
    return max((sign.verdict for sign in signs), default=Verdict.FINE)
