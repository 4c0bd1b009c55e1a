"""All accounts as they are now: those of the file, and those that were put by call."""

from collections.abc import Callable, Iterable, Iterator

from libs.runtime.accounts import Account, Accounts
from libs.runtime.secret_box import Sealed
from services.ingest.account_ports import Place, Sealer, purpose_of
from services.ingest.domain.stored_account import StoredAccount, StoredSecret

# One secret, whatever it is sealed with: another value has another time.
_Known = dict[tuple[Place, str, str, int], str]


class AccountBook(Accounts):
    """One per process; whoever holds it sees each change at once.

    Accounts of the file cannot be changed, and stand before stored ones of the same address.
    """

    def __init__(self, of_file: Accounts, sealer: Sealer) -> None:
        """Begin with the file; what is stored is shown when it was read.

        With a key to open them, stored accounts are expected: until they were read, an unknown
        account may be one of them.
        """
        super().__init__(list(of_file))
        self._of_file = dict(self._by_name)
        self._sealer = sealer
        self._opened: _Known = {}
        self._followers: list[Callable[[], None]] = []
        self._stored: dict[Place, StoredAccount] = {}
        # When the first of the secrets stops being accepted; 0: none does.
        self.next_expire_us = 0
        self.is_whole = not sealer

    def follow(self, tell: Callable[[], None]) -> None:
        """Call ``tell`` after each change."""
        self._followers.append(tell)

    def is_of_file(self, place: Place) -> bool:
        """Whether the account is one of the file."""
        return place in self._of_file

    def shadowed(self) -> list[Place]:
        """Return stored accounts that one of the file stands before."""
        return [place for place in self._stored if place in self._of_file]

    def stored(self, place: Place) -> StoredAccount | None:
        """Return what is stored of an account, unless the file has it."""
        return None if place in self._of_file else self._stored.get(place)

    def show(self, stored: Iterable[StoredAccount], now_us: int) -> None:
        """From now on, these are the stored accounts."""
        self._stored = {one.place: one for one in stored}
        self.look_at_clock(now_us)

    def look_at_clock(self, now_us: int) -> None:
        """Leave out secrets that ended."""
        opened: _Known = {}
        before = self._by_name
        accounts = dict(self._of_file)
        ends: list[int] = []
        for place, stored in self._stored.items():
            if place in accounts:
                continue
            account = self._account(stored, opened, now_us)
            known = before.get(place)
            # Whoever compares by identity sees what has changed.
            accounts[place] = known if known == account and known is not None else account
            ends += [one.expire_time_us for one in stored.secrets if one.expire_time_us > now_us]
        self._opened = opened
        self.next_expire_us = min(ends, default=0)
        self._by_name = accounts
        self.is_whole = True
        for tell in self._followers:
            tell()

    def stale_secrets(self) -> Iterator[tuple[StoredAccount, StoredSecret, Sealed]]:
        """Give the open secrets that are sealed with another key than the first, sealed anew."""
        for stored in self._stored.values():
            for secret in stored.secrets:
                value = self._opened.get(_identity(stored, secret))
                if value is not None and self._sealer.seal_key_id not in ("", secret.seal_key_id):
                    purpose = purpose_of(stored, secret.name, secret.key_id)
                    yield stored, secret, self._sealer.seal(value, purpose)

    def _account(self, stored: StoredAccount, opened: _Known, now_us: int) -> Account:
        secrets: dict[str, list[str]] = {}
        is_sealed = False
        for secret in stored.secrets:
            value = self._open(stored, secret)
            if value is not None:
                opened[_identity(stored, secret)] = value
            # Of a secret that ended the name stays, without a value: an account whose last secret
            # ends is one whose callbacks nothing proves, not one that never had any.
            live = secrets.setdefault(secret.name, [])
            if not secret.is_live(now_us):
                continue
            if value is None:
                is_sealed = True
            else:
                live.append(value)
        return Account(
            provider=stored.provider,
            account=stored.account,
            tenant=stored.tenant_id,
            secrets=secrets,
            options=stored.options,
            limits=stored.limits,
            words=stored.words,
            is_disabled=stored.is_disabled,
            is_sealed=is_sealed,
        )

    def _open(self, stored: StoredAccount, secret: StoredSecret) -> str | None:
        # Another replica, with a newer key than ours, may have sealed it anew meanwhile.
        known = self._opened.get(_identity(stored, secret))
        if known is not None:
            return known
        sealed = Sealed(secret.seal_key_id, secret.sealed)
        return self._sealer.open(sealed, purpose_of(stored, secret.name, secret.key_id))


def _identity(stored: StoredAccount, secret: StoredSecret) -> tuple[Place, str, str, int]:
    return stored.place, secret.name, secret.key_id, secret.create_time_us
