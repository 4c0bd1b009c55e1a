"""Decides who is calling and whether they may: by the API key alone."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count

from libs.runtime.api_keys import ApiKey, Role
from libs.runtime.rpc_context import INTERNAL_TOKEN, REQUEST_ID, ROLE, TENANT
from libs.runtime.rpc_errors import PermissionDenied, Unauthenticated, Unavailable
from services.gateway.domain.request_ids import is_request_id
from services.gateway.domain.routes import Route
from services.gateway.follow_keys import KeyFollower
from services.gateway.key_book import KeyBook

Metadata = tuple[tuple[str, str], ...]

_SCHEME = "bearer "


class RequestIds:
    """Makes ids that no other process makes: a random prefix and a number."""

    def __init__(self) -> None:
        self._prefix = secrets.token_hex(8)
        self._numbers = count(1)

    def next(self) -> str:
        """Return a new id."""
        return f"{self._prefix}-{next(self._numbers):x}"


@dataclass(slots=True)
class Credentials:
    """What a call's metadata says, before anything is believed."""

    key: str = ""
    request_id: str = ""  # the caller's own; empty: none that can be taken

    @classmethod
    def read(cls, metadata: Iterable[tuple[str, str | bytes]] | None) -> "Credentials":
        """Take the key and the request id; everything else is dropped, never passed on."""
        found = cls()
        for name, value in metadata or ():
            if name == "authorization":
                text = str(value)
                if text[: len(_SCHEME)].lower() == _SCHEME:
                    found.key = text[len(_SCHEME) :].strip()
            elif name == "x-request-id" and is_request_id(value):
                found.request_id = str(value)
        return found


class Gatekeeper:
    """Turns a key into what the services are told about the caller."""

    def __init__(self, keys: KeyBook, follower: KeyFollower, internal_token: str) -> None:
        self._keys = keys
        self._follower = follower
        self._token = (INTERNAL_TOKEN, internal_token)

    async def admit(self, route: Route, api_key: str) -> ApiKey:
        """Return what the key gives.

        Raises:
            Unauthenticated: no key, or one that nobody knows.
            Unavailable: the key is none of the file, and the issued ones are not known yet.
            PermissionDenied: the key's role is smaller than the RPC's.
        """
        key = self._keys.find(api_key) or await self._looked_up(api_key)
        is_operators = route.is_operators and key.role is Role.OPERATOR
        if not is_operators and not key.role.may(route.role):
            raise PermissionDenied(
                f"This call needs the role {route.role.name}; the key has {key.role.name}.",
                metadata={"required_role": route.role.name, "role": key.role.name},
            )
        return key

    async def hear_of_keys(self) -> None:
        """Know from here on what was issued and revoked until now, if that can be read."""
        await self._follower.refresh()

    def metadata(self, key: ApiKey, request_id: str) -> Metadata:
        """Return what the owning service is told about the caller."""
        return (
            (TENANT, key.tenant_id),
            (ROLE, key.role.name),
            (REQUEST_ID, request_id),
            self._token,
        )

    async def _looked_up(self, key: str) -> ApiKey:
        if not key:
            raise Unauthenticated(
                "Send an API key as metadata `authorization: Bearer <key>`.",
                reason="API_KEY_MISSING",
            )
        # It may have been issued a moment ago.
        await self._follower.look_again()
        known = self._keys.find(key)
        if known is None and not self._keys.is_whole:
            raise Unavailable(
                "The API keys that were issued by call are not known here yet; try again.",
                reason="API_KEYS_UNREAD",
                retry_s=1.0,
            )
        if known is None:
            raise Unauthenticated("No such API key.", reason="API_KEY_UNKNOWN")
        return known
