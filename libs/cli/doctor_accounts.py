"""Asks the gateway for the accounts of a tenant: which prove nothing, which are shut."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import grpc
from bluetick.v1 import admin_service_pb2 as pb
from bluetick.v1.admin_service_pb2_grpc import AdminServiceStub

from libs.cli.doctor_files import ACCEPT, UNPROVEN, UNSIGNED, some, tell_proofs
from libs.cli.doctor_signs import Sign, Signs
from libs.cli.gateway_channel import explain

_DEADLINE_S = 10.0
_PAGE = 1_000
# A secret that ends so soon, without a successor, is told.
_SOON = timedelta(days=7)


def tenant_account_signs(gateway: str, api_key: str) -> list[Sign]:
    """Look at the accounts of the key's tenant, those of the file included."""
    signs = Signs("accounts")
    if not api_key:
        return signs.found
    try:
        with grpc.insecure_channel(gateway) as channel:
            accounts = list(_accounts(AdminServiceStub(channel), api_key))
    except grpc.RpcError as error:
        if error.code() is grpc.StatusCode.PERMISSION_DENIED:
            signs.fine("of the tenant", "not looked at: the key's role is not ADMIN")
        else:
            signs.wrong(
                "of the tenant",
                explain(error, gateway),
                "Start the gateway and ingest, or mend the address and the key.",
            )
        return signs.found
    stored = sum(one.origin == pb.ACCOUNT_ORIGIN_STORED for one in accounts)
    signs.fine("of the tenant", f"{len(accounts)} accounts, {stored} of them put by call")
    _look_at(signs, accounts)
    return signs.found


def _accounts(stub: AdminServiceStub, api_key: str) -> Iterator[pb.ProviderAccount]:
    metadata = (("authorization", f"Bearer {api_key}"),)
    request = pb.ListAccountsRequest(page_size=_PAGE)
    while True:
        page = stub.ListAccounts(request, metadata=metadata, timeout=_DEADLINE_S)
        yield from page.accounts
        request.page_token = page.next_page_token
        if not request.page_token:
            return


def _look_at(signs: Signs, accounts: list[pb.ProviderAccount]) -> None:
    # The file's own are looked at where the file is, those of other tenants with them.
    stored = [one for one in accounts if one.origin == pb.ACCOUNT_ORIGIN_STORED]
    bare = [one for one in stored if not one.secrets and one.options.get(UNPROVEN) != ACCEPT]
    open_ones = [one for one in stored if ACCEPT in map(one.options.get, (UNPROVEN, UNSIGNED))]
    tell_proofs(signs, "by call", _names(bare), _names(open_ones))
    sealed = [one for one in accounts if one.is_sealed]
    if sealed:
        signs.wrong(
            "sealed",
            f"Secrets of {some(_names(sealed))} do not open; their callbacks are answered 503.",
            "Give ingest the key that sealed them again (BLUETICK_ACCOUNT_KEYS).",
        )
    disabled = [one for one in accounts if one.is_disabled]
    if disabled:
        signs.odd(
            "disabled",
            f"{some(_names(disabled))}: callbacks are answered 503.",
            "`bluetick accounts enable` takes them again; providers give up after some days.",
        )
    for one in accounts:
        for name in _ending(one):
            signs.odd(
                f"{one.provider}/{one.account}",
                f"Its last {name} ends within {_SOON.days} days.",
                f"`bluetick accounts rotate {one.provider} {one.account} {name}`.",
            )


def _ending(account: pb.ProviderAccount) -> list[str]:
    """Names of secrets of which none goes on for long."""
    limit = pb.AccountSecretName().expire_time
    limit.GetCurrentTime()
    limit.FromDatetime(limit.ToDatetime() + _SOON)
    lasting = {
        one.name
        for one in account.secrets
        if not one.HasField("expire_time")
        or one.expire_time.ToMicroseconds() > limit.ToMicroseconds()
    }
    return sorted({one.name for one in account.secrets} - lasting)


def _names(accounts: list[pb.ProviderAccount]) -> list[str]:
    return [f"{one.provider}/{one.account}" for one in accounts]
