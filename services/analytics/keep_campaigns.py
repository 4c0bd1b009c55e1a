"""Use cases: create, change, return and list campaigns."""

from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Protocol

import msgspec
from bluetick.v1 import campaign_service_pb2 as pb
from bluetick.v1.common_pb2 import Channel

from libs.runtime.paging import Paging
from libs.runtime.rpc_errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound
from services.analytics.domain.campaign_rules import (
    REQUEST_ID_CHARACTERS_MAX,
    problems_of,
    without_output,
)
from services.analytics.domain.times import NoTime, microseconds

# By create time (us) and id, newest first.
_PAGES: Paging[tuple[int, str]] = Paging(tuple[int, str])


class StoredCampaign(msgspec.Struct, frozen=True):
    """A campaign as the table holds it."""

    campaign: pb.Campaign
    creation_hash: bytes


class Creation(msgspec.Struct, frozen=True):
    """A campaign to create, checked and with its defaults."""

    tenant_id: str
    campaign: pb.Campaign
    creation_hash: bytes
    request_id: str
    now_us: int


class CampaignStore(Protocol):
    """Where campaigns are kept."""

    async def create(self, creation: Creation) -> StoredCampaign:
        """Store the campaign, or fill in one that a message had named; else return what is there.

        Raises:
            AlreadyExists: another body came under this request id.
        """

    async def update(
        self,
        tenant_id: str,
        campaign_id: str,
        change: Callable[[pb.Campaign], pb.Campaign],
        now_us: int,
    ) -> pb.Campaign | None:
        """Replace the campaign by ``change`` of it, alone; None if there is none."""

    async def get(self, tenant_id: str, campaign_id: str) -> pb.Campaign | None:
        """Return the campaign; None if there is none."""

    async def page(
        self, tenant_id: str, where: pb.CampaignFilter, after: tuple[int, str] | None, limit: int
    ) -> Sequence[pb.Campaign]:
        """Return campaigns that come after ``after`` (create time in us, id), newest first."""


async def create_campaign(
    store: CampaignStore,
    tenant_id: str,
    request: pb.CreateCampaignRequest,
    *,
    now_us: int,
    new_id: Callable[[], str],
) -> pb.Campaign:
    """Create a campaign; the same creation again, or a retry, answers the stored one.

    Raises:
        InvalidArgument: a field breaks a limit.
        AlreadyExists: the id, or the request id, belongs to another campaign.
    """
    campaign = without_output(request.campaign)
    problems = problems_of(campaign)
    if len(request.request_id) > REQUEST_ID_CHARACTERS_MAX or "\x00" in request.request_id:
        problems.append(
            ("request_id", f"At most {REQUEST_ID_CHARACTERS_MAX} printable characters.")
        )
    _refuse(problems)
    creation_hash = blake2b(campaign.SerializeToString(deterministic=True), digest_size=16).digest()
    campaign.campaign_id = campaign.campaign_id or new_id()
    campaign.kind = campaign.kind or pb.CAMPAIGN_KIND_BROADCAST
    campaign.state = campaign.state or pb.CAMPAIGN_STATE_DRAFT
    stored = await store.create(
        Creation(tenant_id, campaign, creation_hash, request.request_id, now_us)
    )
    if stored.creation_hash != creation_hash:
        raise AlreadyExists(
            f"Campaign {campaign.campaign_id} exists with other properties; use UpdateCampaign.",
            reason="CAMPAIGN_ALREADY_EXISTS",
            metadata={"campaign_id": campaign.campaign_id},
        )
    return stored.campaign


async def update_campaign(
    store: CampaignStore, tenant_id: str, request: pb.UpdateCampaignRequest, *, now_us: int
) -> pb.Campaign:
    """Replace what the caller may set; an unspecified kind or state stays as it is.

    Raises:
        InvalidArgument: a field breaks a limit.
        NotFound: there is no such campaign.
        FailedPrecondition: it has been sent, so it cannot be a draft again.
    """
    wanted = without_output(request.campaign)
    problems = problems_of(wanted)
    if not wanted.campaign_id:
        problems.append(("campaign.campaign_id", "Required; name the campaign to change."))
    _refuse(problems)

    def change(known: pb.Campaign) -> pb.Campaign:
        draft = pb.CAMPAIGN_STATE_DRAFT
        if wanted.state == draft and known.state != draft:
            raise FailedPrecondition(
                f"Campaign {wanted.campaign_id} has been started; it cannot be a draft again.",
                reason="CAMPAIGN_STARTED",
                metadata={"campaign_id": wanted.campaign_id},
            )
        wanted.kind = wanted.kind or known.kind
        wanted.state = wanted.state or known.state
        return wanted

    stored = await store.update(tenant_id, wanted.campaign_id, change, now_us)
    if stored is None:
        raise not_found(wanted.campaign_id)
    return stored


async def get_campaign(store: CampaignStore, tenant_id: str, campaign_id: str) -> pb.Campaign:
    """Return a campaign.

    Raises:
        NotFound: there is none of this id.
    """
    found = None if "\x00" in campaign_id else await store.get(tenant_id, campaign_id)
    if found is None:
        raise not_found(campaign_id)
    return found


async def list_campaigns(
    store: CampaignStore, tenant_id: str, request: pb.ListCampaignsRequest
) -> pb.ListCampaignsResponse:
    """Return a page of campaigns, newest first.

    Raises:
        InvalidArgument: a page size out of range, or a token of another question.
    """
    size = _PAGES.size(request)
    _refuse(_problems_of_filter(request.filter))
    after = _PAGES.after(tenant_id, request)
    # One more than asked for tells whether there is another page.
    found = await store.page(tenant_id, request.filter, after, size + 1)
    answer = pb.ListCampaignsResponse(campaigns=found[:size])
    if len(found) > size:
        last = found[size - 1]
        key = last.create_time.ToMicroseconds(), last.campaign_id
        answer.next_page_token = _PAGES.token(tenant_id, request, key)
    return answer


def not_found(campaign_id: str) -> NotFound:
    """Return the error for a campaign that is not there."""
    return NotFound(
        f"There is no campaign {campaign_id[:128]}: nobody created it and no message names it.",
        reason="CAMPAIGN_NOT_FOUND",
        metadata={"campaign_id": campaign_id[:128]},
    )


def _problems_of_filter(where: pb.CampaignFilter) -> list[tuple[str, str]]:
    problems = []
    if "\x00" in where.tag:
        problems.append(("filter.tag", "No tag has such characters; correct it."))
    known = {"channel": Channel, "kind": pb.CampaignKind, "state": pb.CampaignState}
    for field, words in known.items():
        if getattr(where, field) not in words.values():
            problems.append((f"filter.{field}", "Not a known value; leave it out for any."))
    for field in ("start_time", "end_time"):
        try:
            microseconds(getattr(where.create_time, field))
        except NoTime:
            name = f"filter.create_time.{field}"
            problems.append((name, "Outside the years 1 to 9999; correct it."))
    return problems


def _refuse(problems: list[tuple[str, str]]) -> None:
    if problems:
        text = " ".join(f"{field}: {problem}" for field, problem in problems)
        raise InvalidArgument(text, violations=problems)
