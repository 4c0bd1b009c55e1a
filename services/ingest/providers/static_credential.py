"""How providers that sign nothing prove themselves: by what the operator put into the address.

Purposes of the account's secrets, each with any number of live values; any one that matches is
enough:

- ``basic_user`` and ``basic_pass``: user and password in the address (HTTP basic auth);
- ``header``: a static header as ``Name: value``;
- ``query_token``: the value of ``token`` in the query.
"""

import binascii
import hmac
from base64 import b64decode
from urllib.parse import parse_qs

from libs.runtime.accounts import Account
from services.ingest.providers.provider import Authentic, Callback, Refused

BASIC_USER = "basic_user"
BASIC_PASS = "basic_pass"  # noqa: S105 the name of a secret
HEADER = "header"
QUERY_TOKEN = "query_token"  # noqa: S105 as above
TOKEN_PARAMETER = "token"  # noqa: S105 as above
QUERY_FIELDS_MAX = 64
_PURPOSES = (BASIC_PASS, HEADER, QUERY_TOKEN)


def has_static_credential(account: Account) -> bool:
    """Say whether the account asks for one; without, the address itself is the secret."""
    secrets = account.secrets
    if not secrets:
        return False
    return any(any(secrets.get(purpose, ())) for purpose in _PURPOSES if purpose in secrets)


def check_static_credential(callback: Callback, account: Account) -> Authentic | Refused:
    """Compare what the callback brings with every live credential, in constant time."""
    if not has_static_credential(account):
        is_emptied = any(purpose in account.secrets for purpose in _PURPOSES)
        # An empty secret is one that anybody has; it opens nothing.
        return Refused("SECRET_NOT_CONFIGURED", 503) if is_emptied else Authentic()
    given = [
        (_basic(callback), _live_basic(account)),
        *_headers(callback, account),
    ]
    if tokens := _live(account, QUERY_TOKEN):
        given.append((_token(callback), [value.encode() for value in tokens]))
    if any(_is_one_of(value, live) for value, live in given):
        return Authentic()
    is_given = any(value for value, live in given if live)
    return Refused("CREDENTIAL_WRONG" if is_given else "CREDENTIAL_MISSING")


def _live(account: Account, purpose: str) -> list[str]:
    return [value for value in account.secrets.get(purpose, ()) if value]


def _live_basic(account: Account) -> list[bytes]:
    users = account.secrets.get(BASIC_USER, ()) or [""]
    return [
        f"{user}:{password}".encode() for user in users for password in _live(account, BASIC_PASS)
    ]


def _basic(callback: Callback) -> bytes:
    scheme, _, encoded = callback.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return b""
    try:
        return b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return b"?"


def _headers(callback: Callback, account: Account) -> list[tuple[bytes, list[bytes]]]:
    pairs = (value.partition(":") for value in _live(account, HEADER))
    return [
        (_bytes(callback.headers.get(name.strip().lower(), "")), [value.strip().encode()])
        for name, _, value in pairs
        if name.strip() and value.strip()
    ]


def _token(callback: Callback) -> bytes:
    try:
        fields = parse_qs(callback.query, max_num_fields=QUERY_FIELDS_MAX)
    except ValueError:
        return b""
    return _bytes(fields.get(TOKEN_PARAMETER, [""])[0])


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape" if text.isprintable() else "replace")


def _is_one_of(given: bytes, live: list[bytes]) -> bool:
    return bool(given) and any(hmac.compare_digest(given, value) for value in live)
