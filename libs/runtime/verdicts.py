"""What an error does to a consumer: one table, first match counts, used by every consumer.

Only what is wrong in the content may be set aside. A fault of our own (a missing column, a full
pool, a time-out, a bug) loses nothing: it stops the consumer until it is mended.
"""

from collections.abc import Iterator
from enum import Enum
from typing import Final, NamedTuple

import asyncpg
from google.protobuf.message import DecodeError

from libs.runtime.broker import BrokerUnavailable
from libs.runtime.database import DatabaseUnavailable, RowsLocked


class Unprocessable(Exception):
    """The content of a message is wrong; no retry can help it. The text is the reason's word."""


class TryAgain(Exception):
    """Something that the work needs is away. Nothing is wrong with the messages."""


class Verdict(Enum):
    """What the consumer does with a batch whose handling failed."""

    # Halve until the message at fault is alone. Keep that one for the operator, acknowledge it.
    SET_ASIDE = "set_aside"
    # Halve until the message at fault is alone. Give that one back for a while; neighbours go on.
    GIVE_BACK = "give_back"
    # Halve until the message at fault is alone. If it crashes again and again while its neighbours
    # pass, keep it for the operator; if nothing passes, stop.
    SINGLE_OUT = "single_out"
    # Acknowledge nothing, give everything back, not ready, try again with growing pauses.
    STOP = "stop"


class Rule(NamedTuple):
    """One row of the table."""

    what: str
    verdict: Verdict
    told: str
    errors: tuple[type[BaseException], ...] = ()
    # Beginnings of PostgreSQL's SQLSTATE: https://www.postgresql.org/docs/18/errcodes-appendix.html
    sqlstates: tuple[str, ...] = ()


_OPERATOR = "SET_ASIDE (`bluetick replay --set-aside`), log `message.set_aside`, metric"
_READINESS = "readiness and gRPC health with the reason, log `consumer.stopped`, metric"

RULES: Final = (
    Rule(
        "content that cannot be decoded",
        Verdict.SET_ASIDE,
        _OPERATOR,
        errors=(Unprocessable, DecodeError),
    ),
    Rule(
        "rows that somebody else has locked for long",
        Verdict.GIVE_BACK,
        "log `message.given_back`, metric",
        errors=(RowsLocked,),
    ),
    Rule(
        "database, broker or another service away, slow or full",
        Verdict.STOP,
        _READINESS,
        errors=(DatabaseUnavailable, BrokerUnavailable, TryAgain, MemoryError, OSError),
    ),
    Rule(
        "a value that PostgreSQL refuses: data exception, program limit",
        Verdict.SET_ASIDE,
        _OPERATOR,
        errors=(OverflowError, UnicodeError),
        sqlstates=("22", "54"),
    ),
    # A row twice in one upsert, a broken constraint: the code's fault, told by certain content.
    Rule(
        "a rule of our own tables that the work broke",
        Verdict.SINGLE_OUT,
        f"{_OPERATOR}; or as below",
        sqlstates=("21", "23"),
    ),
    Rule(
        "anything else PostgreSQL says: a missing column or type, no permission, a full disk",
        Verdict.STOP,
        _READINESS,
        sqlstates=("",),
    ),
    Rule(
        "a bug",
        Verdict.SINGLE_OUT,
        f"{_OPERATOR}; while nothing passes: {_READINESS}",
        errors=(Exception,),
    ),
)


def rule_of(error: BaseException) -> Rule:
    """Return the row of the table for ``error``."""
    said = [
        part.sqlstate or "" for part in _chain(error) if isinstance(part, asyncpg.PostgresError)
    ]
    for rule in RULES:
        if rule.errors and isinstance(error, rule.errors):
            return rule
        if rule.sqlstates and said and said[0].startswith(rule.sqlstates):
            return rule
    # Not an Exception: the process is asked to end, and ends.
    raise error


def verdict_of(error: BaseException) -> Verdict:
    """Return what a consumer does about ``error``."""
    return rule_of(error).verdict


def is_content(error: BaseException) -> bool:
    """Return whether the content is at fault: it may be set aside, and nothing else may."""
    return verdict_of(error) is Verdict.SET_ASIDE


def explained(error: BaseException) -> str:
    """Return the error for an operator: class, SQLSTATE, first line. Never for a content error.

    PostgreSQL quotes values only in errors of content and in ``detail``, which is left out.
    """
    for part in _chain(error):
        if isinstance(part, asyncpg.PostgresError):
            line = str(part.args[0] if part.args else part).splitlines() or [""]
            return f"{type(part).__name__} ({part.sqlstate}): {line[0]}"[:200]
    line = str(error).splitlines() or [""]
    return f"{type(error).__name__}: {line[0]}"[:200]


def word_of(error: BaseException) -> str:
    """Return why content was set aside, as a word without any of the content."""
    if isinstance(error, Unprocessable):
        return str(error)[:200]
    for part in _chain(error):
        if isinstance(part, asyncpg.PostgresError):
            return f"REFUSED_BY_STORE {type(part).__name__} {part.sqlstate}"
    return f"CRASHED {type(error).__name__}"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and what it was made of, innermost last; drivers' errors get wrapped."""
    # An error can be its own cause (`raise error from error`): each is looked at once.
    seen: list[BaseException] = []
    part: BaseException | None = error
    while part is not None and not any(part is one for one in seen):
        yield part
        seen.append(part)
        original = getattr(part, "orig", None)
        part = original if isinstance(original, BaseException) else part.__cause__
