import json
from base64 import b64encode
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509 import load_pem_x509_certificate

from libs.embedded.data_folder import write_secret
from libs.embedded.demo_accounts import demo_accounts, signing_secret
from libs.embedded.errors import EmbeddedError
from libs.embedded.key_files import ensure_api_keys, ensure_keys
from libs.embedded.port_plan import DEFAULT_PORTS, configured_ports, free_ports
from libs.runtime.accounts import load_accounts
from libs.runtime.api_keys import Role, load_api_keys

_PROVIDERS = [
    *("meta", "dialog360", "twilio", "gupshup", "infobip", "vonage", "messagebird", "sinch"),
    *("sendgrid", "ses", "mailgun", "postmark", "generic", "resend", "brevo", "azure"),
]


def test_every_provider_has_a_demo_account_that_the_services_can_read(tmp_path: Path) -> None:
    """A callback of any provider can be tried without setting anything up."""
    path = tmp_path / "accounts.json"
    write_secret(path, json.dumps(demo_accounts()))

    accounts = load_accounts(str(path))

    found = [accounts.find(provider, "acct_1") for provider in _PROVIDERS]
    assert len(accounts) == len(_PROVIDERS)
    assert all(account and account.tenant == "demo" for account in found)
    # These send nothing that could prove them, and their accounts say that it is taken.
    bare = {account.provider for account in found if account and not account.secrets}
    said = {
        name: {account.provider for account in found if account and name in account.options}
        for name in ("unproven", "unsigned")
    }
    assert bare == said["unproven"] == {"gupshup", "generic"}
    assert said["unsigned"] == {"vonage", "messagebird", "sinch"}


def test_the_simulator_signs_with_keys_that_the_demo_accounts_trust() -> None:
    """A private key that fits no pinned public one makes every simulated callback a forgery."""
    accounts = {one["provider"]: one["secrets"] for one in demo_accounts()["accounts"]}

    sendgrid = load_pem_private_key(signing_secret("sendgrid").encode(), None).public_key()
    ses = load_pem_private_key(signing_secret("ses").encode(), None).public_key()

    der = sendgrid.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert b64encode(der).decode() in accounts["sendgrid"]["public_key"]
    pinned = [
        load_pem_x509_certificate(pem.encode()).public_key()
        for pem in accounts["ses"]["certificate"]
    ]
    assert ses in pinned
    assert signing_secret("infobip") == "hook:s3cret"


def test_keys_open_their_role_and_only_hashes_are_stored(tmp_path: Path) -> None:
    """Whoever reads the services' file cannot call anything."""
    hashes, clear = tmp_path / "api_keys.json", tmp_path / "clear.json"

    keys = ensure_api_keys(hashes, clear)

    known = load_api_keys(str(hashes))
    for name, key in keys.items():
        found = known.find(key)
        assert found is not None
        tenant = "" if name == "operator" else "demo"
        assert (found.tenant_id, found.role) == (tenant, Role[name.upper()])
        assert key not in hashes.read_text()
    assert list(keys) == ["operator", "admin", "sender", "reader"]
    assert {path.stat().st_mode & 0o777 for path in (hashes, clear)} == {0o600}


def test_keys_stay_the_same_over_restarts(tmp_path: Path) -> None:
    """Scripts keep working; another folder has other keys."""
    first = ensure_api_keys(tmp_path / "hashes", tmp_path / "clear")

    assert ensure_api_keys(tmp_path / "hashes", tmp_path / "clear") == first
    assert ensure_api_keys(tmp_path / "hashes", tmp_path / "other") != first


def test_every_port_can_be_set() -> None:
    """Ports are taken on some machine, whatever the defaults."""
    chosen = {name: str(20000 + number) for number, name in enumerate(DEFAULT_PORTS)}

    assert configured_ports({}) == DEFAULT_PORTS
    assert configured_ports(chosen) == {name: int(port) for name, port in chosen.items()}


@pytest.mark.parametrize("value", ["http", "-1", "65536", "80.5"])
def test_a_wrong_port_is_told_by_its_name(value: str) -> None:
    """The name is what a person can search for and mend."""
    with pytest.raises(EmbeddedError, match="BLUETICK_INGEST_HTTP_PORT"):
        configured_ports({"BLUETICK_INGEST_HTTP_PORT": value})


def test_free_ports_are_all_different() -> None:
    """Two services on one port would be one service too few."""
    ports = free_ports()

    assert ports.keys() == DEFAULT_PORTS.keys()
    assert len(set(ports.values())) == len(ports)


def test_the_key_of_tracked_links_is_random_once_and_stays(tmp_path: Path) -> None:
    """Links in messages must work after any number of restarts."""
    first = ensure_keys(tmp_path / "link_keys")

    assert ensure_keys(tmp_path / "link_keys") == first
    assert ensure_keys(tmp_path / "other") != first
    assert (tmp_path / "link_keys").stat().st_mode & 0o777 == 0o600
    # What ingest reads: an id, and a secret of 16 characters or more.
    assert len(first.partition(":")[2]) >= 16
