"""Numbers messages within their campaigns: first come, kept for ever, so the order never moves."""

from collections.abc import Collection, Mapping
from typing import Any

from libs.runtime.database import Database
from services.analytics.adapters.cell_statements import turned
from services.analytics.domain.cells import CampaignName

# ``OFFSET 0`` keeps one look-up for each key, and no index but the one that begins with the key can
# be used for IS NOT DISTINCT FROM, however a plan sees the tables.
_KNOWN = """
    SELECT k.tenant_id, k.campaign_id, k.message_key, n.number
    FROM unnest($1::text[], $2::text[], $3::bytea[]) AS k (tenant_id, campaign_id, message_key)
    CROSS JOIN LATERAL (
      SELECT n.number FROM analytics.list_numbers n
      WHERE n.message_key = k.message_key AND n.tenant_id IS NOT DISTINCT FROM k.tenant_id
        AND n.campaign_id IS NOT DISTINCT FROM k.campaign_id
      OFFSET 0
    ) n
"""
# Of one campaign there may be millions, so what all rows share is said once.
_KNOWN_OF_ONE = """
    SELECT k.message_key, n.number
    FROM unnest($3::bytea[]) AS k (message_key)
    CROSS JOIN LATERAL (
      SELECT n.number FROM analytics.list_numbers n
      WHERE n.message_key = k.message_key AND n.tenant_id IS NOT DISTINCT FROM $1
        AND n.campaign_id IS NOT DISTINCT FROM $2
      OFFSET 0
    ) n
"""
_GIVE = """
    WITH last AS (
      INSERT INTO analytics.list_ends AS known (tenant_id, campaign_id, number)
      VALUES ($1, $2, cardinality($3::bytea[]))
      ON CONFLICT (tenant_id, campaign_id) DO UPDATE SET number = known.number + excluded.number
      RETURNING number - cardinality($3::bytea[]) AS number
    )
    INSERT INTO analytics.list_numbers (message_key, tenant_id, campaign_id, number)
    SELECT k.message_key, $1, $2, last.number + k.at
    FROM last CROSS JOIN unnest($3::bytea[]) WITH ORDINALITY AS k (message_key, at)
    ON CONFLICT (message_key, tenant_id, campaign_id) DO NOTHING
"""
# A plan made while the table is empty would scan it for each key.
_BY_KEY = "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off"
# With more campaigns than this one statement for all is cheaper than one for each.
_ONE_BY_ONE_MAX = 16


async def number_messages(
    database: Database, keys: Mapping[CampaignName, Collection[bytes]]
) -> dict[CampaignName, dict[bytes, int]]:
    """Return the numbers of messages, from 1 in each campaign.

    Those that have none get the next ones, which is committed before this returns: whoever folds
    them first names them for all. A number that no fold uses in the end finds nothing.
    """
    found: dict[CampaignName, dict[bytes, int]] = {name: {} for name in keys}
    async with database.transaction() as connection:
        await _look_up(connection, keys, found)
    missing = {
        name: [key for key in sorted(wanted) if key not in found[name]]
        for name, wanted in keys.items()
        if len(found[name]) < len(wanted)
    }
    for name, unnumbered in sorted(missing.items()):
        async with database.transaction() as connection:
            await connection.execute(_GIVE, *name, unnumbered)
    if missing:
        async with database.transaction() as connection:
            await _look_up(connection, missing, found)
    return found


async def _look_up(
    connection: Any,
    keys: Mapping[CampaignName, Collection[bytes]],
    found: Mapping[CampaignName, dict[bytes, int]],
) -> None:
    await connection.execute(_BY_KEY)
    if len(keys) <= _ONE_BY_ONE_MAX:
        for name, wanted in keys.items():
            found[name].update(await connection.fetch(_KNOWN_OF_ONE, *name, sorted(wanted)))
        return
    rows = [(*name, key) for name, wanted in keys.items() for key in sorted(wanted)]
    for tenant_id, campaign_id, key, number in await connection.fetch(_KNOWN, *turned(rows, 3)):
        found[tenant_id, campaign_id][key] = number
