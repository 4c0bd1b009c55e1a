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
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs

from libs.runtime.accounts import Account
from services.ingest.providers.provider import (
    CREDENTIAL,
    SECRET_NOT_CONFIGURED,
    UNPROVEN,
    Authentic,
    Callback,
    Refused,
    live,
)

BASIC_USER = "basic_user"
BASIC_PASS = "basic_pass"  # noqa: S105 the name of a secret
HEADER = "header"
QUERY_TOKEN = "query_token"  # noqa: S105 as above
TOKEN_PARAMETER = "token"  # noqa: S105 as above
QUERY_FIELDS_MAX = 64
_PURPOSES = (BASIC_PASS, HEADER, QUERY_TOKEN)
# Option of an account without any secret: what nothing proves is taken, and marked.
UNPROVEN_OPTION: Final = "unproven"
ACCEPT: Final = "accept"

SECRETS: Final[Mapping[str, str]] = {
    BASIC_USER: "user in the callback's address",
    BASIC_PASS: "password in the callback's address",
    HEADER: 'a static header as "Name: value"',
    QUERY_TOKEN: "value of `token` in the query",
}
OPTIONS: Final[Mapping[str, str]] = {
    UNPROVEN_OPTION: '"accept": take what nothing proves, on an account without any secret',
}
NOTHING_PROVES: Final = Refused(
    "NOTHING_PROVES_IT",
    401,
    "Give the account basic_user and basic_pass, header or query_token and put it into the address "
    'at the provider; or set its option unproven to "accept", and everybody who knows the address '
    "is believed.",
)
CREDENTIAL_CURE: Final = (
    "Compare the account's basic_user and basic_pass, header or query_token with the address and "
    "headers that are set at the provider."
)


def has_static_credential(account: Account) -> bool:
    """Say whether the account asks for one."""
    secrets = account.secrets
    if not secrets:
        return False
    return any(any(secrets.get(purpose, ())) for purpose in _PURPOSES if purpose in secrets)


def check_static_credential(callback: Callback, account: Account) -> Authentic | Refused:
    """Compare what the callback brings with every live credential, in constant time."""
    if not has_static_credential(account):
        # An empty secret is one that anybody has; it opens nothing.
        is_emptied = any(purpose in account.secrets for purpose in _PURPOSES)
        return SECRET_NOT_CONFIGURED if is_emptied else admit_unproven(account)
    given = [
        (_basic(callback), _live_basic(account)),
        *_headers(callback, account),
    ]
    if tokens := live(account, QUERY_TOKEN):
        given.append((_token(callback), [value.encode() for value in tokens]))
    if any(_is_one_of(value, known) for value, known in given):
        return CREDENTIAL
    is_given = any(value for value, known in given if known)
    reason = "CREDENTIAL_WRONG" if is_given else "CREDENTIAL_MISSING"
    return Refused(reason, 401, CREDENTIAL_CURE)


def admit_unproven(account: Account) -> Authentic | Refused:
    """Judge what nothing proves: taken only where the account says so, and names no secret."""
    if account.options.get(UNPROVEN_OPTION) == ACCEPT and not account.secrets:
        return UNPROVEN
    return NOTHING_PROVES


def _live_basic(account: Account) -> list[bytes]:
    users = account.secrets.get(BASIC_USER, ()) or [""]
    return [
        f"{user}:{password}".encode() for user in users for password in live(account, BASIC_PASS)
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
    pairs = (value.partition(":") for value in live(account, HEADER))
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
