"""From counted failures to reasons: what happened, how often, and what to do about it."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import msgspec
from bluetick.v1 import common_pb2

UNKNOWN = common_pb2.FAILURE_TRANSIENCE_UNSPECIFIED


class FailureCell(NamedTuple):
    """How many messages failed in one way."""

    stage: int
    reason: int
    provider: str
    provider_code: str
    message_count: int


class Alternative(NamedTuple):
    """Another reason that a code may stand for."""

    reason: int
    when: str


class CodeMeaning(NamedTuple):
    """What the catalogue knows of a code."""

    title: str
    transience: int
    topic: int = common_pb2.FAILURE_TOPIC_UNSPECIFIED
    alternatives: tuple[Alternative, ...] = ()


class Code(msgspec.Struct, frozen=True):
    """One code behind a reason."""

    cell: FailureCell
    meaning: CodeMeaning


class Reason(msgspec.Struct, frozen=True):
    """One reason of one stage; the reasons of a stage add up to all its failures."""

    stage: int
    reason: int
    count: int
    share: float
    transience: int
    codes: list[Code]


# (provider, code, stage, reason) -> meaning.
LookUp = Callable[[str, str, int, int], CodeMeaning]


def reasons_of(cells: Iterable[FailureCell], look_up: LookUp) -> list[Reason]:
    """Return the reasons, most frequent first, dropped before undelivered."""
    by_reason: dict[tuple[int, int], list[FailureCell]] = {}
    stage_counts: dict[int, int] = {}
    for cell in cells:
        if cell.message_count > 0:
            by_reason.setdefault((cell.stage, cell.reason), []).append(cell)
            stage_counts[cell.stage] = stage_counts.get(cell.stage, 0) + cell.message_count
    reasons = [
        _reason(stage, reason, found, stage_counts[stage], look_up)
        for (stage, reason), found in by_reason.items()
    ]
    return sorted(reasons, key=lambda one: (one.stage, -one.count, one.reason))


def _reason(
    stage: int, reason: int, cells: list[FailureCell], stage_count: int, look_up: LookUp
) -> Reason:
    cells.sort(key=lambda cell: (-cell.message_count, cell.provider, cell.provider_code))
    codes = [
        Code(cell, look_up(cell.provider, cell.provider_code, stage, reason)) for cell in cells
    ]
    words = {code.meaning.transience for code in codes}
    count = sum(cell.message_count for cell in cells)
    # Only what all codes agree on can be said of the reason.
    transience = words.pop() if len(words) == 1 else UNKNOWN
    return Reason(stage, reason, count, count / stage_count, transience, codes)
