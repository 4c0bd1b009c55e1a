"""Looks at PostgreSQL: is it there, new enough, and of this program's schema."""

from __future__ import annotations

from urllib.parse import urlsplit

import asyncpg
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError

from libs.cli.doctor_signs import Sign, Signs
from libs.runtime.database import async_url
from libs.runtime.migrate import OWNERS, alembic_config

_CONNECT_S = 5.0
_VERSION_MIN = 180_000
_MIGRATE = "Run `bluetick migrate`."


async def database_signs(url: str) -> list[Sign]:
    """Look at the database and each service's schema."""
    signs = Signs("database")
    address = urlsplit(url)
    place = f"{address.hostname}:{address.port or 5432}{address.path}"
    try:
        plain = async_url(url).replace("+asyncpg", "")
        connection = await asyncpg.connect(plain, timeout=_CONNECT_S, command_timeout=_CONNECT_S)
    except (OSError, asyncpg.PostgresError, TimeoutError, ValueError) as error:
        signs.wrong(
            "connection",
            f"{place} cannot be used ({type(error).__name__}).",
            "Start PostgreSQL, or mend BLUETICK_DATABASE_URL. `bluetick up` brings its own.",
        )
        return signs.found
    signs.fine("connection", f"{place} answers")
    try:
        await _look_at_version(signs, connection)
        for owner in OWNERS:
            await _look_at_schema(signs, connection, owner, url)
    finally:
        await connection.close()
    return signs.found


async def _look_at_version(signs: Signs, connection: asyncpg.Connection) -> None:
    version = int(await connection.fetchval("SHOW server_version_num"))
    says = f"PostgreSQL {version // 10_000}.{version % 10_000}"
    if version < _VERSION_MIN:
        signs.wrong("version", f"{says} is too old.", "Use PostgreSQL 18 or newer.")
    else:
        signs.fine("version", says)


async def _look_at_schema(
    signs: Signs, connection: asyncpg.Connection, owner: str, url: str
) -> None:
    subject = f"schema {owner}"
    try:
        scripts = ScriptDirectory.from_config(alembic_config(owner, url))
    except (ModuleNotFoundError, CommandError):
        signs.fine(subject, "not looked at: its service is not installed here")
        return
    head = scripts.get_current_head()
    try:
        # The name is one of OWNERS.
        stands = await connection.fetchval(f"SELECT version_num FROM {owner}.alembic_version")  # noqa: S608
    except asyncpg.PostgresError:
        stands = None
    if stands is None:
        signs.wrong(subject, "It is not there.", _MIGRATE)
    elif stands == head:
        signs.fine(subject, f"current ({stands})")
    elif any(script.revision == stands for script in scripts.walk_revisions()):
        signs.wrong(subject, f"It stands at {stands}, this program needs {head}.", _MIGRATE)
    else:
        signs.odd(
            subject,
            f"It stands at {stands}, which this program does not know: a newer one made it.",
            "Look with the newer `bluetick`.",
        )
