"""HMAC-SHA256 with the key worked in once: a third of the cost for a short message."""

from functools import lru_cache
from hashlib import sha256
from typing import Any, Final

_BLOCK_BYTES: Final = 64
_INNER: Final = bytes(byte ^ 0x36 for byte in range(256))
_OUTER: Final = bytes(byte ^ 0x5C for byte in range(256))


def hmac_sha256_hex(secret: str, message: bytes) -> str:
    """Return the HMAC-SHA256 (RFC 2104) of ``message`` in lower case hex."""
    inner, outer = _begun(secret)
    state = inner.copy()
    state.update(message)
    proof = outer.copy()
    proof.update(state.digest())
    hexed: str = proof.hexdigest()
    return hexed


# As many as an installation has live secrets; they are in memory anyway.
@lru_cache(maxsize=4_096)
def _begun(secret: str) -> tuple[Any, Any]:
    key = secret.encode()
    if len(key) > _BLOCK_BYTES:
        key = sha256(key).digest()
    key = key.ljust(_BLOCK_BYTES, b"\x00")
    return sha256(key.translate(_INNER)), sha256(key.translate(_OUTER))
