"""Says how the callbacks of each account are doing."""

from collections.abc import Sequence
from typing import Final, Protocol

from bluetick.v1.ingest_service_pb2 import (
    CallbackHealth,
    GetCallbackHealthRequest,
    GetCallbackHealthResponse,
)

from libs.runtime.rpc_errors import InvalidArgument
from services.status.domain.account_hours import HOUR_US, is_heard
from services.status.domain.callback_findings import Vitals, findings
from services.status.domain.message import Message
from services.status.domain.spellings import Hint, hints
from services.status.show_message import mask

SILENT_HOURS_MAX: Final = 168
WINDOW_HOURS: Final = 168
DOOR_WINDOW_HOURS: Final = 24
WORDS_MAX: Final = 20
REASONS_MAX: Final = 20


class HealthReader(Protocol):
    """Reads the numbers behind the health of callbacks."""

    async def vitals(
        self,
        tenant_id: str,
        provider: str,
        account: str,
        *,
        first_hour: int,
        silent_before_hour: int,
        doors_since_us: int,
        doors_lately_us: int,
    ) -> list[Vitals]:
        """Return the accounts of which anything is known, by provider and account.

        Args:
            tenant_id: whose.
            provider: only of this one; empty: any.
            account: only of this one; empty: any.
            first_hour: first hour of acceptance that counts, from 1970.
            silent_before_hour: messages accepted before this hour should have been heard of.
            doors_since_us: from when on callbacks count.
            doors_lately_us: from when on refusals are what happens now.
        """

    async def lone_messages(self, tenant_id: str, since_us: int) -> Sequence[Message]:
        """Return some of the latest messages without a record, and some that may have no report."""


async def get_callback_health(
    reader: HealthReader,
    tenant_id: str,
    request: GetCallbackHealthRequest,
    *,
    now_us: int,
    silent_after_h: int,
) -> GetCallbackHealthResponse:
    """Return one entry an account, with findings.

    Args:
        reader: where the numbers are.
        tenant_id: the caller's.
        request: which accounts.
        now_us: the time, microseconds since 1970.
        silent_after_h: the installation's default of ``silent_after_hours``.

    Raises:
        InvalidArgument: the hours are out of range.
    """
    hours = request.silent_after_hours or silent_after_h
    if not 1 <= hours <= SILENT_HOURS_MAX:
        raise InvalidArgument.of(
            "silent_after_hours", f"From 1 to {SILENT_HOURS_MAX}, or 0; it is {hours}."
        )
    this_hour = now_us // HOUR_US
    found = await reader.vitals(
        tenant_id,
        request.provider,
        request.account,
        first_hour=this_hour - WINDOW_HOURS,
        # The hour in which the limit lies is left out: some of its messages are younger.
        silent_before_hour=this_hour - hours,
        doors_since_us=now_us - DOOR_WINDOW_HOURS * HOUR_US,
        doors_lately_us=now_us - HOUR_US,
    )
    if any(vitals.unrecorded_count > 0 and vitals.silent_count > 0 for vitals in found):
        since_us = now_us - WINDOW_HOURS * HOUR_US
        messages = await reader.lone_messages(tenant_id, since_us)
        for vitals in found:
            vitals.hints = _hints(vitals, messages)
    return GetCallbackHealthResponse(accounts=[_health(vitals) for vitals in found])


def _hints(vitals: Vitals, messages: Sequence[Message]) -> list[Hint]:
    """Compare ids of one account; a record may bear no account, or one of another name."""
    reported, recorded = [], []
    for message in messages:
        if message.provider != vitals.provider or not message.provider_message_id:
            continue
        if message.record is not None:
            if not is_heard(message):
                recorded.append(message.provider_message_id)
        elif message.account == vitals.account and not message.is_forwarded:
            reported.append(message.provider_message_id)
    return [
        Hint(_masked(hint.reported), _masked(hint.recorded), hint.differ_by)
        for hint in hints(reported, recorded)
    ]


def _masked(message_id: str) -> str:
    """Return an id whose recipient, which may be a phone or a mailbox, is masked."""
    bare, slash, to = message_id.partition("/")
    return f"{bare}/{mask(to)}" if slash and ("@" in to or to.lstrip("+").isdigit()) else message_id


def _health(vitals: Vitals) -> CallbackHealth:
    health = CallbackHealth(
        provider=vitals.provider,
        account=vitals.account,
        callback_count=vitals.callback_count,
        refused_count=vitals.refused_count,
        quarantined_count=vitals.quarantined_count,
        accepted_count=vitals.accepted_count,
        # Messages of a time before these numbers were kept are heard of, and were never counted.
        silent_count=max(vitals.silent_count, 0),
        delivered_count=vitals.delivered_count,
        read_count=vitals.read_count,
        engaged_count=vitals.engaged_count,
        fast_read_share=vitals.fast_read_share,
        unrecorded_count=max(vitals.unrecorded_count, 0),
        contradicted_count=max(vitals.contradicted_count, 0),
    )
    for hint in vitals.hints:
        health.spelling_hints.add(
            reported_id=hint.reported, recorded_id=hint.recorded, differ_by=hint.differ_by
        )
    if vitals.last_receive_time_us:
        health.callback_time.FromMicroseconds(vitals.last_receive_time_us)
    if vitals.lag_us is not None:
        health.lag.FromMicroseconds(vitals.lag_us)
    for word, count in vitals.unknown_words[:WORDS_MAX]:
        health.unknown_words.add(word=word, count=count)
    for refused in vitals.refusals[:REASONS_MAX]:
        health.refusals.add(
            reason=refused.reason,
            cure=refused.cure,
            count=refused.count,
            last_hour_count=refused.last_hour_count,
        )
    for finding in findings(vitals):
        health.findings.add(
            code=finding.code, severity=finding.severity, what=finding.what, cure=finding.cure
        )
    return health
