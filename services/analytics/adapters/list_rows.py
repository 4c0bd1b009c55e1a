"""Writes what moves in lists, in the transaction that folds the counters."""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from asyncpg import BitString

from services.analytics.adapters.cell_statements import turned
from services.analytics.domain.cells import CampaignName
from services.analytics.domain.lists.listed import CHUNK, Lists, masks_of, to_bytes

# Tables with a generation.
LIST_TABLES = ["list_bits", "list_acts", "list_contacts"]

_ADD_ACTS = """
    WITH moved AS (
      INSERT INTO analytics.list_acts AS was
        (tenant_id, campaign_id, generation, term, number, acts)
      SELECT * FROM unnest($1::text[], $2::text[], $3::int[], $4::int[], $5::int[], $6::int[])
      ON CONFLICT (tenant_id, campaign_id, generation, term, number)
        DO UPDATE SET acts = was.acts + excluded.acts
      RETURNING new.tenant_id, new.campaign_id, new.term, new.number,
        (new.acts > 0) <> coalesce(old.acts > 0, FALSE) AS is_turned
    )
    SELECT tenant_id, campaign_id, term, number FROM moved WHERE is_turned
"""
_ADD_CONTACTS = """
    INSERT INTO analytics.list_contacts AS was
      (contact_key, tenant_id, campaign_id, generation, number, messages)
    SELECT substring($4::bytea FROM u.at::int * 16 - 15 FOR 16), $1, $2, $3, u.number, u.messages
    FROM unnest($5::int[], $6::smallint[]) WITH ORDINALITY AS u (number, messages, at)
    ON CONFLICT (contact_key, tenant_id, campaign_id, generation, number)
      DO UPDATE SET messages = was.messages + excluded.messages
"""
_TURN = """
    INSERT INTO analytics.list_bits AS was
      (tenant_id, campaign_id, generation, term, chunk, shard, bits)
    SELECT tenant_id, campaign_id, generation, term, chunk, $1::smallint, bits
    FROM unnest($2::text[], $3::text[], $4::int[], $5::int[], $6::int[], $7::varbit[])
      AS u (tenant_id, campaign_id, generation, term, chunk, bits)
    ON CONFLICT (tenant_id, campaign_id, generation, term, chunk, shard)
      DO UPDATE SET bits = was.bits # excluded.bits
"""


class ListRows:
    """Writes into one shard; rows in one order everywhere, so that replicas cannot deadlock."""

    def __init__(self, connection: Any, shard: int) -> None:
        self._connection = connection
        self._shard = shard

    async def add(
        self, lists: Mapping[CampaignName, Lists], generations: Mapping[str, int]
    ) -> None:
        """Add what moves to a generation of each tenant."""
        bits = {(name, *place): m for name, one in lists.items() for place, m in one.bits.items()}
        for name, place, mask in await self._add_acts(lists, generations):
            at = name, *place
            bits[at] = bits.get(at, 0) ^ mask
        await self._add_contacts(lists, generations)
        rows = sorted(
            (*name, generations[name[0]], one, chunk, mask)
            for (name, one, chunk), mask in bits.items()
            if mask
        )
        if rows:
            columns = turned(rows, 6)
            columns[-1] = [
                BitString.frombytes(to_bytes(mask), bitlength=CHUNK) for *_, mask in rows
            ]
            await self._connection.execute(_TURN, self._shard, *columns)

    async def _add_acts(
        self, lists: Mapping[CampaignName, Lists], generations: Mapping[str, int]
    ) -> list[tuple[CampaignName, tuple[int, int], int]]:
        """Return (campaign, (term, chunk), bits) of messages that got their first act of a term, or
        lost their last one."""
        rows = sorted(
            (*name, generations[name[0]], *place, n)
            for name, one in lists.items()
            for place, n in one.acts.items()
        )
        if not rows:
            return []
        found = await self._connection.fetch(_ADD_ACTS, *turned(rows, 6))
        return [
            ((tenant_id, campaign_id), (one, chunk), mask)
            for tenant_id, campaign_id, one, number in found
            for chunk, mask in masks_of((number,)).items()
        ]

    async def _add_contacts(
        self, lists: Mapping[CampaignName, Lists], generations: Mapping[str, int]
    ) -> None:
        # Of one campaign there may be as many as messages, so what all rows share is said once.
        for name, one in sorted(lists.items()):
            rows = sorted(
                (contact_key(name[0], contact), number, n)
                for (contact, number), n in one.contacts.items()
            )
            if rows:
                keys, numbers, counts = zip(*rows, strict=True)
                place = *name, generations[name[0]]
                columns = b"".join(keys), numbers, counts
                await self._connection.execute(_ADD_CONTACTS, *place, *columns)


def contact_key(tenant_id: str, contact_id: str) -> bytes:
    """Return 16 bytes that stand for a person as the sender names it."""
    return blake2b(f"{tenant_id}\x00{contact_id}".encode(), digest_size=16).digest()
