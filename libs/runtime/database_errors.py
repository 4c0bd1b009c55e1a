"""PostgreSQL's troubles by name: what is away, what is full, what is locked, what is wrong."""

from typing import Final, NamedTuple

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from libs.runtime.outages import Outage


class DatabaseUnavailable(Outage):
    """PostgreSQL cannot be reached, or cannot do the work now. Trying again later helps."""


class DatabaseMisconfigured(DatabaseUnavailable):
    """PostgreSQL answers and refuses us. Somebody has to change a setting or a right."""


class PoolExhausted(DatabaseUnavailable):
    """All connections of this process are at work."""


class StatementOverdue(DatabaseUnavailable):
    """A statement took longer than it may."""


class RowsLocked(DatabaseUnavailable):
    """Somebody else holds rows that the statement needs, for longer than it may wait."""


class _Name(NamedTuple):
    sqlstate: str  # or its beginning
    error: type[DatabaseUnavailable]
    text: str


# https://www.postgresql.org/docs/18/errcodes-appendix.html; the first match counts.
_NAMES: Final = (
    _Name("28", DatabaseMisconfigured, "PostgreSQL refuses user or password of DATABASE_URL"),
    _Name("3D000", DatabaseMisconfigured, "PostgreSQL has no database of the name in DATABASE_URL"),
    _Name(
        "55P03", RowsLocked, "rows are locked by somebody else for longer than the lock time-out"
    ),
    _Name("57014", StatementOverdue, "a statement took longer than the statement time-out"),
    _Name("57P03", DatabaseUnavailable, "PostgreSQL is starting up or recovering"),
    _Name("57P", DatabaseUnavailable, "PostgreSQL is shutting down"),
    _Name("25P", DatabaseUnavailable, "PostgreSQL ended a transaction that had become idle"),
    _Name("53300", DatabaseUnavailable, "PostgreSQL has no connection left (max_connections)"),
    _Name("53100", DatabaseUnavailable, "PostgreSQL's disk is full"),
    _Name("53", DatabaseUnavailable, "PostgreSQL lacks memory or another resource"),
    _Name("58", DatabaseUnavailable, "PostgreSQL cannot use its files"),
    _Name("08", DatabaseUnavailable, "the connection to PostgreSQL broke"),
)


# What the driver raises. It calls it internal when a connection breaks while it speaks.
DRIVER: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,  # TimeoutError is one
)
_CAUSES_MAX: Final = 5


def named(error: BaseException, *, is_connected: bool) -> DatabaseUnavailable | None:
    """Return what the driver's error means, None if it is no trouble of the database's.

    Args:
        error: what the driver or the pool raised.
        is_connected: whether there was a connection when it happened.
    """
    if isinstance(error, PoolTimeoutError):
        return PoolExhausted("all connections of the pool are at work (DATABASE_POOL_SIZE)")
    said = _said(error)
    if isinstance(said, asyncpg.PostgresError):
        known = _by_sqlstate(said)
        if known is None and not is_connected:
            return DatabaseUnavailable(f"PostgreSQL takes no connection: {said}")
        return known
    if isinstance(said, asyncpg.ClientConfigurationError):
        return DatabaseMisconfigured(f"DATABASE_URL cannot be used: {said}")
    if isinstance(said, TimeoutError) and is_connected:
        return StatementOverdue("a statement got no answer within the statement time-out")
    if isinstance(said, DRIVER) or isinstance(error, DBAPIError):
        text = str(said).splitlines() or [""]
        return DatabaseUnavailable(f"PostgreSQL does not answer: {type(said).__name__}: {text[0]}")
    return None


def _said(error: BaseException) -> BaseException:
    """Return what the driver said, out of what SQLAlchemy made of it."""
    while isinstance(error, DBAPIError) and isinstance(error.orig, BaseException):
        error = error.orig
    # SQLAlchemy's own copy of the driver's error names the original as its cause.
    for _ in range(_CAUSES_MAX):
        if isinstance(error, DRIVER) or error.__cause__ is None:
            break
        error = error.__cause__
    return error


def _by_sqlstate(error: asyncpg.PostgresError) -> DatabaseUnavailable | None:
    sqlstate = str(error.sqlstate or "")
    for name in _NAMES:
        if sqlstate.startswith(name.sqlstate):
            return name.error(f"{name.text} ({sqlstate})")
    return None
