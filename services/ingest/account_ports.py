"""What the use cases of accounts and keys ask of the world."""

from collections.abc import Callable, Iterable
from typing import Protocol

import msgspec

from libs.runtime.secret_box import Sealed
from services.ingest.domain.stored_account import StoredAccount, StoredSecret

Place = tuple[str, str]
# From what is stored of an account (None: nothing), and how many the tenant has, to what is to be
# stored (None: nothing any more). May be asked again; an exception leaves everything as it was.
Decide = Callable[[StoredAccount | None, int], StoredAccount | None]


class Sealer(Protocol):
    """Seals secrets, and opens what it or another holder of its keys has sealed."""

    def __bool__(self) -> bool:
        """Whether there is a key to seal with."""

    @property
    def seal_key_id(self) -> str:
        """Key that seals from now on; empty: none."""

    def seal(self, secret: str, purpose: str) -> Sealed:
        """Return the secret sealed for one purpose; for another it does not open."""

    def open(self, sealed: Sealed, purpose: str) -> str | None:
        """Return the secret; None without its key, or if it is not what was sealed."""


class AccountStore(Protocol):
    """Accounts that were put by call. Each call raises ``DatabaseUnavailable`` in an outage."""

    async def revision(self) -> str:
        """Return the word that is another after each change; empty: nothing was ever stored."""

    async def read(self) -> tuple[str, list[StoredAccount]]:
        """Return all accounts, with the revision that they are, or an older one."""

    async def change(self, place: Place, tenant_id: str, decide: Decide) -> None:
        """Store what ``decide`` answers; changes come one after another."""

    async def reseal(self, sealed: Iterable[tuple[StoredAccount, StoredSecret, Sealed]]) -> None:
        """Put other sealed forms of the same secrets in place of those that were read."""


class StoredKey(msgspec.Struct, frozen=True, kw_only=True):
    """An API key that was issued by call; the key itself is nowhere."""

    key_id: str
    tenant_id: str
    sha256: bytes
    role: int
    title: str
    create_time_us: int
    expire_time_us: int = 0  # 0: never


class KeyStore(Protocol):
    """API keys that were issued by call. Raises as ``AccountStore``."""

    async def add(self, key: StoredKey, keys_max: int) -> bool:
        """Store a key; False: its tenant has ``keys_max`` already."""

    async def of_tenant(
        self, tenant_id: str, after: tuple[int, str] | None, limit: int
    ) -> list[StoredKey]:
        """Return keys behind a place, by time of making and id."""

    async def revoke(self, tenant_id: str, key_id: str) -> bool:
        """Delete a key; False: the tenant has none such."""

    async def issued(self, known_revision: str) -> tuple[str, list[StoredKey] | None]:
        """Return revision and keys of all tenants; None: ``known_revision`` is still right."""


def purpose_of(account: StoredAccount, name: str, key_id: str) -> str:
    """Return what a secret is sealed for: in another row it is worth nothing."""
    return "\x00".join((account.tenant_id, *account.place, name, key_id))
