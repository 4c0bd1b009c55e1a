"""Every registered provider with an account, callbacks to begin with, and what must always hold."""

import ast
import importlib
import importlib.util
import random
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
from bluetick.v1.event_pb2 import Event

from libs.runtime.accounts import Account
from services.ingest.domain.reading import Reading, holds_nul
from services.ingest.providers.provider import Answer, Authentic, Callback, Provider, Refused
from services.ingest.providers.registry import PROVIDERS
from tests.ingest.meta_bodies import (
    ACCOUNT,
    NOW_US,
    change,
    dump,
    envelope,
    inbound,
    signature,
    status,
)
from tests.ingest.mutations import mutated
from tests.ingest.security_suite import SignedProviderSuite

FOLDER = Path(importlib.util.find_spec("services.ingest.providers.registry").origin or "").parent
URL = "https://hooks.example.com/callbacks"
# What the door may say of a callback, whatever it is (docs: README, "HTTP doors"). A 503 is for
# our own troubles and a 5xx of any other kind for nobody.
REFUSALS = frozenset({400, 401, 403, 405})
_META = envelope(
    change(
        statuses=[status("failed", errors=[{"code": 131050}]), status("read", gs_id="g-1")],
        messages=[inbound("button", context={"id": "wamid.1"}, button={"payload": "p"})],
        errors=[{"code": 1}],
    )
)
_INFOBIP = {"messageId": "m-1", "status": {"groupName": "REJECTED", "id": 6}, "error": {"id": 9}}
_BODIES: dict[str, list[Any]] = {
    "dialog360": [_META, _META["entry"][0]["changes"][0]["value"]],
    "gupshup": [
        {**_META, "gs_app_id": "a"},
        {"type": "message-event", "timestamp": 1_785_900_000_000, "payload": {
            "type": "failed", "gsId": "g-1", "destination": "491700000001", "ts": 1_785_900_000,
            "payload": {"code": 1002, "reason": "x", "pricing": {"policy": "PMP"}}}},
        {"type": "message", "timestamp": 1_785_900_000_000, "payload": {
            "id": "in-1", "type": "reaction", "source": "491700000001", "payload": {"emoji": "x"},
            "context": {"id": "w", "gsId": "g-1"}}},
    ],
    "infobip": [
        {"results": [_INFOBIP, {"event": "MO", "messageId": "i", "content": [{"text": "STOP"}]},
                     {"messageId": "m-2", "from": "4917", "seenAt": "2026-08-05T00:19:00-0300"}]},
        {"notificationType": "CLICKED", "messageId": 7, "recipient": "a@b.c", "url": "https://x"},
        {"content": {"from": "4917", "notificationMessagesStatus": "STOP"}, "createdAt": "x"},
    ],
    "brevo": [
        {"event": "hard_bounce", "email": "a@b", "message-id": "<1@x>",
         "ts_epoch": 1_785_900_000_000, "reason": "550 5.1.1"},
        [{"event": "click", "email": "a@b", "message-id": "<1@x>", "link": "https://x"}],
        {"items": [{"Uuid": ["u"], "From": {"Address": "a@b"}, "InReplyTo": "<1@x>",
                    "RawTextBody": "STOP", "Headers": {"Date": "x"}}]},
    ],
    "azure": [
        [{"eventType": "Microsoft.Communication.EmailDeliveryReportReceived", "eventTime": "x",
          "data": {"messageId": "m", "recipient": "a@b", "status": "Bounced",
                   "deliveryStatusDetails": {"statusMessage": "550 5.1.1"}}}],
        {"type": "Microsoft.Communication.EmailEngagementTrackingReportReceived", "data": {
            "messageId": "m", "engagementType": "click", "engagementContext": "https://x"}},
        [{"eventType": "Microsoft.Communication.SMSReceived", "data": {
            "messageId": "i", "from": "+1", "to": "+2", "message": "STOP"}}],
    ],
    "postmark": [{"RecordType": "Bounce", "Type": "HardBounce", "MessageID": "p", "Email": "a@b"}],
    "generic": [
        {"provider_message_id": "s", "receipt": "id:1 done date:2608050319 stat:UNDELIV err:1"},
        {"messageId": "c", "statusCode": 4, "timestamp": 1_785_900_000_000},
        {"data": {"event_type": "x", "payload": {"id": "t", "to": [{"status": "sent"}]}}},
        [{"type": "message-failed", "message": {"id": "b", "to": ["+1"]}, "errorCode": 4720}],
        b"MessageUUID=p-1&Status=delivered&To=%2B60120000001",
        b"id=k-1&status=9&ts=1785900000",
    ],
}  # fmt: skip


