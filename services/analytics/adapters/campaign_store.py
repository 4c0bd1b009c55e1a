"""Campaigns in PostgreSQL."""

from collections.abc import Callable, Sequence
from typing import Any

from bluetick.v1 import campaign_service_pb2 as pb

from libs.runtime.database import Database
from libs.runtime.rpc_errors import AlreadyExists
from services.analytics.keep_campaigns import Creation, StoredCampaign

_COLUMNS = """campaign_id, kind, state, create_time_us, update_time_us, is_implicit, body,
  creation_hash"""
_REQUEST = """
    INSERT INTO analytics.campaign_requests (tenant_id, request_id, campaign_id, creation_hash)
    VALUES ($1, $2, $3, $4)
    ON CONFLICT (tenant_id, request_id) DO NOTHING
    RETURNING TRUE
"""
_REQUESTED = """
    SELECT campaign_id, creation_hash FROM analytics.campaign_requests
    WHERE tenant_id = $1 AND request_id = $2
"""
# A campaign that a message named first is filled in; it keeps its age and has been started.
_CREATE = f"""
    INSERT INTO analytics.campaigns AS known (tenant_id, campaign_id, kind, state, tags,
      create_time_us, update_time_us, is_implicit, body, creation_hash)
    VALUES ($1, $2, $3, $4, $5, $6, $6, FALSE, $7, $8)
    ON CONFLICT (tenant_id, campaign_id) DO UPDATE
      SET kind = excluded.kind, state = greatest(excluded.state, known.state),
        tags = excluded.tags, update_time_us = excluded.update_time_us, is_implicit = FALSE,
        body = excluded.body, creation_hash = excluded.creation_hash
      WHERE known.is_implicit
    RETURNING {_COLUMNS}
"""  # noqa: S608 constants only
_GET = f"""
    SELECT {_COLUMNS} FROM analytics.campaigns WHERE tenant_id = $1 AND campaign_id = $2
"""  # noqa: S608 constants only
_UPDATE = f"""
    UPDATE analytics.campaigns
    SET kind = $3, state = $4, tags = $5, update_time_us = $6, is_implicit = FALSE, body = $7
    WHERE tenant_id = $1 AND campaign_id = $2
    RETURNING {_COLUMNS}
"""  # noqa: S608 constants only
_SHOWN = "coalesce((SELECT g.shown FROM analytics.generations g WHERE g.tenant_id = $1), 1)"
_CHANNELS = f"""
    SELECT campaign_id, channel FROM analytics.totals
    WHERE tenant_id = $1 AND campaign_id = ANY($2::text[]) AND channel <> 0
      AND generation = {_SHOWN}
    GROUP BY campaign_id, channel HAVING sum(targeted) > 0
    ORDER BY channel
"""  # noqa: S608 constants only
_HAS_CHANNEL = f"""
    SELECT sum(targeted) > 0 FROM analytics.totals t
    WHERE t.tenant_id = c.tenant_id AND t.campaign_id = c.campaign_id AND t.channel = ${{}}
      AND t.generation = {_SHOWN}
"""  # noqa: S608 constants only


