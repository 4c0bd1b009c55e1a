from typing import Any

import pytest
from bluetick.v1.event_pb2 import EventBatch
from bluetick.v1.ingest_service_pb2 import TestCallbackRequest as Request

from libs.runtime.accounts import Account, Accounts
from libs.runtime.broker import BrokerUnavailable
from services.ingest.providers.provider import Answer, AsksOutside, Refused
from services.ingest.providers.registry import PROVIDERS
from services.ingest.providers.ses import Ses
from services.ingest.record_outside_callback import record_outside_callback
from services.ingest.try_callback import try_callback
from tests.ingest.email_callbacks import NOW_US, account, post
from tests.ingest.sns_signing import (
    CERTIFICATE_URL,
    SUBSCRIBE_URL,
    TOPIC,
    confirmation,
    envelope,
    signer,
)

KEY, PEM = signer("first")


class Sink:
    """Takes batches, or cannot."""

    def __init__(self, *, is_down: bool = False) -> None:
        self.batches: list[EventBatch] = []
        self._is_down = is_down

    async def submit(self, batch: EventBatch) -> None:
        if self._is_down:
            raise BrokerUnavailable("down")
        self.batches.append(batch)


class Requests:
    """Keeps what would be called."""

    def __init__(self, certificate: str = PEM, *, is_confirmed: bool = True) -> None:
        self.urls: list[str] = []
        self._certificate = certificate
        self._is_confirmed = is_confirmed

    async def certificate(self, url: str) -> str:
        self.urls.append(url)
        return self._certificate

    async def confirm(self, url: str) -> bool:
        self.urls.append(url)
        return self._is_confirmed


async def _record(
    body: bytes, owner: Account, requests: Requests, sink: Sink | None = None
) -> Answer | Refused:
    callback = post("ses", body)
    return await record_outside_callback(callback, owner, Ses(), sink or Sink(), requests)


async def test_the_certificate_is_fetched_where_none_is_pinned() -> None:
    """And what it proves is stored."""
    sink, requests = Sink(), Requests()

    answer = await _record(envelope("hello", KEY), account("ses", topic_arns=TOPIC), requests, sink)

    assert answer == Answer(200)
    assert requests.urls == [CERTIFICATE_URL]
    assert len(sink.batches) == 1


@pytest.mark.parametrize(
    ("requests", "owner", "body", "refused", "urls"),
    [
        (Requests(""), account("ses", topic_arns=TOPIC), envelope("x", KEY),
         Refused("CERTIFICATE_UNAVAILABLE", 503), [CERTIFICATE_URL]),
        (Requests(signer("other")[1]), account("ses", topic_arns=TOPIC), envelope("x", KEY),
         Refused("SIGNATURE_WRONG"), [CERTIFICATE_URL]),
        (Requests(), account("ses", topic_arns=TOPIC), envelope("x", KEY, SigningCertURL="https://evil.test/a.pem"),
         Refused("CERTIFICATE_URL_REFUSED"), []),
        (Requests(), account("ses", topic_arns=TOPIC, confirm_subscriptions="true"), b"{}",
         Refused("SIGNATURE_MISSING"), []),
        # Another's topic is never joined: not proven, not confirmed.
        (Requests(), account("ses", {"certificate": [PEM]}, confirm_subscriptions="true"),
         confirmation(signer("other")[0]), Refused("SIGNATURE_WRONG"), []),
        (Requests(is_confirmed=False),
         account("ses", {"certificate": [PEM]}, confirm_subscriptions="true"),
         confirmation(KEY), Refused("SUBSCRIPTION_UNCONFIRMED", 503), [SUBSCRIBE_URL]),
    ],
)  # fmt: skip
async def test_what_is_not_proven_or_not_confirmed_is_refused(
    requests: Requests, owner: Account, body: bytes, refused: Refused, urls: list[str]
) -> None:
    """No request is made that a stranger could direct, and none that changes nothing."""
    assert await _record(body, owner, requests) == refused
    assert requests.urls == urls


async def test_a_subscription_is_confirmed_after_it_was_stored_and_only_if_allowed() -> None:
    """What is not durable did not happen."""
    owner = account("ses", {"certificate": [PEM]}, confirm_subscriptions="true")
    requests, sink = Requests(), Sink()

    assert await _record(confirmation(KEY), owner, requests, sink) == Answer(200)
    assert (requests.urls, len(sink.batches)) == ([SUBSCRIBE_URL], 1)

    silent = Requests()
    plain = account("ses", {"certificate": [PEM]})
    assert await _record(confirmation(KEY), plain, silent) == Answer(200)
    with pytest.raises(BrokerUnavailable):
        await _record(confirmation(KEY), owner, silent, Sink(is_down=True))
    assert silent.urls == []


def test_trying_a_callback_out_calls_nobody() -> None:
    """It has no way to; without a pinned certificate it says that one would be needed."""
    answers: list[Any] = [
        try_callback(
            Request(provider="ses", account="acct_1", body=confirmation(KEY)),
            tenant_id="demo",
            accounts=Accounts([owner]),
            now_us=NOW_US,
            public_url="https://hooks.example.com",
            body_bytes_max=10_000,
            signature_age_s_max=0,
        )
        for owner in (
            account("ses", topic_arns=TOPIC, confirm_subscriptions="true"),
            account("ses", {"certificate": [PEM]}, confirm_subscriptions="true"),
        )
    ]

    assert answers[0].refused.reason == "CERTIFICATE_UNAVAILABLE"
    assert [event.provider_word for event in answers[1].events] == ["SubscriptionConfirmation"]


def test_only_ses_asks_outside() -> None:
    """Every other provider proves itself by what it sends."""
    assert [each.name for each in PROVIDERS if isinstance(each, AsksOutside)] == ["ses"]
