"""Change secrets of a stored account while callbacks come in; and remove an account."""

from typing import Final

from bluetick.v1 import admin_service_pb2 as pb

from libs.runtime.rpc_errors import InvalidArgument, NotFound
from services.ingest.account_book import AccountBook
from services.ingest.account_ports import AccountStore, Place, Sealer
from services.ingest.domain.stored_account import (
    NoSuchSecret,
    StoredAccount,
    retired,
    rotated,
)
from services.ingest.put_account import (
    bounded,
    change_own,
    check_secret,
    must_not_be_of_file,
    must_seal,
    new_key_id,
    owned,
    provider_of,
    sealed_secret,
)

_RETIRE_AFTER_S_MAX: Final = 366 * 24 * 3600
_SECOND_US: Final = 1_000_000


async def rotate_secret(
    request: pb.RotateSecretRequest,
    *,
    tenant_id: str,
    now_us: int,
    book: AccountBook,
    store: AccountStore,
    sealer: Sealer,
) -> Place:
    """Store a secret beside the one that is there; return the account's place.

    Raises:
        InvalidArgument, FailedPrecondition, NotFound, DatabaseUnavailable: as ``put_account``;
            FailedPrecondition also while two are accepted already.
    """
    added = pb.AccountSecret()
    added.CopyFrom(request.secret)
    added.key_id = added.key_id or new_key_id()
    check_secret(added, provider_of(request.provider), "secret")
    if not added.value:
        raise InvalidArgument.of("secret.value", "Empty; send the new secret.")
    others_end_us = _others_end_us(request, now_us)
    place = request.provider, request.account
    must_not_be_of_file(book, place)
    must_seal(sealer)

    def change(known: StoredAccount) -> StoredAccount:
        new = sealed_secret(added, known, known, sealer, now_us, "secret")
        return bounded(lambda: rotated(known, new, others_end_us, now_us))

    await change_own(place, change, tenant_id=tenant_id, book=book, store=store)
    return place


def _others_end_us(request: pb.RotateSecretRequest, now_us: int) -> int:
    if not request.HasField("retire_after"):
        return 0
    after = request.retire_after
    if not 0 <= after.seconds <= _RETIRE_AFTER_S_MAX or after.nanos < 0:
        raise InvalidArgument.of(
            "retire_after", f"From 0 to {_RETIRE_AFTER_S_MAX} s; leave it out to retire by call."
        )
    # At once is after this microsecond: 0 stands for never.
    return now_us + max(1, after.seconds * _SECOND_US + after.nanos // 1_000)


async def retire_secret(
    request: pb.RetireSecretRequest,
    *,
    tenant_id: str,
    now_us: int,
    book: AccountBook,
    store: AccountStore,
) -> Place:
    """End one secret; return the account's place.

    Raises:
        FailedPrecondition, NotFound, DatabaseUnavailable: as above.
    """

    def change(known: StoredAccount) -> StoredAccount:
        try:
            return retired(known, request.name, request.key_id, now_us)
        except NoSuchSecret:
            raise NotFound(
                "The account has no such secret; ListAccounts shows their names and key ids.",
                reason="SECRET_NOT_FOUND",
            ) from None

    place = request.provider, request.account
    await change_own(place, change, tenant_id=tenant_id, book=book, store=store)
    return place


async def delete_account(
    request: pb.DeleteAccountRequest, *, tenant_id: str, book: AccountBook, store: AccountStore
) -> None:
    """Remove an account with its secrets.

    Raises:
        FailedPrecondition, NotFound, DatabaseUnavailable: as above.
    """

    def nothing(known: StoredAccount | None, _count: int) -> None:
        owned(known, tenant_id)

    place = request.provider, request.account
    must_not_be_of_file(book, place)
    await store.change(place, tenant_id, nothing)
