"""Provider accounts: whose callbacks come through which door, and how they prove themselves."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

# Why a door turns requests away that are too many or too large for their account.
REQUESTS_OVER_LIMIT = "REQUESTS_OVER_LIMIT"
BODY_OVER_LIMIT = "BODY_OVER_LIMIT"
LIMIT_REASONS = frozenset({REQUESTS_OVER_LIMIT, BODY_OVER_LIMIT})

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one account's door takes in; 0: no limit of its own."""

    requests_per_second: float = 0.0
    body_bytes_max: int = 0


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """One set of provider credentials. Unique by (provider, account)."""

    provider: str
    account: str
    tenant: str
    # By purpose ("app_secret"); several live values each, so that a secret can be rotated.
    secrets: dict[str, list[str]] = {}
    options: dict[str, str] = {}
    limits: Limits = Limits()
    # What words of the provider mean that its dialect has no meaning for: word -> "DELIVERED".
    words: dict[str, str] = {}
    # Callbacks are answered 503: its owner wants it so; or its secrets are sealed with a key that
    # is not here.
    is_disabled: bool = False
    is_sealed: bool = False

    @property
    def tenant_id(self) -> str:
        """The owner of what comes through this account's door."""
        return self.tenant

    def __repr__(self) -> str:
        """Return the identity only: a secret never reaches a log."""
        return f"Account({self.provider}/{self.account} of {self.tenant})"


class _AccountsFile(msgspec.Struct):
    accounts: list[Account]


class AccountsProblem(ValueError):
    """The accounts file cannot be used; the message says where and why, without a secret."""


class Accounts:
    """All accounts of this installation, found by provider and name."""

    # Whether no account can be missing; else an unknown one may be there in a moment.
    is_whole: bool = True

    def __init__(self, accounts: list[Account]) -> None:
        self._by_name: dict[tuple[str, str], Account] = {}
        for entry in accounts:
            for field, value in (("account", entry.account), ("tenant", entry.tenant)):
                if not NAME.fullmatch(value):
                    raise AccountsProblem(
                        f"{field} {value!r}: 1 to 64 characters of letters, digits, '-' and '_'."
                    )
            name = (entry.provider, entry.account)
            if name in self._by_name:
                raise AccountsProblem(f"{entry.provider}/{entry.account} is there twice.")
            self._by_name[name] = entry

    def find(self, provider: str, account: str) -> Account | None:
        """Return the account, or None."""
        return self._by_name.get((provider, account))

    def follow(self, tell: Callable[[], None]) -> None:
        """Call ``tell`` after each change; those of a file never change."""

    def __iter__(self) -> Iterator[Account]:
        """Give all accounts, in the order of the file."""
        return iter(self._by_name.values())

    def __len__(self) -> int:
        """Return how many accounts there are."""
        return len(self._by_name)


def load_accounts(path: str) -> Accounts:
    """Read the accounts file; an empty path gives no accounts.

    Raises:
        AccountsProblem: the file is missing, no JSON, or not of the form.
    """
    if not path:
        return Accounts([])
    try:
        return Accounts(msgspec.json.decode(Path(path).read_bytes(), type=_AccountsFile).accounts)
    except OSError as error:
        raise AccountsProblem(f"{path}: {error.strerror}") from None
    except msgspec.MsgspecError as error:
        raise AccountsProblem(f"{path}: {error}") from None
