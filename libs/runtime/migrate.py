"""Brings a service's own schema up to date, under a lock, so that replicas may all try."""

import argparse
import asyncio
import sys
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, text
from sqlalchemy.ext.asyncio import create_async_engine

from libs.runtime.database import async_url
from libs.runtime.database_errors import DRIVER, DatabaseMisconfigured, named
from libs.runtime.settings import RuntimeSettings, load

AfterMigrations = Callable[[Connection], None]

OWNERS = ("status", "analytics", "ingest")
# Any number, the same for all: migrations of all services run one after another.
_LOCK = 0x626C7565


def script_location(service: str) -> Path:
    """Return the folder of the service's migrations, wherever it is installed."""
    # Joined before it becomes text: a folder without __init__.py has no single path of its own.
    return Path(str(files(f"services.{service}") / "migrations"))


def alembic_config(service: str, url: str) -> Config:
    """Return Alembic's configuration of one service."""
    config = Config()
    config.set_main_option("script_location", str(script_location(service)))
    # Percent signs mean something to the ini format.
    config.set_main_option("sqlalchemy.url", async_url(url).replace("%", "%%"))
    return config


def revisions(service: str) -> tuple[str, frozenset[str]]:
    """Return the newest revision of a service's schema, and all that this code knows."""
    scripts = ScriptDirectory(str(script_location(service)))
    known = frozenset(script.revision for script in scripts.walk_revisions())
    return scripts.get_current_head() or "", known


async def wait_for_database(url: str, limit_s: float) -> None:
    """Return when PostgreSQL answers.

    Raises:
        DatabaseMisconfigured: it answers, and refuses us; said at once.
        TimeoutError: it did not within ``limit_s``.
    """
    plain = async_url(url).replace("+asyncpg", "")
    async with asyncio.timeout(limit_s):
        while True:
            try:
                connection = await asyncpg.connect(plain, timeout=5)
                await connection.close()
                return
            except DRIVER as error:
                trouble = named(error, is_connected=False)
                if isinstance(trouble, DatabaseMisconfigured):
                    raise trouble from error
                await asyncio.sleep(0.1)


def run_in_env(
    connection: Connection, schema: str, metadata: MetaData, after: AfterMigrations | None = None
) -> None:
    """Run the migrations that ``alembic.context`` asks for; called by each service's env.py.

    ``after`` runs behind the last migration, in the same transaction: for tables that follow from
    declarations.
    """
    from alembic import context

    connection.execute(text(f"SELECT pg_advisory_lock({_LOCK})"))
    connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {schema}"))
    connection.commit()
    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table_schema=schema,
        include_schemas=True,
        include_name=lambda name, kind, _parents: kind != "schema" or name == schema,
        compare_server_default=False,
    )
    try:
        with context.begin_transaction():
            context.run_migrations()
            migrated = context.get_context().get_current_heads() == context.get_head_revisions()
            if after is not None and migrated:
                after(connection)
        connection.commit()
    finally:
        connection.execute(text(f"SELECT pg_advisory_unlock({_LOCK})"))
        connection.commit()


def env_main(schema: str, metadata: MetaData, after: AfterMigrations | None = None) -> None:
    """Be the whole of a service's ``migrations/env.py``."""
    from alembic import context

    async def online() -> None:
        engine = create_async_engine(context.config.get_main_option("sqlalchemy.url") or "")
        try:
            async with engine.connect() as connection:
                await connection.run_sync(run_in_env, schema, metadata, after)
        finally:
            await engine.dispose()

    if context.is_offline_mode():
        context.configure(
            url="postgresql://",
            target_metadata=metadata,
            version_table_schema=schema,
            literal_binds=True,
        )
        with context.begin_transaction():
            context.run_migrations()
    else:
        asyncio.run(online())


def run_migrations(service: str, url: str) -> None:
    """Bring the schema of ``service`` up to date. Blocks; not to be called inside a loop."""
    command.upgrade(alembic_config(service, url), "head")


def main() -> None:
    """Migrate the services named on the command line, or all."""
    parser = argparse.ArgumentParser(description="Bring the database schema up to date.")
    parser.add_argument("services", nargs="*", choices=[*OWNERS, []], help="default: all")
    chosen = parser.parse_args().services or OWNERS
    settings = load(RuntimeSettings)
    try:
        asyncio.run(wait_for_database(settings.database_url, 60))
    except TimeoutError:
        print("BLUETICK_DATABASE_URL: no PostgreSQL answers there.", file=sys.stderr)
        sys.exit(1)
    except DatabaseMisconfigured as error:
        print(f"BLUETICK_DATABASE_URL: {error}.", file=sys.stderr)
        sys.exit(1)
    for service in chosen:
        run_migrations(service, settings.database_url)
        print(f"{service}: schema up to date")


if __name__ == "__main__":
    main()
