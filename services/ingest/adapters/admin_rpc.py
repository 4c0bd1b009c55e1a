"""gRPC in for who keeps accounts and keys: each call checked for its role, then its use case."""

from typing import Any

from bluetick.v1 import admin_service_pb2 as pb
from bluetick.v1 import key_service_pb2
from bluetick.v1.admin_service_pb2_grpc import AdminServiceServicer
from bluetick.v1.key_service_pb2_grpc import KeyServiceServicer

from libs.runtime import logs
from libs.runtime.api_keys import Role
from libs.runtime.clock import Clock
from libs.runtime.database import DatabaseUnavailable
from libs.runtime.rpc_context import caller
from services.ingest.account_book import AccountBook
from services.ingest.account_ports import AccountStore, KeyStore, Place, Sealer
from services.ingest.follow_accounts import AccountFollower
from services.ingest.issue_keys import create_api_key, issued_keys, list_api_keys, revoke_api_key
from services.ingest.list_accounts import list_accounts, show_account
from services.ingest.log_events import LogEvent
from services.ingest.put_account import put_account
from services.ingest.rotate_secret import delete_account, retire_secret, rotate_secret

_log = logs.get_logger()


class AdminRpc(AdminServiceServicer):
    """``AdminService``; each answer shows what this replica works with from then on."""

    def __init__(
        self,
        *,
        book: AccountBook,
        follower: AccountFollower,
        accounts: AccountStore,
        keys: KeyStore,
        sealer: Sealer,
        clock: Clock,
    ) -> None:
        self._book = book
        self._follower = follower
        self._accounts = accounts
        self._keys = keys
        self._sealer = sealer
        self._clock = clock

    async def PutAccount(
        self, request: pb.PutAccountRequest, context: Any
    ) -> pb.PutAccountResponse:
        """Store an account."""
        place = await put_account(
            request,
            tenant_id=_admin(context),
            now_us=self._clock.now_us(),
            book=self._book,
            store=self._accounts,
            sealer=self._sealer,
        )
        _note("PutAccount", context, provider=place[0], account=place[1])
        return pb.PutAccountResponse(account=await self._shown(place))

    async def RotateSecret(
        self, request: pb.RotateSecretRequest, context: Any
    ) -> pb.RotateSecretResponse:
        """Store a secret beside the one that is there."""
        place = await rotate_secret(
            request,
            tenant_id=_admin(context),
            now_us=self._clock.now_us(),
            book=self._book,
            store=self._accounts,
            sealer=self._sealer,
        )
        _note("RotateSecret", context, provider=place[0], account=place[1])
        return pb.RotateSecretResponse(account=await self._shown(place))

    async def RetireSecret(
        self, request: pb.RetireSecretRequest, context: Any
    ) -> pb.RetireSecretResponse:
        """End one secret."""
        place = await retire_secret(
            request,
            tenant_id=_admin(context),
            now_us=self._clock.now_us(),
            book=self._book,
            store=self._accounts,
        )
        _note("RetireSecret", context, provider=place[0], account=place[1])
        return pb.RetireSecretResponse(account=await self._shown(place))

    async def DeleteAccount(
        self, request: pb.DeleteAccountRequest, context: Any
    ) -> pb.DeleteAccountResponse:
        """Remove an account."""
        await delete_account(
            request, tenant_id=_admin(context), book=self._book, store=self._accounts
        )
        _note("DeleteAccount", context, provider=request.provider, account=request.account)
        await self._follower.refresh()
        return pb.DeleteAccountResponse()

    async def ListAccounts(
        self, request: pb.ListAccountsRequest, context: Any
    ) -> pb.ListAccountsResponse:
        """Show the tenant's accounts."""
        tenant_id = _admin(context)
        try:
            await self._follower.refresh()
        except DatabaseUnavailable:
            # Without a key nothing can be stored, and the file is all there is.
            if self._sealer:
                raise
        return list_accounts(
            request, tenant_id=tenant_id, book=self._book, now_us=self._clock.now_us()
        )

    async def CreateApiKey(
        self, request: pb.CreateApiKeyRequest, context: Any
    ) -> pb.CreateApiKeyResponse:
        """Issue a key."""
        made = await create_api_key(
            request, tenant_id=_admin(context), now_us=self._clock.now_us(), store=self._keys
        )
        _note("CreateApiKey", context, key_id=made.key_id)
        return made

    async def ListApiKeys(
        self, request: pb.ListApiKeysRequest, context: Any
    ) -> pb.ListApiKeysResponse:
        """Show the keys that were issued."""
        return await list_api_keys(request, tenant_id=_admin(context), store=self._keys)

    async def RevokeApiKey(
        self, request: pb.RevokeApiKeyRequest, context: Any
    ) -> pb.RevokeApiKeyResponse:
        """End a key."""
        await revoke_api_key(request, tenant_id=_admin(context), store=self._keys)
        _note("RevokeApiKey", context, key_id=request.key_id)
        return pb.RevokeApiKeyResponse()

    async def _shown(self, place: Place) -> pb.ProviderAccount:
        await self._follower.refresh()
        if self._book.find(*place) is None:
            # Somebody deleted it in this instant.
            return pb.ProviderAccount(provider=place[0], account=place[1])
        return show_account(place, self._book, self._clock.now_us())


class KeyRpc(KeyServiceServicer):
    """``KeyService``: of no tenant, for the gateway alone, which shows the internal token."""

    def __init__(self, keys: KeyStore) -> None:
        self._keys = keys

    async def ListIssuedKeys(
        self, request: key_service_pb2.ListIssuedKeysRequest, context: Any
    ) -> key_service_pb2.ListIssuedKeysResponse:
        """Give all keys, or that nothing has changed."""
        return await issued_keys(request, store=self._keys)


def _admin(context: Any) -> str:
    who = caller(context)
    who.require(Role.ADMIN)
    return who.tenant_id


def _note(rpc: str, context: Any, **of_what: str) -> None:
    """Write down who changed what; never a secret."""
    changed: LogEvent = "admin.changed"
    _log.info(changed, rpc=rpc, tenant_id=caller(context).tenant_id, **of_what)