class Target(msgspec.Struct, frozen=True):
    """One provider's door."""

    provider: Provider
    account: Account
    seeds: list[Callback]  # valid, and signed where the provider signs
    suites: list[SignedProviderSuite]
    words: list[str]  # every text in the provider's code: what means something to it

    def signed(self, chance: random.Random, body: bytes) -> Callback | None:
        """``body`` as the provider would sign it; None if it signs nothing or not such a thing."""
        if self.provider.name == "meta":
            return _post(self.account, body, signature(body, ACCOUNT.secrets["app_secret"][0]))
        if not self.suites:
            return None
        try:
            return chance.choice(self.suites).signed(body)
        except (ValueError, LookupError, TypeError, AttributeError, OverflowError):
            return None

    def made_up(self, chance: random.Random) -> Callback:
        """A callback with something odd about it: the body, the query, the headers."""
        seed = chance.choice(self.seeds)
        body = mutated(chance, seed.body or seed.query.encode(), self.words)
        signed = self.signed(chance, body) if chance.random() < 0.7 else None
        callback = signed or msgspec.structs.replace(seed, body=body)
        if chance.random() < 0.3:
            method = chance.choice(sorted(self.provider.methods))
            query = quote(mutated(chance, seed.query.encode() or body, self.words), safe="&=%")
            callback = msgspec.structs.replace(callback, method=method, query=query[:4_000])
        if chance.random() < 0.3:
            headers = {
                name: mutated(chance, value.encode(), self.words).decode("latin-1")
                for name, value in callback.headers.items()
                if chance.random() < 0.8
            }
            callback = msgspec.structs.replace(callback, headers=headers)
        return callback


@cache
def targets() -> dict[str, Target]:
    """Every registered provider, by name: a new one is fuzzed without being named here."""
    return {provider.name: _target(provider) for provider in PROVIDERS}


def _target(provider: Provider) -> Target:
    name = provider.name
    suites = _suites(name)
    if name == "meta":
        account = ACCOUNT
        seeds = [_post(account, dump(_META), signature(dump(_META)))]
    elif suites:
        account = suites[0].account()
        seeds = [suite.signed() for suite in suites]
    else:
        account = Account(
            provider=name, account="acct_1", tenant="demo", options={"unproven": "accept"}
        )
        seeds = [_post(account, dump(body), {}) for body in _BODIES.get(name, [b"{}"])]
    return Target(provider, account, seeds, suites, _words(name))


def _suites(name: str) -> list[SignedProviderSuite]:
    """The security suites of a provider's test, which know how it signs."""
    module = f"tests.ingest.test_{name}"
    if importlib.util.find_spec(module) is not None:
        importlib.import_module(module)
    found = {
        suite.__qualname__: suite
        for suite in SignedProviderSuite.__subclasses__()
        if suite.provider.name == name
    }
    return [found[key]() for key in sorted(found)]


def _post(account: Account, body: bytes, headers: dict[str, str]) -> Callback:
    return Callback(
        method="POST",
        query="",
        headers=headers,
        body=body,
        external_url=f"{URL}/{account.provider}/{account.account}",
        receive_time_us=NOW_US,
    )


def _words(name: str) -> list[str]:
    files = set(FOLDER.glob(f"{name}*.py"))
    if name in ("dialog360", "gupshup"):
        files |= set(FOLDER.glob("meta*.py"))
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text()))]
    texts = {node.value for node in nodes if isinstance(node, ast.Constant)}
    return sorted(text for text in texts if isinstance(text, str) and 0 < len(text) <= 40)


def check(target: Target, callback: Callback) -> None:
    """Claim what must hold for any callback: nothing is raised, and only known answers are given.

    ``parse`` is asked whatever ``authenticate`` says, so that no signature has to be forged.
    """
    provider, account = target.provider, target.account
    greeting = provider.handshake(callback, account)
    assert greeting is None or (isinstance(greeting, Answer) and greeting.http_status < 500)
    verdict = provider.authenticate(callback, account)
    assert isinstance(verdict, Authentic) or _is_allowed(verdict)
    outcome = provider.parse(callback, account)
    if isinstance(outcome, Refused):
        assert _is_allowed(outcome)
        return
    assert isinstance(outcome, Reading)
    for event in outcome.batch.events:
        _check_event(event, account)
    for part in outcome.batch.quarantined:
        assert part.reason and part.reason.isupper()
        assert part.tenant_id == account.tenant
    # Half a character would only be found here, after the callback was promised to be kept.
    outcome.batch.SerializeToString()


def _is_allowed(refused: object) -> bool:
    return isinstance(refused, Refused) and refused.http_status in REFUSALS


def _check_event(event: Event, account: Account) -> None:
    assert event.kind
    assert (event.tenant_id, event.provider) == (account.tenant, account.provider)
    assert event.occur_time_us > 0
    assert len(event.message_key) in (0, 16)
    assert bool(event.provider_message_id) <= bool(event.message_key)
    # What PostgreSQL cannot hold must not come this far.
    assert not holds_nul(event)
    assert len(event.provider_message_id) <= 1_100
    assert len(event.provider_word) <= 64
    assert len(event.provider_code) <= 64
    assert len(event.detail) <= 1_000
