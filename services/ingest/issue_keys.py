"""Issue, list and revoke API keys; a key is told once, and only its hash is kept."""

import secrets
from typing import Final

from bluetick.v1 import admin_service_pb2 as pb
from bluetick.v1 import common_pb2, key_service_pb2

from libs.runtime.api_keys import hash_of
from libs.runtime.paging import Paging
from libs.runtime.rpc_errors import FailedPrecondition, InvalidArgument, NotFound
from services.ingest.account_ports import KeyStore, StoredKey

KEYS_MAX: Final = 1_000  # of a tenant
TITLE_CHARACTERS_MAX: Final = 128
_PAGES: Final[Paging[tuple[int, str]]] = Paging(tuple[int, str])
_ROLES: Final = {
    common_pb2.ROLE_READER: "reader",
    common_pb2.ROLE_SENDER: "sender",
    common_pb2.ROLE_ADMIN: "admin",
}


async def create_api_key(
    request: pb.CreateApiKeyRequest, *, tenant_id: str, now_us: int, store: KeyStore
) -> pb.CreateApiKeyResponse:
    """Return a new key.

    Raises:
        InvalidArgument: role, title or end cannot be used.
        FailedPrecondition: the tenant has as many as it may.
        DatabaseUnavailable: it may be stored; nobody knows it, and ListApiKeys shows it.
    """
    if request.role not in _ROLES:
        raise InvalidArgument.of("role", "ROLE_READER, ROLE_SENDER or ROLE_ADMIN.")
    if len(request.title) > TITLE_CHARACTERS_MAX or "\x00" in request.title:
        raise InvalidArgument.of(
            "title", f"At most {TITLE_CHARACTERS_MAX} characters, without NUL."
        )
    expire_us = request.expire_time.ToMicroseconds() if request.HasField("expire_time") else 0
    if request.HasField("expire_time") and expire_us <= now_us:
        raise InvalidArgument.of("expire_time", "In the past; leave it out for a key without end.")
    api_key = f"bluetick_{_ROLES[request.role]}_{secrets.token_urlsafe(24)}"
    stored = StoredKey(
        key_id=secrets.token_hex(8),
        tenant_id=tenant_id,
        sha256=bytes.fromhex(hash_of(api_key)),
        role=request.role,
        title=request.title,
        create_time_us=now_us,
        expire_time_us=expire_us,
    )
    if not await store.add(stored, KEYS_MAX):
        raise FailedPrecondition(
            f"You have {KEYS_MAX} keys, which are the most; revoke one first.",
            reason="API_KEYS_TOO_MANY",
            metadata={"limit": str(KEYS_MAX)},
        )
    return pb.CreateApiKeyResponse(api_key=api_key, key_id=stored.key_id)


async def list_api_keys(
    request: pb.ListApiKeysRequest, *, tenant_id: str, store: KeyStore
) -> pb.ListApiKeysResponse:
    """Return a page of the tenant's keys that were issued by call, oldest first.

    Raises:
        InvalidArgument: the page size or the page token cannot be used.
        DatabaseUnavailable: an outage.
    """
    size, after = _PAGES.size(request), _PAGES.after(tenant_id, request)
    found = await store.of_tenant(tenant_id, after, size + 1)
    answer = pb.ListApiKeysResponse(api_keys=[_shown(key) for key in found[:size]])
    if len(found) > size:
        last = found[size - 1]
        place = last.create_time_us, last.key_id
        answer.next_page_token = _PAGES.token(tenant_id, request, place)
    return answer


async def revoke_api_key(
    request: pb.RevokeApiKeyRequest, *, tenant_id: str, store: KeyStore
) -> None:
    """End a key.

    Raises:
        NotFound: the tenant has none such that was issued by call.
        DatabaseUnavailable: it may still be good.
    """
    is_storable = "\x00" not in request.key_id
    if not is_storable or not await store.revoke(tenant_id, request.key_id):
        raise NotFound(
            "You have no such key. One of the keys file ends by leaving the file.",
            reason="API_KEY_NOT_FOUND",
        )


async def issued_keys(
    request: key_service_pb2.ListIssuedKeysRequest, *, store: KeyStore
) -> key_service_pb2.ListIssuedKeysResponse:
    """Return all keys of all tenants, for the gateway; nothing if it has them already.

    Raises:
        DatabaseUnavailable: an outage.
    """
    revision, keys = await store.issued(request.revision)
    if keys is None:
        return key_service_pb2.ListIssuedKeysResponse(revision=revision, is_unchanged=True)
    return key_service_pb2.ListIssuedKeysResponse(
        revision=revision,
        keys=[
            key_service_pb2.IssuedKey(
                sha256=key.sha256,
                tenant_id=key.tenant_id,
                role=key.role,  # type: ignore[arg-type]
                expire_time_us=key.expire_time_us,
            )
            for key in keys
        ],
    )


def _shown(key: StoredKey) -> pb.ApiKey:
    shown = pb.ApiKey(key_id=key.key_id, role=key.role, title=key.title)  # type: ignore[arg-type]
    shown.create_time.FromMicroseconds(key.create_time_us)
    if key.expire_time_us:
        shown.expire_time.FromMicroseconds(key.expire_time_us)
    return shown
