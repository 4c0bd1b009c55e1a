"""All API keys as they are now: those of the file, and those that were issued by call."""

from collections.abc import Callable, Iterable

import msgspec

from libs.runtime.api_keys import ApiKey, ApiKeys, hash_of


class IssuedKey(msgspec.Struct, frozen=True):
    """What an issued key gives, until when."""

    gives: ApiKey
    expire_time_us: int  # 0: without end


class KeyBook:
    """One per process. Looking a key up is a look into memory."""

    def __init__(self, of_file: ApiKeys, now_us: Callable[[], int]) -> None:
        """Know the keys of the file; those that were issued are shown when they were read."""
        self._of_file = of_file
        self._issued: dict[str, IssuedKey] = {}
        self._now_us = now_us
        # Until the issued keys were read once, an unknown key may be one of them.
        self.is_whole = False

    def find(self, key: str) -> ApiKey | None:
        """Return what ``key`` gives, or None: unknown, revoked or at its end."""
        known = self._of_file.find(key)
        if known is not None:
            return known
        issued = self._issued.get(hash_of(key)) if self._issued else None
        if issued is None:
            return None
        is_over = issued.expire_time_us and issued.expire_time_us <= self._now_us()
        return None if is_over else issued.gives

    def show(self, issued: Iterable[tuple[str, IssuedKey]]) -> None:
        """From now on, these are the issued keys, by hash."""
        self._issued = dict(issued)
        self.is_whole = True
