"""JSON Web Tokens that providers sign with a shared secret (HS256), and what they claim.

Only what RFC 7515 asks for HS256 is here, since it runs for every callback and a library costs
three times as much as the rest of it; the tests compare it with one. The algorithm is ours and not
the token's. Lifetimes are judged by ``check_age``, since by default any age is taken.
"""

import binascii
import hmac
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final

import msgspec

from services.ingest.providers.provider import SIGNED, Authentic, Callback, Refused

TOKEN_CHARACTERS_MAX: Final = 8_192
AGE_CURE: Final = (
    "Compare this machine's clock with the time of the network; repeats of a provider bear their "
    "first time, so BLUETICK_SIGNATURE_AGE_MAX_S must not be shorter than it repeats."
)


class _Header(msgspec.Struct):
    """The part of a token that says how it is signed."""

    alg: str
    # Extensions that must be understood. None is, so that a token with any is refused.
    crit: msgspec.Raw | None = None


_decode_header: Final = msgspec.json.Decoder(_Header).decode
_decode_claims: Final = msgspec.json.Decoder(dict[str, Any]).decode


def claims_of(token: str, secrets: Sequence[str]) -> dict[str, Any] | None:
    """Return the claims of ``token`` if any of ``secrets`` signed it; None if none did."""
    if len(token) > TOKEN_CHARACTERS_MAX or not token.isascii():
        return None
    signed, _, given = token.rpartition(".")
    header, _, claims = signed.partition(".")
    if not any(hmac.compare_digest(given, _signature(signed, secret)) for secret in secrets):
        return None
    try:
        return _decode_claims(_decoded(claims)) if _is_hs256(header) else None
    except (ValueError, RecursionError):
        return None


@lru_cache(maxsize=64)
def _is_hs256(header: str) -> bool:
    """Say whether a token with this header is signed our way. Providers send one and the same.

    Raises:
        ValueError, RecursionError: it is no header.
    """
    described = _decode_header(_decoded(header))
    return described.alg == "HS256" and described.crit is None


def is_hash_of(claim: object, content: bytes) -> bool:
    """Say whether ``claim`` is the hexadecimal SHA-256 of ``content``."""
    if not isinstance(claim, str):
        return False
    expected = sha256(content).hexdigest()
    return hmac.compare_digest(claim.lower().encode(errors="replace"), expected.encode())


def check_age(signed_s: object, callback: Callback) -> Authentic | Refused:
    """Refuse what was signed too long ago, or too far ahead, if the callback has an age limit."""
    limit_s = callback.signature_age_s_max
    if not limit_s:
        return SIGNED
    if isinstance(signed_s, bool) or not isinstance(signed_s, int | float):
        return Refused("SIGNATURE_WITHOUT_TIME")
    is_near = abs(callback.receive_time_us / 1_000_000 - signed_s) <= limit_s
    return SIGNED if is_near else Refused("SIGNATURE_OLD", cure=AGE_CURE)


def _signature(signed: str, secret: str) -> str:
    mac = hmac.digest(secret.encode(), signed.encode(), "sha256")
    return urlsafe_b64encode(mac).rstrip(b"=").decode()


def _decoded(part: str) -> bytes:
    """Decode base64url without padding.

    Raises:
        ValueError: it is none.
    """
    try:
        return b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None
