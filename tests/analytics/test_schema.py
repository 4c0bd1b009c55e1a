import asyncio

import asyncpg
from alembic import command

from libs.runtime.migrate import alembic_config, run_migrations
from services.analytics.domain.families.registry import FAMILIES


async def test_the_migrations_make_the_tables_that_the_code_knows(empty_database_url: str) -> None:
    """A counter without its column would fail every fold from the moment of its release."""
    await asyncio.to_thread(run_migrations, "analytics", empty_database_url)

    config = alembic_config("analytics", empty_database_url)
    await asyncio.to_thread(command.check, config)


async def test_every_key_begins_with_the_tenant_and_the_campaign(database_url: str) -> None:
    """A distributed PostgreSQL spreads rows by it; a key without it cannot be kept there."""
    connection = await asyncpg.connect(database_url)
    rows = await connection.fetch(
        """
        SELECT table_name, array_agg(column_name::text ORDER BY ordinal_position) AS columns
        FROM information_schema.key_column_usage
        WHERE table_schema = 'analytics' AND constraint_name LIKE 'pk\\_%'
        GROUP BY table_name
        """
    )
    await connection.close()

    keys = {row["table_name"]: row["columns"] for row in rows}
    # About the stream, which is of all tenants.
    del keys["folded_runs"], keys["gaps"], keys["checkpoints"]
    no_campaign = {
        "applied", "campaign_requests", "generations", "built_versions", "early_changes",
    }  # fmt: skip
    # Members of sets come first: hashes, which differ in their first byte.
    for family in FAMILIES:
        if family.member is not None:
            assert keys[family.name].pop(0) == family.member.name
    assert keys["list_numbers"].pop(0) == "message_key"
    assert keys["list_contacts"].pop(0) == "contact_key"
    assert all(columns[0] == "tenant_id" for columns in keys.values())
    assert {
        name for name, columns in keys.items() if columns[1:2] != ["campaign_id"]
    } == no_campaign


async def test_the_migrations_can_be_undone(empty_database_url: str) -> None:
    """A failed release must leave a way back."""
    await asyncio.to_thread(run_migrations, "analytics", empty_database_url)

    config = alembic_config("analytics", empty_database_url)
    await asyncio.to_thread(command.downgrade, config, "base")
    await asyncio.to_thread(command.upgrade, config, "head")
