"""Say what a callback would become; store nothing."""

from typing import Final

from bluetick.v1.event_pb2 import Event
from bluetick.v1.ingest_service_pb2 import (
    CallbackEvent,
    CallbackQuarantined,
    CallbackRefused,
    TestCallbackRequest,
    TestCallbackResponse,
)
from google.protobuf.timestamp_pb2 import Timestamp

from libs.runtime.accounts import Account, Accounts
from libs.runtime.rpc_errors import NotFound
from services.ingest.domain.link_token import LinkKeyring
from services.ingest.domain.times import AHEAD_S_MAX
from services.ingest.providers.provider import Answer, Callback, Provider, Refused
from services.ingest.providers.registry import BY_NAME
from services.ingest.record_callback import answer_to, read_callback

_COPIED: Final = (
    "kind", "provider_message_id", "message_ref", "address", "provider_code", "reason",
    "topic",
    "provider_word", "detail", "is_time_clamped", "is_time_untold", "own_address", "channel",
    "part_id", "part_count", "proof",
)  # fmt: skip


def try_callback(
    request: TestCallbackRequest,
    *,
    tenant_id: str,
    accounts: Accounts,
    now_us: int,
    public_url: str,
    body_bytes_max: int,
    signature_age_s_max: int,
    time_ahead_s_max: int = AHEAD_S_MAX,
    link_keys: LinkKeyring | None = None,
) -> TestCallbackResponse:
    """Return what the door would answer, and the events and quarantined parts that it would store.

    The way is the door's own: what is true here is true there.

    Raises:
        NotFound: the caller's tenant has no such account, or its provider has no dialect here.
    """
    account = accounts.find(request.provider, request.account)
    provider = BY_NAME.get(request.provider)
    if account is None or provider is None or account.tenant_id != tenant_id:
        raise NotFound(
            "There is no such account.",
            reason="ACCOUNT_NOT_FOUND",
            metadata={"provider": request.provider, "account": request.account},
        )
    method = request.method.upper() or "POST"
    if method not in provider.methods:
        return _refused("METHOD_NOT_ALLOWED", 405)
    if len(request.body) > min(account.limits.body_bytes_max or body_bytes_max, body_bytes_max):
        return _refused("BODY_TOO_LARGE", 413)
    url = f"{public_url.rstrip('/')}/callbacks/{account.provider}/{account.account}"
    callback = Callback(
        method=method,
        query=request.query,
        headers={name.lower(): value for name, value in request.headers.items()},
        body=request.body,
        external_url=f"{url}?{request.query}" if request.query else url,
        receive_time_us=now_us,
        signature_age_s_max=signature_age_s_max,
        time_ahead_s_max=time_ahead_s_max,
        link_keys=link_keys,
        is_trial=True,
    )
    return _response(callback, account, provider)


def _response(callback: Callback, account: Account, provider: Provider) -> TestCallbackResponse:
    outcome = read_callback(callback, account, provider)
    if isinstance(outcome, Refused):
        return _refused(outcome.reason, outcome.http_status, outcome.cure)
    if isinstance(outcome, Answer):
        if outcome.http_status >= 400:
            return _refused("HANDSHAKE_REFUSED", outcome.http_status)
        return TestCallbackResponse(
            http_status=outcome.http_status, answer=outcome.body.decode(errors="replace")
        )
    answer = answer_to(outcome, provider)
    return TestCallbackResponse(
        events=[_event(event) for event in outcome.batch.events],
        quarantined=[
            CallbackQuarantined(reason=part.reason, detail=part.detail)
            for part in outcome.batch.quarantined
        ],
        http_status=answer.http_status,
        answer=answer.body.decode(errors="replace"),
    )


def _refused(reason: str, http_status: int, cure: str = "") -> TestCallbackResponse:
    return TestCallbackResponse(
        refused=CallbackRefused(reason=reason, http_status=http_status, cure=cure),
        http_status=http_status,
    )


def _event(event: Event) -> CallbackEvent:
    shown = CallbackEvent(occur_time=Timestamp())
    for name in _COPIED:
        setattr(shown, name, getattr(event, name))
    shown.occur_time.FromMicroseconds(event.occur_time_us)
    shown.also_known_as.extend(event.also_known_as)
    if event.HasField("pricing"):
        shown.pricing.CopyFrom(event.pricing)
    if event.HasField("engagement"):
        shown.engagement.CopyFrom(event.engagement)
    return shown
