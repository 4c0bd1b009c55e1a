"""Keeps the book of API keys like what was issued, on every replica, without a restart."""

import asyncio
from time import monotonic
from typing import Final, Protocol

from bluetick.v1.key_service_pb2 import IssuedKey as Told
from bluetick.v1.key_service_pb2 import ListIssuedKeysRequest, ListIssuedKeysResponse

from libs.runtime import logs
from libs.runtime.api_keys import ApiKey, Role
from services.gateway.key_book import IssuedKey, KeyBook

_log = logs.get_logger()
# An unknown key may have been issued a moment ago: then it is looked for at once. So many callers
# wait for that at a time, and so often it is done, whatever strangers send.
_WAITING_MAX: Final = 100
_PAUSE_S: Final = 0.25


class KeysUnread(Exception):
    """Whoever keeps the issued keys did not answer."""


class IssuedKeys(Protocol):
    """Whoever keeps the keys that were issued."""

    async def list_issued(self, request: ListIssuedKeysRequest) -> ListIssuedKeysResponse:
        """Return all of them, or that nothing has changed.

        Raises:
            KeysUnread: in an outage.
        """


class KeyFollower:
    """The use case: one per process."""

    def __init__(self, book: KeyBook, issued: IssuedKeys) -> None:
        """Show in ``book`` what ``issued`` has."""
        self._book = book
        self._issued = issued
        self._revision = ""
        self._is_asking = asyncio.Lock()
        self._asked_at_s = 0.0
        self._waiting = 0
        self._is_silent = False

    async def refresh(self) -> None:
        """Show what is issued now; where that cannot be read, what was shown stays."""
        async with self._is_asking:
            await self._refresh()

    async def look_again(self) -> None:
        """Look for keys issued before this call, with others who wait for the same."""
        if self._waiting >= _WAITING_MAX:
            return
        called_at_s = monotonic()
        self._waiting += 1
        try:
            async with self._is_asking:
                if self._asked_at_s < called_at_s:
                    await asyncio.sleep(max(0.0, self._asked_at_s + _PAUSE_S - called_at_s))
                    await self._refresh()
        finally:
            self._waiting -= 1

    async def run(self, interval_s: float, stopping: asyncio.Event) -> None:
        """Refresh until ``stopping`` is set."""
        while not stopping.is_set():
            await self.refresh()
            try:
                await asyncio.wait_for(stopping.wait(), interval_s)
            except TimeoutError:
                continue

    async def _refresh(self) -> None:
        self._asked_at_s = monotonic()
        try:
            answer = await self._issued.list_issued(ListIssuedKeysRequest(revision=self._revision))
        except KeysUnread as error:
            if not self._is_silent:
                _log.warning("keys.unread", why=str(error))
            self._is_silent = True
            return
        self._is_silent = False
        if not answer.is_unchanged:
            self._book.show((key.sha256.hex(), _issued(key)) for key in answer.keys)
            self._revision = answer.revision


def _issued(key: Told) -> IssuedKey:
    gives = ApiKey(tenant_id=key.tenant_id, role=Role(key.role))
    return IssuedKey(gives, key.expire_time_us)
