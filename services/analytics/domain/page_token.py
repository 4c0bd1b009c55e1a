"""Opaque page tokens, bound to the question that they continue."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from hashlib import blake2b

import msgspec


class _Token(msgspec.Struct, array_like=True):
    question: str
    create_time_us: int
    campaign_id: str


class TokenUnusable(ValueError):
    """The token was not given out for this question."""


def _mark(question: bytes) -> str:
    return blake2b(question, digest_size=8).hexdigest()


def encode(question: bytes, last: tuple[int, str]) -> str:
    """Return the token for what follows ``last`` (create time in us, campaign id)."""
    return urlsafe_b64encode(msgspec.json.encode(_Token(_mark(question), *last))).decode()


def decode(question: bytes, token: str) -> tuple[int, str]:
    """Return the last item before the page.

    Raises:
        TokenUnusable: no token of ours, or one of another question.
    """
    try:
        read = msgspec.json.decode(urlsafe_b64decode(token.encode()), type=_Token)
    except (ValueError, Base64Error, msgspec.MsgspecError) as error:
        raise TokenUnusable from error
    if read.question != _mark(question) or "\x00" in read.campaign_id:
        raise TokenUnusable
    return read.create_time_us, read.campaign_id
