"""API keys: a credential gives a tenant and a role. Only hashes are stored."""

from collections.abc import Iterator
from enum import IntEnum
from hashlib import sha256
from pathlib import Path

import msgspec

from libs.runtime.accounts import NAME, AccountsProblem


class Role(IntEnum):
    """What a key may do; a higher role may do all that a lower one may, SENDER reads as well.

    OPERATOR stands beside them: who runs the installation is of no tenant and sees no tenant's
    data, and no tenant's key does the operator's work.
    """

    READER = 1
    SENDER = 2
    ADMIN = 3
    OPERATOR = 4

    def may(self, needed: "Role") -> bool:
        """Return whether this role is enough for what needs ``needed``."""
        if Role.OPERATOR in (self, needed):
            return self is needed
        return self >= needed


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key that was found."""

    tenant_id: str  # empty for OPERATOR
    role: Role


class _Entry(msgspec.Struct):
    sha256: str
    role: str
    tenant: str = ""


class _KeysFile(msgspec.Struct):
    keys: list[_Entry]


class ApiKeys:
    """All keys of this installation."""

    def __init__(self, entries: list[_Entry]) -> None:
        self._by_hash: dict[str, ApiKey] = {}
        for entry in entries:
            if entry.role not in Role.__members__:
                raise AccountsProblem(
                    f"role {entry.role!r}: one of ADMIN, SENDER, READER, OPERATOR."
                )
            if Role[entry.role] is Role.OPERATOR:
                if entry.tenant:
                    raise AccountsProblem("role OPERATOR is of no tenant; leave `tenant` out.")
            elif not NAME.fullmatch(entry.tenant):
                raise AccountsProblem(
                    f"tenant {entry.tenant!r}: 1 to 64 of letters, digits, '-' and '_'."
                )
            self._by_hash[entry.sha256] = ApiKey(tenant_id=entry.tenant, role=Role[entry.role])

    def find(self, key: str) -> ApiKey | None:
        """Return what ``key`` gives, or None.

        The look-up is by hash, so its time says nothing about a key that is nearly right.
        """
        return self._by_hash.get(hash_of(key))

    def __iter__(self) -> Iterator[ApiKey]:
        """Give what each key gives, in the order of the file."""
        return iter(self._by_hash.values())


def hash_of(key: str) -> str:
    """Return the hash under which a key is stored: SHA-256, hexadecimal.

    Keys are long random strings, so a slow password hash would protect nothing more.
    """
    return sha256(key.encode()).hexdigest()


def load_api_keys(path: str) -> ApiKeys:
    """Read the keys file; an empty path gives no keys.

    Raises:
        AccountsProblem: the file is missing, no JSON, or not of the form.
    """
    if not path:
        return ApiKeys([])
    try:
        return ApiKeys(msgspec.json.decode(Path(path).read_bytes(), type=_KeysFile).keys)
    except OSError as error:
        raise AccountsProblem(f"{path}: {error.strerror}") from None
    except msgspec.MsgspecError as error:
        raise AccountsProblem(f"{path}: {error}") from None
