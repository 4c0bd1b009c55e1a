"""The parts behind accounts that live: sealing, pace, and the moves of secrets. Pure."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from libs.runtime.accounts import Account, Accounts
from libs.runtime.secret_box import Sealed, SecretBox
from libs.runtime.secret_keys import parse_keys
from services.ingest.account_book import AccountBook
from services.ingest.account_ports import purpose_of
from services.ingest.domain.pace import Pace
from services.ingest.domain.stored_account import (
    LIVE_SECRETS_MAX,
    StoredAccount,
    StoredSecret,
    TooManySecrets,
    rotated,
)
from services.ingest.providers.infobip import Infobip
from services.ingest.providers.provider import UNPROVEN, Refused
from tests.ingest.email_callbacks import post

KEYS = parse_keys("one:0123456789abcdef0123456789abcdef,two:fedcba9876543210fedcba9876543210")
BOX = SecretBox(KEYS)
NOW = 1_000_000


@given(st.text(max_size=200), st.text(max_size=20), st.integers(0, 10_000), st.integers(1, 255))
def test_a_sealed_secret_opens_for_its_purpose_only_and_unaltered(
    secret: str, purpose: str, place: int, flip: int
) -> None:
    """A row copied to another account, or written by hand, is worth nothing."""
    secret = secret.encode(errors="replace").decode()
    sealed = BOX.seal(secret, purpose)
    altered = bytearray(sealed.sealed)
    altered[place % len(altered)] ^= flip

    assert BOX.open(sealed, purpose) == secret
    assert BOX.open(sealed, purpose + "x") is None
    assert BOX.open(Sealed("two", sealed.sealed), purpose) is None
    assert BOX.open(Sealed("one", bytes(altered)), purpose) is None
    assert BOX.open(Sealed("none", sealed.sealed), purpose) is None
    assert SecretBox(KEYS[::-1]).open(sealed, purpose) == secret
    assert BOX.seal(secret, purpose) != sealed


@given(
    st.floats(0.01, 500),
    st.lists(st.floats(0, 3), min_size=1, max_size=200),
)
def test_no_span_of_time_lets_more_through_than_its_rate_and_one_burst(
    rate: float, pauses: list[float]
) -> None:
    """Whatever the rhythm of the requests."""
    pace, now, taken = Pace(rate), 1_000.0, []
    for pause in pauses:
        now += pause
        if pace.lets_through(now):
            taken.append(now)

    for first, began in enumerate(taken):
        for last in range(first, len(taken)):
            most = max(1.0, rate) + rate * (taken[last] - began)
            assert last - first + 1 <= most + 1e-6


def test_whoever_keeps_to_the_rate_is_never_refused() -> None:
    """A limit that refuses its own rate is a trap; a clock that goes back is none."""
    pace = Pace(4.0)
    assert all(pace.lets_through(1_000 + number / 4) for number in range(100))
    assert sum(pace.lets_through(900) for _ in range(10)) <= 4
    assert Pace(0.01).pause_s == 100
    assert Pace(50).pause_s == 1


def a_secret(key_id: str, value: str = "v", end: int = 0, made: int = 1) -> StoredSecret:
    account = StoredAccount(provider="meta", account="a", tenant_id="demo")
    sealed = BOX.seal(value, purpose_of(account, "app_secret", key_id))
    return StoredSecret(
        name="app_secret",
        key_id=key_id,
        sealed=sealed.sealed,
        seal_key_id=sealed.seal_key_id,
        create_time_us=made,
        expire_time_us=end,
    )


def an_account(*secrets: StoredSecret) -> StoredAccount:
    return StoredAccount(provider="meta", account="a", tenant_id="demo", secrets=secrets)


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from([0, 1, 5])), max_size=8))
def test_any_rotations_leave_the_newest_secret_and_never_more_than_two(
    steps: list[tuple[str, int]],
) -> None:
    """Refused or done, never half."""
    account, now = an_account(a_secret("z")), NOW
    for key_id, after in steps:
        now += 2
        before = account
        try:
            account = rotated(account, a_secret(key_id), now + after if after else 0, now)
        except TooManySecrets:
            assert account is before
            assert len([one for one in account.secrets if one.is_live(now)]) == LIVE_SECRETS_MAX
            continue
        assert account.secrets[-1].key_id == key_id
        assert len(account.secrets) <= LIVE_SECRETS_MAX


def test_the_file_stands_before_what_is_stored() -> None:
    """Whoever runs the installation decides; a call cannot take over an address of the file."""
    of_file = Account(provider="meta", account="a", tenant="owner", secrets={"app_secret": ["f"]})
    book = AccountBook(Accounts([of_file]), BOX)

    book.show([an_account(a_secret("k"))], NOW)

    assert book.find("meta", "a") is of_file
    assert book.shadowed() == [("meta", "a")]


def test_what_was_opened_stays_open_while_another_replica_seals_it_anew() -> None:
    """During a change of keys some replicas have the new one first."""
    old_only = SecretBox(KEYS[:1])
    book = AccountBook(Accounts([]), old_only)
    book.show([an_account(a_secret("k", "v1"))], NOW)
    before = book.find("meta", "a")
    new = SecretBox(KEYS[::-1]).seal("v1", purpose_of(an_account(), "app_secret", "k"))
    resealed = StoredSecret(
        name="app_secret", key_id="k", sealed=new.sealed, seal_key_id="two", create_time_us=1
    )

    book.show([an_account(resealed)], NOW)

    assert book.find("meta", "a") is before
    book.show([an_account(resealed, a_secret("k2", made=2))], NOW)
    sealed_away = StoredSecret(
        name="app_secret", key_id="k", sealed=new.sealed, seal_key_id="two", create_time_us=9
    )
    book.show([an_account(sealed_away)], NOW)
    found = book.find("meta", "a")
    assert found is not None
    assert found.is_sealed


def test_an_account_whose_last_secret_ended_takes_nothing_unproven() -> None:
    """Time must shut a door, never open it."""
    book = AccountBook(Accounts([]), BOX)
    ended = a_secret("k", end=NOW)
    account = StoredAccount(
        provider="infobip", account="a", tenant_id="demo",
        secrets=(replace(ended, name="query_token"),), options={"unproven": "accept"},
    )  # fmt: skip

    book.show([account], NOW)

    found = book.find("infobip", "a")
    assert found is not None
    callback = post("infobip", b"{}")
    assert isinstance(Infobip().authenticate(callback, found), Refused)
    bare = Account(provider="infobip", account="a", tenant="demo", options=account.options)
    assert Infobip().authenticate(callback, bare) == UNPROVEN


@pytest.mark.parametrize("text", ["a:short", "nokey", "a:" + "x" * 32 + ",a:" + "y" * 32])
def test_keys_that_seal_are_looked_at_when_a_service_starts(text: str) -> None:
    """A key that is too short is no key."""
    with pytest.raises(ValueError, match="key "):
        parse_keys(text, 32)
