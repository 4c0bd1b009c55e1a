"""Keeps the book of accounts like what is stored, on every replica, without a restart."""

import asyncio

from libs.runtime import logs, metrics
from libs.runtime.clock import Clock
from libs.runtime.database import DatabaseUnavailable
from services.ingest.account_book import AccountBook
from services.ingest.account_ports import AccountStore
from services.ingest.log_events import LogEvent

_log = logs.get_logger()
_accounts = metrics.gauge("ingest_accounts", "Accounts whose callbacks have an address")
_sealed = metrics.gauge(
    "ingest_accounts_sealed", "Accounts with a secret that BLUETICK_ACCOUNT_KEYS does not open"
)


class AccountFollower:
    """The use case: one per process."""

    def __init__(self, book: AccountBook, store: AccountStore, clock: Clock) -> None:
        """Show in ``book`` what is in ``store``."""
        self._book = book
        self._store = store
        self._clock = clock
        self._revision: str | None = None
        self._is_reading = asyncio.Lock()
        self._why = ""
        _accounts.set_function(lambda: len(book))
        _sealed.set_function(lambda: sum(account.is_sealed for account in book))

    async def refresh(self) -> None:
        """Show what is stored now.

        Raises:
            DatabaseUnavailable: what was shown stays.
        """
        async with self._is_reading:
            if await self._store.revision() != self._revision:
                # One more change meanwhile, and this is done again at the next look.
                revision, stored = await self._store.read()
                self._book.show(stored, self._clock.now_us())
                self._revision = revision
                self._say()
            elif 0 < self._book.next_expire_us <= self._clock.now_us():
                self._book.look_at_clock(self._clock.now_us())

    async def run(self, interval_s: float, stopping: asyncio.Event) -> None:
        """Refresh until ``stopping`` is set; outages are waited out with what is known."""
        while not stopping.is_set():
            await self.refresh_if_possible()
            try:
                await asyncio.wait_for(stopping.wait(), interval_s)
            except TimeoutError:
                continue

    async def refresh_if_possible(self) -> None:
        """Refresh, or keep what is known and say why, once."""
        try:
            await self.refresh()
            await self._reseal()
            self._why = ""
        except DatabaseUnavailable as error:
            now_us = self._clock.now_us()
            if 0 < self._book.next_expire_us <= now_us:
                self._book.look_at_clock(now_us)
            self._complain(str(error), None)
        except Exception as error:
            # A fault of ours (no such column, no permission): the doors go on with what is known.
            self._complain(type(error).__name__, error)

    def _complain(self, why: str, error: Exception | None) -> None:
        """Say it once, not at each look."""
        if why == self._why:
            return
        self._why = why
        unread: LogEvent = "accounts.unread"
        if error is None:
            _log.warning(unread, why=why)
        else:
            _log.error(unread, why=why, exc_info=error)

    async def _reseal(self) -> None:
        """Seal with the first key what another one has sealed, so that that may go."""
        stale = list(self._book.stale_secrets())
        if not stale:
            return
        await self._store.reseal(stale)
        self._revision = None
        resealed: LogEvent = "secrets.resealed"
        _log.info(resealed, secrets=len(stale))

    def _say(self) -> None:
        changed: LogEvent = "accounts.changed"
        _log.info(changed, accounts=len(self._book))
        for account in self._book:
            if account.is_sealed:
                sealed: LogEvent = "account.sealed"
                _log.error(sealed, provider=account.provider, account=account.account)
        for provider, name in self._book.shadowed():
            shadowed: LogEvent = "account.shadowed"
            _log.warning(shadowed, provider=provider, account=name)
