"""The signed word at the end of a tracked link: which message and which link, nothing stored.

Base64url without padding, so it needs no escaping and is short enough for an SMS::

    1 byte       version (3 bits), whether the reference is a UUID (1 bit), length of the key id
    1..15 bytes  id of the signing key
    8 bytes      link, see ``destinations.link_key``
    0..n bytes   the sender's reference of the message: UTF-8, or the 16 bytes of a UUID
    10 bytes     HMAC-SHA256 of all before, truncated to 80 bits
"""

import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Sequence
from typing import Final, NamedTuple
from uuid import UUID

from libs.runtime.secret_keys import SecretKey
from services.ingest.domain.destinations import LINK_KEY_BYTES

VERSION: Final = 1
MAC_BYTES: Final = 10
# Of a reference of 256 characters, four bytes each.
TOKEN_CHARACTERS_MAX: Final = 1_500
# Told apart from every other use of the same secret.
_PURPOSE: Final = b"bluetick-link\x00"
_IS_UUID: Final = 0x10
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]+")
# What mail and chat programs take into a link that ends a sentence or stands in marks. The last
# two may also end a token, so they are taken off only where it is none with them.
_GLUED: Final = ".,)]}>!?;:'\"*|`/\\\u2026\u2019\u201d\u201c\u00bb\u3002\uff0c\uff01\uff1f"
_GLUED_OR_TOKEN: Final = _GLUED + "_-"


class Followed(NamedTuple):
    """What a valid token says."""

    link_key: bytes
    message_ref: str


class LinkKeyring:
    """Signs with the first key and trusts all of them, so that a key can be replaced in peace."""

    def __init__(self, keys: Sequence[SecretKey]) -> None:
        """Hold ``keys``; without any, nothing is signed and nothing is trusted."""
        self._signing = keys[0] if keys else None
        self._keys = {key.key_id.encode(): key for key in keys}

    def __bool__(self) -> bool:
        """Whether there is a key to sign with."""
        return self._signing is not None

    def sign(self, link_key: bytes, message_ref: str) -> str:
        """Return the token of one link in one message; the same for the same input."""
        key = self._signing
        assert key is not None, "asked without a key"
        packed = _packed_uuid(message_ref)
        flag = _IS_UUID if packed is not None else 0
        head = bytes((VERSION << 5 | flag | len(key.key_id),))
        reference = message_ref.encode() if packed is None else packed
        body = head + key.key_id.encode() + link_key + reference
        return urlsafe_b64encode(body + _mac(key, body)).decode().rstrip("=")

    def verify(self, token: str) -> Followed | None:
        """Return what ``token`` says; None unless one of the keys signed it.

        Punctuation behind it is none of it.
        """
        bare = token.rstrip(_GLUED)
        followed = self._verify(bare)
        if followed is None and bare[-1:] in ("_", "-"):
            return self._verify(bare.rstrip(_GLUED_OR_TOKEN))
        return followed

    def _verify(self, token: str) -> Followed | None:
        raw = _decoded(token)
        if len(raw) < 1 + LINK_KEY_BYTES + MAC_BYTES or raw[0] >> 5 != VERSION:
            return None
        body, mac = raw[:-MAC_BYTES], raw[-MAC_BYTES:]
        key_end = 1 + (raw[0] & 0x0F)
        reference_start = key_end + LINK_KEY_BYTES
        key = self._keys.get(body[1:key_end])
        if key is None or len(body) < reference_start:
            return None
        if not hmac.compare_digest(mac, _mac(key, body)):
            return None
        # Signed by us: what follows is as we wrote it.
        reference = body[reference_start:]
        message_ref = str(UUID(bytes=reference)) if raw[0] & _IS_UUID else reference.decode()
        return Followed(body[key_end:reference_start], message_ref)


def _mac(key: SecretKey, body: bytes) -> bytes:
    return hmac.digest(key.secret, _PURPOSE + body, "sha256")[:MAC_BYTES]


def _decoded(token: str) -> bytes:
    if len(token) > TOKEN_CHARACTERS_MAX or not _TOKEN.fullmatch(token):
        return b""
    try:
        raw = urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except NotBase64:
        return b""
    # One link has one spelling: spare bits of the last character must be as we write them.
    return raw if urlsafe_b64encode(raw).decode().rstrip("=") == token else b""


def _packed_uuid(message_ref: str) -> bytes | None:
    """Return the 16 bytes of a reference that is a UUID as it is usually written."""
    if len(message_ref) != 36:
        return None
    try:
        uuid = UUID(message_ref)
    except ValueError:
        return None
    return uuid.bytes if str(uuid) == message_ref else None
