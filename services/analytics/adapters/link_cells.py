"""Clicks per link in PostgreSQL: who clicked it, how often, and what the link is called."""

from typing import Any

from services.analytics.adapters.cell_statements import CAMPAIGN, turned, upsert
from services.analytics.domain.cells import Cells

_ADD_LINKS = upsert(
    "links",
    (*CAMPAIGN, ("link_key", "bytea")),
    ["click_count", "machine_click_count", "people_count", "human_people_count"],
)
# Of several addresses or labels of one link the first in the alphabet, whatever order they come in.
_ADD_NAMES = """
    INSERT INTO analytics.link_names AS known
      (tenant_id, campaign_id, link_key, link_id, url, label, card_index, is_external_button)
    SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::text[], $5::text[], $6::text[],
      $7::bigint[], $8::boolean[])
    ON CONFLICT (tenant_id, campaign_id, link_key) DO UPDATE SET
      url = coalesce(least(nullif(known.url, ''), nullif(excluded.url, '')), ''),
      label = coalesce(least(nullif(known.label, ''), nullif(excluded.label, '')), '')
    WHERE (excluded.url <> '' AND (known.url = '' OR excluded.url < known.url))
      OR (excluded.label <> '' AND (known.label = '' OR excluded.label < known.label))
"""
# Answers by how many people each link's two sets have grown.
_ADD_PEOPLE = """
    WITH moved AS (
      INSERT INTO analytics.link_people AS was
        (tenant_id, campaign_id, link_key, person_key, click_count, machine_click_count)
      SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::bytea[], $5::int[], $6::int[])
      ON CONFLICT (tenant_id, campaign_id, link_key, person_key) DO UPDATE SET
        click_count = was.click_count + excluded.click_count,
        machine_click_count = was.machine_click_count + excluded.machine_click_count
      RETURNING new.tenant_id, new.campaign_id, new.link_key,
        (new.click_count > 0)::int - coalesce((old.click_count > 0)::int, 0) AS people,
        (new.click_count > new.machine_click_count)::int
          - coalesce((old.click_count > old.machine_click_count)::int, 0) AS human_people
    )
    SELECT tenant_id, campaign_id, link_key, sum(people)::bigint, sum(human_people)::bigint
    FROM moved GROUP BY tenant_id, campaign_id, link_key
"""


async def add_links(connection: Any, shard: int, cells: Cells) -> None:
    """Add the clicks per link; rows in one order, everywhere."""
    if not cells.link_people:
        return
    people = sorted((*key, *counts) for key, counts in cells.link_people.items())
    grown = {
        tuple(row)[:3]: tuple(row)[3:]
        for row in await connection.fetch(_ADD_PEOPLE, *turned(people, 6))
    }
    sums: dict[tuple[str, str, bytes], list[int]] = {}
    for tenant_id, campaign_id, key, _, clicks, machine_clicks in people:
        row = sums.setdefault((tenant_id, campaign_id, key), [0, 0])
        row[0] += clicks
        row[1] += machine_clicks
    rows = sorted((*key, *counts, *grown[key]) for key, counts in sums.items())
    names = sorted((*key, *name) for key, name in cells.link_names.items())
    if names:
        await connection.execute(_ADD_NAMES, *turned(names, 8))
    await connection.execute(_ADD_LINKS, shard, *turned(rows, 7))
