"""Accounts that were put by call: what is stored of one, and how a change moves it. Pure.

A secret is here in its sealed form only, so that whoever keeps it need not be able to open it.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from libs.runtime.accounts import Limits

# Secrets of one name that are accepted at once: the one in use, and its successor.
LIVE_SECRETS_MAX: Final = 2


class StoredSecret(msgspec.Struct, frozen=True, kw_only=True):
    """One secret. Unique in its account by (name, key_id)."""

    name: str  # what it is for: "app_secret"
    key_id: str
    sealed: bytes
    seal_key_id: str  # which key opens it
    create_time_us: int
    expire_time_us: int = 0  # from then on it is not accepted; 0: never

    def is_live(self, now_us: int) -> bool:
        """Whether it is accepted at ``now_us``."""
        return not self.expire_time_us or now_us < self.expire_time_us


class StoredAccount(msgspec.Struct, frozen=True, kw_only=True):
    """One account. Unique by (provider, account), whosever it is: both are its address."""

    provider: str
    account: str
    tenant_id: str
    secrets: tuple[StoredSecret, ...] = ()
    options: dict[str, str] = {}
    words: dict[str, str] = {}
    limits: Limits = Limits()
    is_disabled: bool = False
    update_time_us: int = 0

    @property
    def place(self) -> tuple[str, str]:
        """What it is found by."""
        return self.provider, self.account


class TooManySecrets(ValueError):
    """More secrets of one name would be accepted than may be; the message is the name."""


class NoSuchSecret(LookupError):
    """There is no secret of this name and key id."""


def with_secrets(
    account: StoredAccount, secrets: Sequence[StoredSecret], now_us: int
) -> StoredAccount:
    """Return the account with these secrets in place of its own; those that ended are forgotten.

    Raises:
        TooManySecrets: of one name.
    """
    live = [secret for secret in secrets if secret.is_live(now_us)]
    names = [secret.name for secret in live]
    for name in names:
        if names.count(name) > LIVE_SECRETS_MAX:
            raise TooManySecrets(name)
    return msgspec.structs.replace(account, secrets=tuple(live), update_time_us=now_us)


def rotated(
    account: StoredAccount, added: StoredSecret, others_end_us: int, now_us: int
) -> StoredAccount:
    """Return the account with ``added`` beside the secrets of its name.

    Args:
        account: as it is.
        added: the new one; it takes the place of one of its own key id.
        others_end_us: when the others of its name end at the latest; 0: they go on.
        now_us: the time.

    Raises:
        TooManySecrets: as above.
    """
    kept = []
    for secret in account.secrets:
        if secret.name == added.name:
            if secret.key_id == added.key_id:
                continue
            if others_end_us:
                end_us = min(secret.expire_time_us or others_end_us, others_end_us)
                secret = msgspec.structs.replace(secret, expire_time_us=end_us)
        kept.append(secret)
    return with_secrets(account, [*kept, added], now_us)


def retired(account: StoredAccount, name: str, key_id: str, now_us: int) -> StoredAccount:
    """Return the account without one of its secrets.

    Raises:
        NoSuchSecret: it has none such.
    """
    kept = [one for one in account.secrets if (one.name, one.key_id) != (name, key_id)]
    if len(kept) == len(account.secrets):
        raise NoSuchSecret(name)
    return with_secrets(account, kept, now_us)
