"""Numbers messages within their campaigns: first come, kept for ever, so the order never moves."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Set
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
    RETURNING message_key, number
"""
# A plan made while the table is empty would scan it for each key.
_BY_KEY = "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off"
# Messages whose numbers are kept in memory twice over: some 200 bytes each.
_REMEMBERED_MAX = 100_000
# With more campaigns than this one statement for all is cheaper than one for each.
_ONE_BY_ONE_MAX = 16


class MessageNumbers:
    """Numbers of messages, from 1 in each campaign. The latest are kept in memory: most changes are
    of messages that had one a moment before, and a number never changes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        # Those asked for lately, and those before them.
        self._young: defaultdict[CampaignName, dict[bytes, int]] = defaultdict(dict)
        self._old: Mapping[CampaignName, dict[bytes, int]] = {}
        self._young_count = 0

    def forget(self) -> None:
        """Look everything up anew: the database is another one."""
        self._old, self._young, self._young_count = {}, defaultdict(dict), 0

    async def of(
        self, keys: Mapping[CampaignName, Set[bytes]]
    ) -> dict[CampaignName, dict[bytes, int]]:
        """Return the numbers of messages.

        Those that have none get the next ones, which is committed before this returns: whoever
        folds them first names them for all. A number that no fold uses in the end finds nothing.
        """
        found = {name: self._remembered(name, wanted) for name, wanted in keys.items()}
        unknown = {
            name: wanted - found[name].keys()
            for name, wanted in keys.items()
            if len(found[name]) < len(wanted)
        }
        if unknown:
            for name, numbers in (await self._number(unknown)).items():
                found[name] |= numbers
        for name, numbers in found.items():
            self._remember(name, numbers)
        return found

    def _remembered(self, name: CampaignName, wanted: Set[bytes]) -> dict[bytes, int]:
        found: dict[bytes, int] = {}
        for numbers in (self._old.get(name), self._young.get(name)):
            if numbers:
                found.update((key, numbers[key]) for key in numbers.keys() & wanted)
        return found

    def _remember(self, name: CampaignName, numbers: Mapping[bytes, int]) -> None:
        young = self._young[name]
        before = len(young)
        young.update(numbers)
        self._young_count += len(young) - before
        if self._young_count > _REMEMBERED_MAX:
            self._old, self._young, self._young_count = self._young, defaultdict(dict), 0

    async def _number(
        self, keys: Mapping[CampaignName, Collection[bytes]]
    ) -> dict[CampaignName, dict[bytes, int]]:
        database = self._database
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
                found[name].update(await connection.fetch(_GIVE, *name, unnumbered))
        # Those that somebody else named a moment before.
        others = {
            name: [key for key in unnumbered if key not in found[name]]
            for name, unnumbered in missing.items()
            if len(found[name]) < len(keys[name])
        }
        if others:
            async with database.transaction() as connection:
                await _look_up(connection, others, found)
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
