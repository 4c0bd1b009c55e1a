"""Show accounts, never a secret."""

from typing import Final

from bluetick.v1 import admin_service_pb2 as pb
from bluetick.v1 import common_pb2

from libs.runtime.accounts import Account
from libs.runtime.paging import Paging
from services.ingest.account_book import AccountBook
from services.ingest.account_ports import Place
from services.ingest.domain.stored_account import StoredAccount

_PAGES: Final[Paging[tuple[str, str]]] = Paging(tuple[str, str])


def list_accounts(
    request: pb.ListAccountsRequest, *, tenant_id: str, book: AccountBook, now_us: int
) -> pb.ListAccountsResponse:
    """Return a page of the tenant's accounts, by provider and account.

    Raises:
        InvalidArgument: the page size or the page token cannot be used.
    """
    size, after = _PAGES.size(request), _PAGES.after(tenant_id, request)
    places = sorted((one.provider, one.account) for one in book if one.tenant_id == tenant_id)
    rest = [place for place in places if after is None or place > after]
    answer = pb.ListAccountsResponse(
        accounts=[show_account(place, book, now_us) for place in rest[:size]]
    )
    if len(rest) > size:
        answer.next_page_token = _PAGES.token(tenant_id, request, rest[size - 1])
    return answer


def show_account(place: Place, book: AccountBook, now_us: int) -> pb.ProviderAccount:
    """Return an account that is in ``book`` as its owner may see it."""
    account = book.find(*place)
    assert account is not None
    shown = pb.ProviderAccount(
        provider=account.provider,
        account=account.account,
        options=account.options,
        limits=pb.AccountLimits(
            requests_per_second=account.limits.requests_per_second,
            body_bytes_max=account.limits.body_bytes_max,
        ),
        words={
            word: common_pb2.EventKind.Value(f"EVENT_KIND_{kind}")
            for word, kind in account.words.items()
        },
        is_disabled=account.is_disabled,
        is_sealed=account.is_sealed,
    )
    stored = book.stored(place)
    if stored is None:
        _add_file_secrets(shown, account)
    else:
        _add_stored_secrets(shown, stored, now_us)
    return shown


def _add_file_secrets(shown: pb.ProviderAccount, account: Account) -> None:
    shown.origin = pb.ACCOUNT_ORIGIN_FILE
    for name, values in sorted(account.secrets.items()):
        for number, value in enumerate(values, 1):
            if value.strip():
                # A file gives them no identity; their order does.
                shown.secrets.add(name=name, key_id=str(number))


def _add_stored_secrets(shown: pb.ProviderAccount, stored: StoredAccount, now_us: int) -> None:
    shown.origin = pb.ACCOUNT_ORIGIN_STORED
    shown.update_time.FromMicroseconds(stored.update_time_us)
    for secret in stored.secrets:
        if not secret.is_live(now_us):
            continue
        added = shown.secrets.add(name=secret.name, key_id=secret.key_id)
        added.create_time.FromMicroseconds(secret.create_time_us)
        if secret.expire_time_us:
            added.expire_time.FromMicroseconds(secret.expire_time_us)
