"""How callbacks are written: times, ids, forms and tokens that several providers share. Pure."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote_plus

# Who opens and clicks mail; a program that scans it would be flagged as a machine.
BROWSER = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15"


# A program that fetches pictures and links before the person does.
SCANNER = "Mozilla/5.0 (compatible; Proofpoint URL Defense)"


def iso_time(time_s: float, *, zone: str = "Z", digits: int = 3) -> str:
    """ "2026-01-31T09:15:00.000Z"; `zone` is written as it is and must mean UTC."""
    moment = datetime.fromtimestamp(time_s, UTC)
    fraction = f".{moment.microsecond:06}"[: digits + 1] if digits else ""
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}{zone}"


def hex_of(text: str, characters: int = 32) -> str:
    """Hexadecimal digits that follow from `text`: a repeat of a fact has the same id."""
    return hashlib.sha256(text.encode()).hexdigest()[:characters]


def uuid_of(text: str) -> str:
    """A UUID that follows from `text`."""
    return str(uuid.UUID(hex_of(text)))


def new_uuid(chance: random.Random) -> str:
    """A UUID of the campaign's own chance."""
    return str(uuid.UUID(bytes=chance.randbytes(16), version=4))


def json_body(content: Any) -> bytes:
    """JSON as short as it goes."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def form_text(fields: Iterable[tuple[str, str]]) -> str:
    """A form or a query."""
    return "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in fields)


def signed_jwt(claims: dict[str, Any], secret: str) -> str:
    """A JSON Web Token, HS256."""
    parts = [_base64url(json_body(part)) for part in ({"alg": "HS256", "typ": "JWT"}, claims)]
    signed = ".".join(parts)
    mac = hmac.digest(secret.encode(), signed.encode(), "sha256")
    return f"{signed}.{_base64url(mac)}"


def basic_auth(user_and_password: str) -> tuple[str, str]:
    """The header of "user:password" in an address."""
    return ("Authorization", "Basic " + base64.b64encode(user_and_password.encode()).decode())


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
