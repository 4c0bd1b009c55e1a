"""Seals secrets with AES-256-GCM under keys from the environment."""

import os
from collections.abc import Sequence
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from libs.runtime.secret_keys import SecretKey

_NONCE_BYTES: Final = 12
# Told apart from every other use of the same secret, and from another form of sealing.
_INFO: Final = b"bluetick-account-secrets-1"


class Sealed(NamedTuple):
    """A secret as it is stored."""

    seal_key_id: str
    sealed: bytes


class SecretBox:
    """Seals a secret for one purpose; for another it does not open.

    The first key seals, all open: a key is replaced in peace.
    """

    def __init__(self, keys: Sequence[SecretKey]) -> None:
        """Hold ``keys``; without any, nothing is sealed and nothing opens."""
        self._ciphers = {key.key_id: AESGCM(_derived(key.secret)) for key in keys}
        self.seal_key_id = keys[0].key_id if keys else ""

    def __bool__(self) -> bool:
        """Whether there is a key to seal with."""
        return bool(self.seal_key_id)

    def seal(self, secret: str, purpose: str) -> Sealed:
        """Return nonce and sealed bytes; never the same twice."""
        nonce = os.urandom(_NONCE_BYTES)
        cipher = self._ciphers[self.seal_key_id]
        made = cipher.encrypt(nonce, secret.encode(), _bound(self.seal_key_id, purpose))
        return Sealed(self.seal_key_id, nonce + made)

    def open(self, sealed: Sealed, purpose: str) -> str | None:
        """Return the secret; None without its key, or if it is not what was sealed."""
        cipher = self._ciphers.get(sealed.seal_key_id)
        if cipher is None:
            return None
        nonce, made = sealed.sealed[:_NONCE_BYTES], sealed.sealed[_NONCE_BYTES:]
        try:
            return cipher.decrypt(nonce, made, _bound(sealed.seal_key_id, purpose)).decode()
        except (InvalidTag, ValueError):
            return None


def _derived(secret: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=_INFO).derive(secret)


def _bound(key_id: str, purpose: str) -> bytes:
    return f"{key_id}\x00{purpose}".encode()
