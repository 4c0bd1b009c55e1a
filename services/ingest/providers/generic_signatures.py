"""How two of the generic sources sign: Telnyx by Ed25519, Plivo by its V3 scheme.

Sources: Telnyx's page on webhook signing and its SDK; Plivo's Python SDK (``utils/signature_v3``).

- Telnyx: Ed25519 over "timestamp|body", base64, with the key of the account (secret
  ``public_key``, base64 of 32 bytes, as Mission Control shows it).
- Plivo: HMAC-SHA256 with the auth token (secret ``auth_token``) over the address, its query sorted,
  the sorted fields of the form, and the nonce; several signatures may stand in one header.
"""

import binascii
import hmac
from base64 import b64decode, b64encode
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from libs.runtime.accounts import Account
from services.ingest.domain.fields import Unreadable
from services.ingest.domain.times import SECOND_US, seconds_us
from services.ingest.providers.decoding import form_pairs
from services.ingest.providers.provider import SIGNED, Authentic, Callback, Refused, live
from services.ingest.providers.signed_jwt import check_age

PUBLIC_KEY: Final = "public_key"
AUTH_TOKEN: Final = "auth_token"  # noqa: S105 the name of a secret
SECRETS: Final = {
    PUBLIC_KEY: "Telnyx: the public key that callbacks are signed for, base64",
    AUTH_TOKEN: "Plivo: the auth token that callbacks are signed with",
}
TELNYX_SIGNATURE: Final = "telnyx-signature-ed25519"
TELNYX_TIMESTAMP: Final = "telnyx-timestamp"
PLIVO_SIGNATURES: Final = ("x-plivo-signature-v3", "x-plivo-signature-ma-v3")
PLIVO_NONCE: Final = "x-plivo-signature-v3-nonce"
SIGNATURES_MAX: Final = 8

_CURE: Final = (
    "Compare the account's {name} with the one in the provider's console; if the provider signs "
    "the address, BLUETICK_PUBLIC_URL must be the one that it calls. A proxy must not rewrite "
    "bodies."
)


def check_signature(callback: Callback, account: Account) -> Authentic | Refused | None:
    """Judge a callback by the signature that its account asks for; None: it asks for none."""
    if keys := live(account, PUBLIC_KEY):
        return _check_telnyx(callback, keys)
    if tokens := live(account, AUTH_TOKEN):
        return _check_plivo(callback, tokens)
    return None


def _refused(reason: str, name: str) -> Refused:
    return Refused(reason, 401, _CURE.format(name=name))


def _check_telnyx(callback: Callback, keys: list[str]) -> Authentic | Refused:
    given = callback.headers.get(TELNYX_SIGNATURE, "").strip()
    timestamp = callback.headers.get(TELNYX_TIMESTAMP, "").strip()
    if not given or not timestamp:
        return _refused("SIGNATURE_MISSING", PUBLIC_KEY)
    try:
        signature = b64decode(given, validate=True)
    except (binascii.Error, ValueError):
        return _refused("SIGNATURE_WRONG", PUBLIC_KEY)
    signed = timestamp.encode(errors="replace") + b"|" + callback.body
    for key in filter(None, map(_ed25519_key, keys)):
        try:
            key.verify(signature, signed)
        except InvalidSignature:
            continue
        time_us = seconds_us(timestamp)
        return check_age(None if time_us is None else time_us / SECOND_US, callback)
    return _refused("SIGNATURE_WRONG", PUBLIC_KEY)


@lru_cache(maxsize=256)
def _ed25519_key(text: str) -> Ed25519PublicKey | None:
    try:
        return Ed25519PublicKey.from_public_bytes(b64decode(text.strip(), validate=True))
    except (binascii.Error, ValueError):
        return None


def _check_plivo(callback: Callback, tokens: list[str]) -> Authentic | Refused:
    given = [
        signature.strip().encode(errors="replace")
        for header in PLIVO_SIGNATURES
        for signature in callback.headers.get(header, "").split(",")[:SIGNATURES_MAX]
        if signature.strip()
    ]
    nonce = callback.headers.get(PLIVO_NONCE, "").strip()
    if not given or not nonce:
        return _refused("SIGNATURE_MISSING", AUTH_TOKEN)
    try:
        signed = _plivo_text(callback, nonce).encode(errors="replace")
    except (Unreadable, ValueError):
        return _refused("SIGNATURE_WRONG", AUTH_TOKEN)
    for token in tokens:
        expected = b64encode(hmac.digest(token.encode(), signed, "sha256"))
        if any(hmac.compare_digest(one, expected) for one in given):
            return SIGNED
    return _refused("SIGNATURE_WRONG", AUTH_TOKEN)


def _plivo_text(callback: Callback, nonce: str) -> str:
    """Return what Plivo signs.

    Raises:
        Unreadable, ValueError: too many fields, or no address.
    """
    url = urlsplit(callback.external_url)
    base = urlunsplit((url.scheme, url.netloc, url.path, "", ""))
    query = "&".join(f"{name}={value}" for name, value in sorted(form_pairs(url.query)))
    fields = []
    if callback.method != "GET":
        fields = sorted(form_pairs(callback.body.decode(errors="replace")))
    if query or fields:
        base += f"?{query}"
    if query and fields:
        base += "."
    return base + "".join([name + value for name, value in fields]) + f".{nonce}"
