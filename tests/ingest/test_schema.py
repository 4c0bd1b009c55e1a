import asyncio

from alembic import command

from libs.runtime.migrate import alembic_config, run_migrations


async def test_the_migrations_make_the_tables_that_the_code_knows(empty_database_url: str) -> None:
    """A column that is missing would fail every link from the moment of its release."""
    await asyncio.to_thread(run_migrations, "ingest", empty_database_url)

    config = alembic_config("ingest", empty_database_url)
    await asyncio.to_thread(command.check, config)


async def test_the_migrations_can_be_undone(empty_database_url: str) -> None:
    """A failed release must leave a way back."""
    await asyncio.to_thread(run_migrations, "ingest", empty_database_url)

    config = alembic_config("ingest", empty_database_url)
    await asyncio.to_thread(command.downgrade, config, "base")
    await asyncio.to_thread(command.upgrade, config, "head")
