"""Read a quarantined callback again, with the code of today."""

from typing import Final

from bluetick.v1.event_pb2 import Quarantined

from libs.runtime.accounts import Account, Accounts
from libs.runtime.replay import Reread
from services.ingest.domain.reading import Reading
from services.ingest.providers.provider import Callback, KeepsParts, Provider
from services.ingest.providers.registry import BY_NAME
from services.ingest.record_callback import EventSink, read_authentic

NO_ACCOUNT: Final = Reread(
    is_read=False,
    reason="ACCOUNT_NOT_FOUND",
    detail="The account is not there any more, or is another tenant's.",
)
NO_WHOLE: Final = Reread(
    is_read=False,
    reason="PART_NOT_REPLAYABLE",
    detail="A part alone; its provider's dialect cannot tell where it belongs.",
)


async def replay_callback(kept: Quarantined, accounts: Accounts, events: EventSink) -> Reread:
    """Read ``kept`` again; say whether the quarantine may let go of it.

    It was authentic when it came, so its signature is not asked for again: the age of a signature
    and a changed secret prove nothing about the past. Events keep the time of that receipt, so that
    reading late gives what reading then would have given.

    Returning with ``is_read`` means durable: what can be read now is on the broker's disk, and so
    are parts that still cannot, as entries of their own. May be repeated, as any callback.

    Raises:
        BrokerUnavailable: not stored for sure; the callback must stay in quarantine.
    """
    account = accounts.find(kept.provider, kept.account)
    provider = BY_NAME.get(kept.provider)
    if account is None or provider is None or account.tenant_id != kept.tenant_id:
        return NO_ACCOUNT
    callback = _callback(kept, account, provider)
    if callback is None:
        return NO_WHOLE
    outcome = read_authentic(callback, account, provider, proof=kept.proof)
    if not isinstance(outcome, Reading):
        return Reread(is_read=False, reason=outcome.reason)
    batch = outcome.batch
    stays = [part for part in batch.quarantined if not _is_less(part, kept)]
    still = [part for part in batch.quarantined if _is_less(part, kept)]
    del batch.quarantined[:]
    batch.quarantined.extend(still)
    event_count = len(batch.events)
    if event_count or still:
        await events.submit(batch)
    if stays:
        return Reread(
            is_read=False,
            event_count=event_count,
            reason=stays[0].reason,
            detail=stays[0].detail,
            is_newer_reason=stays[0].body == kept.body,
        )
    return Reread(is_read=True, event_count=event_count)


def _is_less(part: Quarantined, kept: Quarantined) -> bool:
    """Say whether ``part`` is what remains of ``kept`` after its neighbours could be read."""
    return len(part.body) < len(kept.body) and part.body in kept.body


def _callback(kept: Quarantined, account: Account, provider: Provider) -> Callback | None:
    """Return the request as far as it was kept; None if a part has no whole."""
    body = kept.body
    if kept.is_part:
        if not isinstance(provider, KeepsParts):
            return None
        # The detail begins with the path at which the part was found.
        body = provider.whole_of(body, kept.detail.partition(": ")[0], account)
    elif kept.query and body == kept.query.encode(errors="replace"):
        # A report in a query: quarantine tells contents apart by bytes, so the query stands there.
        body = b""
    return Callback(
        method=kept.method or "POST",
        query=kept.query,
        headers={"content-type": kept.content_type} if kept.content_type else {},
        body=body,
        external_url="",
        receive_time_us=kept.receive_time_us,
    )
