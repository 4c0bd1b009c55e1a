"""Identities do not collide, and credentials are found by their hash alone."""

import json
from pathlib import Path

import pytest

from libs.runtime.accounts import AccountsProblem, load_accounts
from libs.runtime.api_keys import Role, hash_of, load_api_keys
from libs.runtime.keys import message_key, person_key, ref_key


def test_the_same_id_under_another_tenant_or_provider_is_another_message() -> None:
    """Two tenants may share a provider's id; their numbers must never mix."""
    keys = {
        message_key("a", "meta", "1"),
        message_key("b", "meta", "1"),
        message_key("a", "twilio", "1"),
        message_key("a", "meta", "11"),
        message_key("am", "eta", "1"),
        ref_key("a", "1"),
    }

    assert len(keys) == 6
    assert all(len(key) == 16 for key in keys)


def test_a_person_of_one_tenant_cannot_be_followed_into_another() -> None:
    """The pseudonym is keyed by tenant."""
    assert person_key("a", "+491701") != person_key("b", "+491701")


def test_an_account_keeps_its_secrets_out_of_its_text(tmp_path: Path) -> None:
    """Whatever logs an account must not log its secret."""
    path = tmp_path / "accounts.json"
    entry = {
        "provider": "meta",
        "account": "a1",
        "tenant": "demo",
        "secrets": {"app_secret": ["hush", "older"]},
    }
    path.write_text(json.dumps({"accounts": [entry]}))

    account = load_accounts(str(path)).find("meta", "a1")

    assert account is not None
    assert account.secrets["app_secret"] == ["hush", "older"]
    assert "hush" not in repr(account)


@pytest.mark.parametrize(
    "entry",
    [
        {"provider": "meta", "account": "a b", "tenant": "demo"},
        {"provider": "meta", "account": "a", "tenant": "de.mo"},
        {"provider": "meta", "account": "a"},
    ],
)
def test_an_account_that_cannot_be_used_is_named(tmp_path: Path, entry: dict) -> None:
    """A tenant is a token of the broker's subjects, so its letters are limited."""
    path = tmp_path / "accounts.json"
    path.write_text(json.dumps({"accounts": [entry]}))

    with pytest.raises(AccountsProblem):
        load_accounts(str(path))


def test_a_key_gives_its_tenant_and_role(tmp_path: Path) -> None:
    """Only the hash is stored."""
    path = tmp_path / "keys.json"
    row = {"sha256": hash_of("bt_key"), "tenant": "demo", "role": "SENDER"}
    path.write_text(json.dumps({"keys": [row]}))

    keys = load_api_keys(str(path))

    found = keys.find("bt_key")
    assert found is not None
    assert (found.tenant_id, found.role) == ("demo", Role.SENDER)
    assert keys.find("bt_other") is None
