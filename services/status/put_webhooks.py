"""Keeps the endpoints of a tenant's webhooks: each field looked at, each secret sealed."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import msgspec
from bluetick.v1 import webhook_service_pb2 as pb
from google.protobuf.timestamp_pb2 import Timestamp

from libs.runtime.accounts import NAME
from libs.runtime.paging import Paging
from libs.runtime.rpc_errors import FailedPrecondition, InvalidArgument, NotFound
from libs.runtime.secret_box import Sealed
from services.status.domain.watch_place import Place
from services.status.domain.webhook_signing import new_secret
from services.status.domain.webhook_urls import Target, UrlProblem, target_of
from services.status.domain.webhooks import BY_CALL, Endpoint, EndpointSecret, purpose_of
from services.status.watch_changes import Feed, check_filter, start_place
from services.status.webhook_ports import EndpointStore, Sealer

ENDPOINTS_MAX: Final = 20  # of a tenant
SECRETS_MAX: Final = 2
DESCRIPTION_CHARACTERS_MAX: Final = 256
RETIRE_AFTER_S: Final = 24 * 3600
RETIRE_AFTER_S_MAX: Final = 30 * 24 * 3600
_SECOND_US: Final = 1_000_000
# By endpoint id.
_PAGES: Paging[tuple[str, ...]] = Paging(tuple[str, ...])

# From where an endpoint leads to why it must not; empty: it may.
Check = Callable[[Target], Awaitable[str]]


@dataclass(frozen=True, kw_only=True)
class Tools:
    """What the calls work with."""

    store: EndpointStore
    sealer: Sealer
    feed: Feed
    check: Check
    is_closed: bool  # the network: private addresses, http and any port may be used


async def put_endpoint(
    request: pb.PutEndpointRequest, *, tenant_id: str, now_us: int, tools: Tools
) -> pb.PutEndpointResponse:
    """Store an endpoint.

    Raises:
        InvalidArgument: a field cannot be used; names it, its limit and the cure.
        FailedPrecondition: there is no key to seal with, or the tenant has as many as it may.
        Outage: it may or may not be stored.
    """
    await _check(request, tools)
    look = await tools.feed.look()
    told = ""

    def decide(known: Endpoint | None, count: int) -> Endpoint:
        nonlocal told
        if known is None and count >= ENDPOINTS_MAX:
            raise FailedPrecondition(
                f"The tenant has {ENDPOINTS_MAX} endpoints, the most it may; delete one first.",
                reason="ENDPOINTS_TOO_MANY",
                metadata={"limit": str(ENDPOINTS_MAX)},
            )
        told = "" if known is not None else new_secret()
        base = known or Endpoint(
            tenant_id=tenant_id,
            endpoint_id=request.endpoint_id,
            url="",
            description="",
            filter=b"",
            disable_reason="",
            secrets=[sealed(tools.sealer, tenant_id, request.endpoint_id, told, now_us)],
            create_time_us=now_us,
            update_time_us=0,
            revision=0,
            stream_id=look.stream_id,
            place=Place(look.last_seq + 1),
        )
        return msgspec.structs.replace(
            base,
            url=request.url,
            description=request.description,
            filter=request.filter.SerializeToString(),
            disable_reason=BY_CALL if request.is_disabled else "",
            secrets=[_resealed(tools.sealer, base, one) for one in base.secrets],
            update_time_us=now_us,
            revision=base.revision + 1,
        )

    await tools.store.change(tenant_id, request.endpoint_id, decide)
    shown = await show(tools.store, tenant_id, request.endpoint_id)
    return pb.PutEndpointResponse(endpoint=shown, secret=told)


async def rotate_endpoint_secret(
    request: pb.RotateEndpointSecretRequest, *, tenant_id: str, now_us: int, tools: Tools
) -> pb.RotateEndpointSecretResponse:
    """Make another secret.

    Raises:
        InvalidArgument, NotFound, Outage: as above.
        FailedPrecondition: no key to seal with, or two secrets sign already.
    """
    must_seal(tools.sealer)
    after_us = RETIRE_AFTER_S * _SECOND_US
    if request.HasField("retire_after"):
        after_us = request.retire_after.ToMicroseconds()
        if not 0 <= after_us <= RETIRE_AFTER_S_MAX * _SECOND_US:
            raise InvalidArgument.of(
                "retire_after", f"From 0 to {RETIRE_AFTER_S_MAX} s; absent: {RETIRE_AFTER_S} s."
            )
    told = new_secret()

    def decide(known: Endpoint | None, _count: int) -> Endpoint:
        endpoint = owned(known)
        live = [one for one in endpoint.secrets if one.is_live(now_us)]
        if len(live) >= SECRETS_MAX and after_us:
            raise FailedPrecondition(
                f"{SECRETS_MAX} secrets sign already; wait until one has ended (expire_time), or "
                "send retire_after 0 to end both at once.",
                reason="SECRETS_TOO_MANY",
                metadata={"limit": str(SECRETS_MAX)},
            )
        ending = [_ending(one, now_us + after_us) for one in live] if after_us else []
        new = sealed(tools.sealer, tenant_id, endpoint.endpoint_id, told, now_us)
        return msgspec.structs.replace(
            endpoint, secrets=[new, *ending], revision=endpoint.revision + 1
        )

    await tools.store.change(tenant_id, request.endpoint_id, decide)
    shown = await show(tools.store, tenant_id, request.endpoint_id)
    return pb.RotateEndpointSecretResponse(endpoint=shown, secret=told)


async def replay_changes(
    request: pb.ReplayChangesRequest, *, tenant_id: str, tools: Tools
) -> pb.ReplayChangesResponse:
    """Go on from a time.

    Raises:
        InvalidArgument: no time.
        NotFound, Outage: as above.
        OutOfRange: the stream begins later.
    """
    if not request.HasField("start_time"):
        raise InvalidArgument.of("start_time", "Required: from when on changes are sent again.")
    look = await tools.feed.look()
    place = await start_place(tools.feed, look, request.start_time.ToMicroseconds())

    def decide(known: Endpoint | None, _count: int) -> Endpoint:
        endpoint = owned(known)
        return msgspec.structs.replace(
            endpoint,
            stream_id=look.stream_id,
            place=place,
            revision=endpoint.revision + 1,
        )

    await tools.store.change(tenant_id, request.endpoint_id, decide)
    shown = await show(tools.store, tenant_id, request.endpoint_id)
    return pb.ReplayChangesResponse(endpoint=shown)


async def delete_endpoint(
    request: pb.DeleteEndpointRequest, *, tenant_id: str, tools: Tools
) -> pb.DeleteEndpointResponse:
    """Remove an endpoint with all that waits for it. Raises NotFound, Outage."""

    def nothing(known: Endpoint | None, _count: int) -> None:
        owned(known)

    await tools.store.change(tenant_id, request.endpoint_id, nothing)
    return pb.DeleteEndpointResponse()


async def list_endpoints(
    request: pb.ListEndpointsRequest, *, tenant_id: str, tools: Tools
) -> pb.ListEndpointsResponse:
    """Return a page, by id. Raises InvalidArgument, Outage."""
    size, after = _PAGES.size(request), _PAGES.after(tenant_id, request)
    found = await tools.store.read(tenant_id, after[0] if after else "", size + 1)
    answer = pb.ListEndpointsResponse(endpoints=map(shown_as, found[:size]))
    if len(found) > size:
        answer.next_page_token = _PAGES.token(tenant_id, request, (found[size - 1].endpoint_id,))
    return answer


async def show(store: EndpointStore, tenant_id: str, endpoint_id: str) -> pb.WebhookEndpoint:
    """Return an endpoint as it is now. Raises NotFound."""
    return shown_as(owned(await store.one(tenant_id, endpoint_id)))


def owned(known: Endpoint | None) -> Endpoint:
    """Return the endpoint, if there is one."""
    if known is None:
        raise NotFound("There is no such endpoint.", reason="ENDPOINT_NOT_FOUND")
    return known


def shown_as(endpoint: Endpoint) -> pb.WebhookEndpoint:
    """Return what callers see: no secret."""
    shown = pb.WebhookEndpoint(
        endpoint_id=endpoint.endpoint_id,
        url=endpoint.url,
        description=endpoint.description,
        is_disabled=bool(endpoint.disable_reason),
        disable_reason=endpoint.disable_reason,
        create_time=time_of(endpoint.create_time_us),
        update_time=time_of(endpoint.update_time_us),
        last_success_time=time_of(endpoint.success_time_us),
        last_failure_time=time_of(endpoint.failure_time_us),
        last_failure=endpoint.failure,
        waiting_count=endpoint.waiting_count,
        dead_letter_count=endpoint.dead_count,
        missed_time=time_of(endpoint.missed_time_us),
        secrets=[
            pb.WebhookSecretName(
                create_time=time_of(one.create_time_us), expire_time=time_of(one.expire_time_us)
            )
            for one in endpoint.secrets
        ],
    )
    shown.filter.ParseFromString(endpoint.filter)
    return shown


def time_of(time_us: int) -> Timestamp | None:
    """Return the time; 0: none."""
    if not time_us:
        return None
    seconds, rest = divmod(time_us, _SECOND_US)
    return Timestamp(seconds=seconds, nanos=rest * 1_000)


def must_seal(sealer: Sealer) -> None:
    """Refuse to keep a secret in clear."""
    if not sealer:
        raise FailedPrecondition(
            "No key to seal secrets with: set BLUETICK_ACCOUNT_KEYS at status, as at ingest.",
            reason="ACCOUNT_KEYS_MISSING",
        )


def sealed(
    sealer: Sealer, tenant_id: str, endpoint_id: str, secret: str, now_us: int
) -> EndpointSecret:
    """Return a new secret as it is stored."""
    secret_id = f"{now_us:x}"
    made = sealer.seal(secret, purpose_of(tenant_id, endpoint_id, secret_id))
    return EndpointSecret(secret_id, made.seal_key_id, made.sealed, now_us)


def _resealed(sealer: Sealer, endpoint: Endpoint, secret: EndpointSecret) -> EndpointSecret:
    """Return it under the key that seals now; as it is where no key opens it."""
    purpose = purpose_of(endpoint.tenant_id, endpoint.endpoint_id, secret.secret_id)
    opened = sealer.open(Sealed(secret.seal_key_id, secret.sealed), purpose)
    if opened is None:
        return secret
    made = sealer.seal(opened, purpose)
    return msgspec.structs.replace(secret, seal_key_id=made.seal_key_id, sealed=made.sealed)


def _ending(secret: EndpointSecret, end_us: int) -> EndpointSecret:
    if secret.expire_time_us and secret.expire_time_us < end_us:
        return secret
    return msgspec.structs.replace(secret, expire_time_us=end_us)


async def _check(request: pb.PutEndpointRequest, tools: Tools) -> None:
    if not NAME.fullmatch(request.endpoint_id):
        raise InvalidArgument.of(
            "endpoint_id", "1 to 64 characters of letters, digits, '-' and '_'; choose one."
        )
    if len(request.description) > DESCRIPTION_CHARACTERS_MAX or "\x00" in request.description:
        raise InvalidArgument.of(
            "description", f"At most {DESCRIPTION_CHARACTERS_MAX} characters, without NUL."
        )
    check_filter(request.filter)
    must_seal(tools.sealer)
    try:
        target = target_of(request.url, is_closed=tools.is_closed)
    except UrlProblem as problem:
        raise InvalidArgument.of("url", str(problem)) from None
    try:
        refusal = await tools.check(target)
    except TimeoutError:
        refusal = ""  # judged again at each connection
    if refusal:
        raise InvalidArgument.of("url", f"Refused: {refusal}.")
