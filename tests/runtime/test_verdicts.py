"""The table of verdicts: PostgreSQL's errors all have one, and only content is set aside."""

import asyncpg
import pytest
from google.protobuf.message import DecodeError

from libs.runtime.broker import BrokerUnavailable
from libs.runtime.consumer import TryAgain, Unprocessable
from libs.runtime.database import DatabaseUnavailable, PoolExhausted, RowsLocked
from libs.runtime.database_errors import named
from libs.runtime.sizes import (
    BODY_BYTES_MAX,
    BROKER_MESSAGE_BYTES_MIN,
    CHANGE_BYTES_MAX,
    CHANGE_MESSAGE_BYTES_MAX,
    EVENT_ENVELOPE_BYTES,
    SizesUnfit,
    check_sizes,
    message_bytes_max,
    pull_bytes_max,
)
from libs.runtime.verdicts import Verdict, explained, is_content, verdict_of, word_of

_EVERY = sorted(
    {
        error.sqlstate: error
        for error in vars(asyncpg.exceptions).values()
        if isinstance(error, type)
        and issubclass(error, asyncpg.PostgresError)
        and isinstance(error.sqlstate, str)
    }.items()
)


@pytest.mark.parametrize(("sqlstate", "error"), _EVERY, ids=[code for code, _ in _EVERY])
def test_only_values_that_postgresql_refuses_are_content(
    sqlstate: str, error: type[asyncpg.PostgresError]
) -> None:
    """Data exceptions and program limits; anything else would empty a stream into a quarantine."""
    raised = error("said")
    # As database.py raises it.
    told = named(raised, is_connected=True) or raised

    assert is_content(told) == (sqlstate[:2] in ("22", "54"))
    if sqlstate[:2] not in ("22", "54", "21", "23") and sqlstate != "55P03":
        assert verdict_of(told) is Verdict.STOP


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (Unprocessable("A_WORD"), Verdict.SET_ASIDE),
        (DecodeError("no protobuf"), Verdict.SET_ASIDE),
        (RowsLocked("locked"), Verdict.GIVE_BACK),
        (PoolExhausted("full"), Verdict.STOP),
        (DatabaseUnavailable("away"), Verdict.STOP),
        (BrokerUnavailable("away"), Verdict.STOP),
        (TryAgain("away"), Verdict.STOP),
        (TimeoutError(), Verdict.STOP),
        (MemoryError(), Verdict.STOP),
        (KeyError("a bug"), Verdict.SINGLE_OUT),
        (AssertionError(), Verdict.SINGLE_OUT),
        (asyncpg.CardinalityViolationError("twice"), Verdict.SINGLE_OUT),
        (asyncpg.CheckViolationError("constraint"), Verdict.SINGLE_OUT),
    ],
)
def test_every_error_has_its_verdict(error: Exception, verdict: Verdict) -> None:
    """One table for all consumers; a new error is one row."""
    assert verdict_of(error) is verdict


def test_the_verdict_of_a_wrapped_error_is_that_of_what_postgresql_said() -> None:
    """Services give errors names of their own on the way up."""
    try:
        try:
            raise asyncpg.UndefinedColumnError('column "x" does not exist')
        except asyncpg.PostgresError as inner:
            raise RuntimeError("wrapped") from inner
    except RuntimeError as error:
        assert verdict_of(error) is Verdict.STOP
        assert explained(error) == 'UndefinedColumnError (42703): column "x" does not exist'


def test_an_error_that_is_its_own_cause_has_a_verdict() -> None:
    """`raise error from error` makes one; following its causes for ever once froze a service."""
    error = asyncpg.UndefinedTableError("gone")
    error.__cause__ = error

    assert verdict_of(error) is Verdict.STOP


def test_the_reason_of_content_holds_none_of_it() -> None:
    """PostgreSQL quotes the value that it refuses."""
    error = asyncpg.InvalidTextRepresentationError('invalid input: "+491701234567"')

    assert word_of(error) == "REFUSED_BY_STORE InvalidTextRepresentationError 22P02"


def test_the_chain_of_sizes_fits() -> None:
    """Largest body, event, change, broker message, pull: each fits into the next."""
    room = message_bytes_max(BROKER_MESSAGE_BYTES_MIN)
    needs = [
        ("BODY", BODY_BYTES_MAX + EVENT_ENVELOPE_BYTES),
        ("CHANGE", CHANGE_MESSAGE_BYTES_MAX + CHANGE_BYTES_MAX),
    ]

    check_sizes(BROKER_MESSAGE_BYTES_MIN, needs)

    assert pull_bytes_max(BROKER_MESSAGE_BYTES_MIN) > BROKER_MESSAGE_BYTES_MIN > room
    with pytest.raises(SizesUnfit, match="BODY leads to broker messages of 3,211,264 bytes"):
        check_sizes(2 * 1024**2, needs)
