"""Tokens that sign one callback each: with another one they prove nothing."""

from hashlib import blake2b
from typing import Final

# A provider repeats a callback for eight hours; a token is remembered for a day, or until so many
# came after it. What is older may be refused by its age.
VALID_US: Final = 86_400 * 1_000_000
TOKENS_MAX: Final = 100_000
_DIGEST_BYTES: Final = 16


class UsedTokens:
    """Remembers which body came with which token, in order of their first coming."""

    def __init__(self, tokens_max: int = TOKENS_MAX, valid_us: int = VALID_US) -> None:
        """Remember ``tokens_max`` tokens, about 200 bytes each, for ``valid_us``."""
        self._tokens_max = tokens_max
        self._valid_us = valid_us
        self._seen: dict[str, tuple[int, bytes]] = {}

    def is_used(self, token: str, body: bytes, now_us: int, *, is_kept: bool) -> bool:
        """Say whether ``token`` came with another body; remember this one if ``is_kept``."""
        key = blake2b(token.encode(errors="replace"), digest_size=_DIGEST_BYTES).hexdigest()
        digest = blake2b(body, digest_size=_DIGEST_BYTES).digest()
        known = self._seen.get(key)
        if known is not None and now_us - known[0] <= self._valid_us:
            return known[1] != digest
        if is_kept:
            self._forget(now_us)
            self._seen.pop(key, None)
            self._seen[key] = (now_us, digest)
        return False

    def _forget(self, now_us: int) -> None:
        while self._seen:
            oldest = next(iter(self._seen))
            is_valid = now_us - self._seen[oldest][0] <= self._valid_us
            if is_valid and len(self._seen) < self._tokens_max:
                return
            del self._seen[oldest]
