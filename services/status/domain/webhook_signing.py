"""Signatures of what is posted: https://github.com/standard-webhooks/standard-webhooks."""

import hmac
import os
from base64 import b64decode, b64encode
from collections.abc import Iterable
from typing import Final

_PREFIX: Final = "whsec_"
_SECRET_BYTES: Final = 32  # the standard asks for 24 to 64


def new_secret() -> str:
    """Return a secret as it is told: ``whsec_`` and base64."""
    return _PREFIX + b64encode(os.urandom(_SECRET_BYTES)).decode()


def headers_of(
    webhook_id: str, time_s: int, body: bytes, secrets: Iterable[str]
) -> list[tuple[str, str]]:
    """Return the standard's three headers, with a signature by each secret.

    Args:
        webhook_id: the same at each attempt; without a full stop.
        time_s: of this attempt, seconds since 1970.
        body: the bytes that are posted.
        secrets: as ``new_secret`` makes them.
    """
    signed = b"%b.%d.%b" % (webhook_id.encode(), time_s, body)
    signatures = (
        hmac.digest(b64decode(secret.removeprefix(_PREFIX)), signed, "sha256") for secret in secrets
    )
    return [
        ("webhook-id", webhook_id),
        ("webhook-timestamp", str(time_s)),
        ("webhook-signature", " ".join("v1," + b64encode(one).decode() for one in signatures)),
    ]