class PostgresCampaigns:
    """See keep_campaigns.CampaignStore.

    ``database`` writes, ``reads`` reads: a row that somebody has locked keeps no reader waiting.
    """

    def __init__(self, database: Database, reads: Database) -> None:
        self._database = database
        self._reads = reads

    async def create(self, creation: Creation) -> StoredCampaign:
        """See keep_campaigns.CampaignStore.create."""

        async def work(connection: Any) -> StoredCampaign:
            campaign_id = creation.campaign.campaign_id
            if creation.request_id:
                campaign_id = await _claim_request(connection, creation)
            row = None
            if campaign_id == creation.campaign.campaign_id:
                row = await connection.fetchrow(_CREATE, *_creation_values(creation))
            row = row or await connection.fetchrow(_GET, creation.tenant_id, campaign_id)
            campaign = (await _with_channels(connection, creation.tenant_id, [row]))[0]
            return StoredCampaign(campaign, row["creation_hash"])

        return await self._database.run(work)

    async def update(
        self,
        tenant_id: str,
        campaign_id: str,
        change: Callable[[pb.Campaign], pb.Campaign],
        now_us: int,
    ) -> pb.Campaign | None:
        """See keep_campaigns.CampaignStore.update."""

        async def work(connection: Any) -> pb.Campaign | None:
            known = await connection.fetchrow(_GET + " FOR UPDATE", tenant_id, campaign_id)
            if known is None:
                return None
            new = change(_campaign(known))
            row = await connection.fetchrow(
                _UPDATE, tenant_id, campaign_id, new.kind, new.state, list(new.tags), now_us,
                new.SerializeToString(),
            )  # fmt: skip
            return (await _with_channels(connection, tenant_id, [row]))[0]

        return await self._database.run(work)

    async def get(self, tenant_id: str, campaign_id: str) -> pb.Campaign | None:
        """See keep_campaigns.CampaignStore.get."""
        async with self._reads.transaction() as connection:
            row = await connection.fetchrow(_GET, tenant_id, campaign_id)
            return (await _with_channels(connection, tenant_id, [row]))[0] if row else None

    async def page(
        self, tenant_id: str, where: pb.CampaignFilter, after: tuple[int, str] | None, limit: int
    ) -> Sequence[pb.Campaign]:
        """See keep_campaigns.CampaignStore.page."""
        conditions, values = _conditions(where, after, [tenant_id])
        statement = f"""
            SELECT {_COLUMNS} FROM analytics.campaigns c
            WHERE {" AND ".join(["tenant_id = $1", *conditions])}
            ORDER BY create_time_us DESC, campaign_id DESC LIMIT {int(limit)}
        """  # noqa: S608 conditions are constants, values are bound
        async with self._reads.transaction() as connection:
            rows = await connection.fetch(statement, *values)
            return await _with_channels(connection, tenant_id, rows)


def _conditions(
    where: pb.CampaignFilter, after: tuple[int, str] | None, values: list[Any]
) -> tuple[list[str], list[Any]]:
    """Return conditions and the values that they are bound to, ``values`` first."""
    conditions: list[str] = []

    def add(condition: str, *bound: Any) -> None:
        first = len(values) + 1
        values.extend(bound)
        conditions.append(condition.format(*range(first, len(values) + 1)))

    if where.tag:
        add("tags @> ARRAY[${}::text]", where.tag)
    if where.kind:
        add("kind = ${}", where.kind)
    if where.state:
        add("state = ${}", where.state)
    if where.channel:
        add(f"({_HAS_CHANNEL})", where.channel)
    if where.create_time.HasField("start_time"):
        add("create_time_us >= ${}", where.create_time.start_time.ToMicroseconds())
    if where.create_time.HasField("end_time"):
        add("create_time_us < ${}", where.create_time.end_time.ToMicroseconds())
    if after is not None:
        add("(create_time_us, campaign_id) < (${}::bigint, ${}::text)", *after)
    return conditions, values


async def _claim_request(connection: Any, creation: Creation) -> str:
    """Return the id of the campaign that this request id made, or makes now."""
    key = creation.tenant_id, creation.request_id
    claim = creation.campaign.campaign_id, creation.creation_hash
    if await connection.fetchval(_REQUEST, *key, *claim):
        return creation.campaign.campaign_id
    campaign_id, creation_hash = await connection.fetchrow(_REQUESTED, *key)
    if creation_hash != creation.creation_hash:
        raise AlreadyExists(
            "This request_id came with another campaign before; use a new one.",
            reason="REQUEST_ID_REUSED",
            metadata={"campaign_id": campaign_id},
        )
    return str(campaign_id)


def _creation_values(creation: Creation) -> tuple[Any, ...]:
    campaign = creation.campaign
    return (
        creation.tenant_id,
        campaign.campaign_id,
        campaign.kind,
        campaign.state,
        list(campaign.tags),
        creation.now_us,
        campaign.SerializeToString(),
        creation.creation_hash,
    )


def _campaign(row: Any) -> pb.Campaign:
    campaign = pb.Campaign.FromString(row["body"])
    campaign.campaign_id = row["campaign_id"]
    campaign.kind, campaign.state = row["kind"], row["state"]
    campaign.is_implicit = row["is_implicit"]
    campaign.create_time.FromMicroseconds(row["create_time_us"])
    campaign.update_time.FromMicroseconds(row["update_time_us"])
    return campaign


async def _with_channels(connection: Any, tenant_id: str, rows: Sequence[Any]) -> list[pb.Campaign]:
    campaigns = {row["campaign_id"]: _campaign(row) for row in rows}
    if campaigns:
        for row in await connection.fetch(_CHANNELS, tenant_id, list(campaigns)):
            campaigns[row["campaign_id"]].channels.append(row["channel"])
    return list(campaigns.values())
