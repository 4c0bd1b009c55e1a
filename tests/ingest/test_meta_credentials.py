import pytest

from libs.runtime.accounts import Account
from services.ingest.providers.meta import Meta
from services.ingest.providers.provider import Answer, Authentic, Refused
from tests.ingest.meta_bodies import ACCOUNT, SECRET, callback, dump, envelope, signature

BODY = dump(envelope())


def test_any_live_secret_proves_a_body() -> None:
    """While a secret is rotated, both sign."""
    for secret in (SECRET, "a-new-secret"):
        verdict = Meta().authenticate(callback(BODY, headers=signature(BODY, secret)), ACCOUNT)
        assert isinstance(verdict, Authentic)


def test_the_signature_is_over_the_bytes_and_not_over_what_they_mean() -> None:
    """Meta escapes letters and slashes; decoding and encoding again gives another hash."""
    escaped = b'{"object":"\\u0065ntry\\/\\u00e4"}'

    assert isinstance(Meta().authenticate(callback(escaped), ACCOUNT), Authentic)
    again = callback(b'{"object":"entry/\xc3\xa4"}', headers=signature(escaped))
    assert isinstance(Meta().authenticate(again, ACCOUNT), Refused)


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, "SIGNATURE_MISSING"),
        ({"x-hub-signature-256": ""}, "SIGNATURE_MISSING"),
        ({"x-hub-signature": "sha1=0"}, "SIGNATURE_MISSING"),
        ({"x-hub-signature-256": "sha256="}, "SIGNATURE_WRONG"),
        ({"x-hub-signature-256": "sha256=" + "0" * 64}, "SIGNATURE_WRONG"),
        ({"x-hub-signature-256": "sha256=é\udcff"}, "SIGNATURE_WRONG"),
        ({"x-hub-signature-256": "sha1=" + "0" * 40}, "SIGNATURE_WRONG"),
        (signature(BODY + b" "), "SIGNATURE_WRONG"),
        (signature(BODY, "another secret"), "SIGNATURE_WRONG"),
        (signature(BODY, ""), "SIGNATURE_WRONG"),
    ],
)
def test_what_is_not_signed_with_a_live_secret_is_refused(
    headers: dict[str, str], reason: str
) -> None:
    """Anybody can post; only Meta can sign."""
    verdict = Meta().authenticate(callback(BODY, headers=headers), ACCOUNT)

    assert verdict == Refused(reason)
    assert verdict.http_status == 401


@pytest.mark.parametrize("secrets", [{}, {"app_secret": []}, {"app_secret": [""]}])
def test_an_account_without_a_secret_asks_to_try_again(secrets: dict[str, list[str]]) -> None:
    """It is our own trouble: with a 4xx Meta would give up, and an empty secret anybody has."""
    account = Account(provider="meta", account="a", tenant="t", secrets=secrets)

    verdict = Meta().authenticate(callback(BODY, headers=signature(BODY, "")), account)

    assert verdict == Refused("SECRET_NOT_CONFIGURED", 503)


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ("hub.mode=subscribe&hub.challenge=42&hub.verify_token=token-1", Answer(200, b"42")),
        ("hub.mode=subscribe&hub.challenge=a%20b&hub.verify_token=token-2", Answer(200, b"a b")),
        ("hub.mode=subscribe&hub.challenge=42&hub.verify_token=wrong", Answer(403)),
        ("hub.mode=subscribe&hub.challenge=42&hub.verify_token=", Answer(403)),
        ("hub.mode=subscribe&hub.challenge=42", Answer(403)),
        ("hub.mode=unsubscribe&hub.challenge=42&hub.verify_token=token-1", Answer(400)),
        ("hub.mode=subscribe&hub.verify_token=token-1", Answer(400)),
        ("", Answer(400)),
        ("&".join(f"a{number}=1" for number in range(100)), Answer(400)),
        ("hub.mode=subscribe&hub.challenge=%ff&hub.verify_token=%ff", Answer(403)),
    ],
)
def test_the_hand_shake_gives_the_challenge_back_for_the_right_token_only(
    query: str, answer: Answer
) -> None:
    """Whoever guesses the address must not be told that it is right."""
    given = Meta().handshake(callback(b"", method="GET", query=query, headers={}), ACCOUNT)

    assert given == answer
    assert given.content_type.startswith("text/plain")


def test_a_post_is_no_hand_shake() -> None:
    """Even if its query looks like one."""
    query = "hub.mode=subscribe&hub.challenge=42&hub.verify_token=token-1"

    assert Meta().handshake(callback(BODY, query=query), ACCOUNT) is None
