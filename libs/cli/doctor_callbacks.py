"""Asks the gateway how the callbacks of each account are doing."""

from __future__ import annotations

import grpc
from bluetick.v1.ingest_service_pb2 import (
    FINDING_SEVERITY_ERROR,
    FINDING_SEVERITY_WARNING,
    CallbackHealth,
    GetCallbackHealthRequest,
)
from bluetick.v1.ingest_service_pb2_grpc import IngestServiceStub

from libs.cli.doctor_signs import Sign, Signs
from libs.cli.gateway_channel import explain

_DEADLINE_S = 10.0


def callback_signs(gateway: str, api_key: str) -> list[Sign]:
    """Look at the callbacks of the key's tenant."""
    signs = Signs("callbacks")
    if not api_key:
        signs.odd(
            "gateway",
            "Not looked at: there is no API key.",
            "Give one of role SENDER or ADMIN: --api-key or BLUETICK_API_KEY.",
        )
        return signs.found
    try:
        with grpc.insecure_channel(gateway) as channel:
            health = IngestServiceStub(channel).GetCallbackHealth(
                GetCallbackHealthRequest(),
                metadata=(("authorization", f"Bearer {api_key}"),),
                timeout=_DEADLINE_S,
            )
    except grpc.RpcError as error:
        signs.wrong(
            "gateway",
            explain(error, gateway),
            "Start the gateway and status, or mend the address and the key.",
        )
        return signs.found
    signs.fine("gateway", f"{gateway} answers")
    for account in health.accounts:
        _look_at(signs, account)
    if not health.accounts:
        signs.fine("accounts", "no callback and no message yet")
    return signs.found


def _look_at(signs: Signs, account: CallbackHealth) -> None:
    subject = f"{account.provider}/{account.account or '(no account)'}"
    signs.fine(subject, _numbers(account))
    for finding in account.findings:
        if finding.severity == FINDING_SEVERITY_ERROR:
            signs.wrong(subject, finding.what, finding.cure)
        elif finding.severity == FINDING_SEVERITY_WARNING:
            signs.odd(subject, finding.what, finding.cure)
        else:
            signs.fine(subject, finding.what)


def _numbers(account: CallbackHealth) -> str:
    says = f"{account.callback_count:,} callbacks in 24 h"
    if account.HasField("callback_time"):
        says += f", last at {account.callback_time.ToDatetime():%Y-%m-%d %H:%M:%S} UTC"
    if account.HasField("lag"):
        says += f", median lag {account.lag.ToMicroseconds() / 1e6:,.1f} s"
    return says
