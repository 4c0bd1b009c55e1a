"""Store an account that an ADMIN puts: every field looked at, every secret sealed."""

import math
import secrets
from collections.abc import Callable, Mapping
from typing import Final

import msgspec
from bluetick.v1 import admin_service_pb2 as pb
from bluetick.v1 import common_pb2

from libs.runtime.accounts import NAME, Limits
from libs.runtime.rpc_errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound
from libs.runtime.secret_box import Sealed
from services.ingest.account_book import AccountBook
from services.ingest.account_ports import AccountStore, Place, Sealer, purpose_of
from services.ingest.domain.stored_account import (
    LIVE_SECRETS_MAX,
    StoredAccount,
    StoredSecret,
    TooManySecrets,
    with_secrets,
)
from services.ingest.domain.word_kinds import WORD_KINDS
from services.ingest.providers.provider import Provider
from services.ingest.providers.registry import BY_NAME, unknown_name
from services.ingest.providers.static_credential import ACCEPT, UNPROVEN_OPTION

ACCOUNTS_MAX: Final = 1_000  # of a tenant
SECRETS_MAX: Final = 40
SECRET_BYTES_MAX: Final = 16 * 1024
OPTIONS_MAX: Final = 64
OPTION_CHARACTERS_MAX: Final = 2_048
WORDS_MAX: Final = 200
WORD_CHARACTERS_MAX: Final = 256
REQUESTS_PER_SECOND_MAX: Final = 100_000.0
_KIND_PREFIX: Final = "EVENT_KIND_"

Change = Callable[[StoredAccount], StoredAccount]


async def put_account(
    request: pb.PutAccountRequest,
    *,
    tenant_id: str,
    now_us: int,
    book: AccountBook,
    store: AccountStore,
    sealer: Sealer,
) -> Place:
    """Store the account; return its place.

    Raises:
        InvalidArgument: a field cannot be used; names it, its limit and the cure.
        FailedPrecondition: the account is of the file, there is no key to seal with, or the tenant
            has as many as it may.
        AlreadyExists: its name is another tenant's.
        DatabaseUnavailable: it may or may not be stored.
    """
    provider = provider_of(request.provider)
    place = request.provider, request.account
    request = named(request)
    if not NAME.fullmatch(request.account):
        raise InvalidArgument.of(
            "account", "1 to 64 characters of letters, digits, '-' and '_': it is in the address."
        )
    wanted = StoredAccount(
        provider=request.provider,
        account=request.account,
        tenant_id=tenant_id,
        options=_options(request, provider),
        words=_words(request.words),
        limits=_limits(request.limits),
        is_disabled=request.is_disabled,
        update_time_us=now_us,
    )
    check_secret_names(request, provider)
    if request.secrets and wanted.options.get(UNPROVEN_OPTION) == ACCEPT:
        raise InvalidArgument.of(
            f"options[{UNPROVEN_OPTION}]",
            "An account with a secret never takes what nothing proves; leave out the option, or "
            "all secrets.",
        )
    must_not_be_of_file(book, place)
    must_seal(sealer)

    def decide(known: StoredAccount | None, count: int) -> StoredAccount:
        if known is not None and known.tenant_id != tenant_id:
            raise AlreadyExists(
                "This name is taken at this provider; choose another one for the account.",
                reason="ACCOUNT_TAKEN",
            )
        if known is None and count >= ACCOUNTS_MAX:
            raise FailedPrecondition(
                f"You have {count} accounts, and {ACCOUNTS_MAX} are the most; delete one first.",
                reason="ACCOUNTS_TOO_MANY",
                metadata={"limit": str(ACCOUNTS_MAX)},
            )
        sealed = [
            sealed_secret(secret, wanted, known, sealer, now_us, f"secrets[{number}]")
            for number, secret in enumerate(request.secrets)
        ]
        return bounded(lambda: with_secrets(wanted, sealed, now_us))

    await store.change(place, tenant_id, decide)
    return place


def named(request: pb.PutAccountRequest) -> pb.PutAccountRequest:
    """Return the request with an identity for each secret that has none."""
    whole = pb.PutAccountRequest()
    whole.CopyFrom(request)
    for secret in whole.secrets:
        secret.key_id = secret.key_id or new_key_id()
    return whole


def new_key_id() -> str:
    """Return the identity of a secret whose owner gave it none."""
    return secrets.token_hex(6)


def provider_of(name: str) -> Provider:
    """Return the dialect of a provider.

    Raises:
        InvalidArgument: there is none.
    """
    if problem := unknown_name("provider", name, BY_NAME):
        raise InvalidArgument.of("provider", problem)
    return BY_NAME[name]


def must_not_be_of_file(book: AccountBook, place: Place) -> None:
    """Refuse to touch an account of the file."""
    if book.is_of_file(place):
        raise FailedPrecondition(
            f"{'/'.join(place)} is in the accounts file (BLUETICK_ACCOUNTS_FILE), which alone can "
            "change it. Edit the file and restart ingest; or take it out of the file, restart, and "
            "put it here.",
            reason="ACCOUNT_IN_FILE",
        )


def must_seal(sealer: Sealer) -> None:
    """Refuse to write a secret that would stand there in clear."""
    if not sealer:
        raise FailedPrecondition(
            "There is no key to seal secrets with, and nothing is stored in clear. Set "
            'BLUETICK_ACCOUNT_KEYS of ingest to "id:secret" (`openssl rand -base64 32`), or use '
            "the accounts file.",
            reason="ACCOUNT_KEYS_MISSING",
        )


def check_secret_names(request: pb.PutAccountRequest, provider: Provider) -> None:
    """Look at names and identities of the secrets.

    Raises:
        InvalidArgument: one is unknown, there twice or too long.
    """
    if len(request.secrets) > SECRETS_MAX:
        raise InvalidArgument.of("secrets", f"At most {SECRETS_MAX}; send fewer.")
    seen: set[tuple[str, str]] = set()
    for number, secret in enumerate(request.secrets):
        field = f"secrets[{number}]"
        check_secret(secret, provider, field)
        if (secret.name, secret.key_id) in seen:
            raise InvalidArgument.of(f"{field}.key_id", "There twice; give each an id of its own.")
        seen.add((secret.name, secret.key_id))


def check_secret(secret: pb.AccountSecret, provider: Provider, field: str) -> None:
    """Look at one secret.

    Raises:
        InvalidArgument: it cannot be used.
    """
    if problem := unknown_name("secret", secret.name, provider.secrets):
        raise InvalidArgument.of(f"{field}.name", problem)
    if not NAME.fullmatch(secret.key_id):
        raise InvalidArgument.of(
            f"{field}.key_id", "1 to 64 characters of letters, digits, '-' and '_'."
        )
    if len(secret.value.encode()) > SECRET_BYTES_MAX or "\x00" in secret.value:
        raise InvalidArgument.of(
            f"{field}.value", f"At most {SECRET_BYTES_MAX:,} bytes, without NUL."
        )
    if secret.value and not secret.value.strip():
        raise InvalidArgument.of(f"{field}.value", "Nothing but spaces; send the secret.")


def sealed_secret(
    secret: pb.AccountSecret,
    account: StoredAccount,
    known: StoredAccount | None,
    sealer: Sealer,
    now_us: int,
    field: str,
) -> StoredSecret:
    """Return a secret as it is stored: sealed anew, or as it is.

    Raises:
        InvalidArgument: it has no value, and none is stored; or it has ended already.
    """
    expire_us = secret.expire_time.ToMicroseconds() if secret.HasField("expire_time") else 0
    if secret.HasField("expire_time") and expire_us <= now_us:
        raise InvalidArgument.of(
            f"{field}.expire_time", "In the past; leave the secret out to retire it."
        )
    if not secret.value:
        of_known = known.secrets if known is not None else ()
        for one in of_known:
            if (one.name, one.key_id) == (secret.name, secret.key_id) and one.is_live(now_us):
                return msgspec.structs.replace(one, expire_time_us=expire_us)
        raise InvalidArgument.of(
            f"{field}.value",
            "Empty, and no secret of this name and key_id is stored that could stay; send it.",
        )
    sealed: Sealed = sealer.seal(secret.value, purpose_of(account, secret.name, secret.key_id))
    return StoredSecret(
        name=secret.name,
        key_id=secret.key_id,
        sealed=sealed.sealed,
        seal_key_id=sealed.seal_key_id,
        create_time_us=now_us,
        expire_time_us=expire_us,
    )


def bounded(make: Callable[[], StoredAccount]) -> StoredAccount:
    """Return what ``make`` gives; too many secrets are the caller's to mend."""
    try:
        return make()
    except TooManySecrets as many:
        raise FailedPrecondition(
            f"Of {many} more than {LIVE_SECRETS_MAX} secrets would be accepted at once; retire one "
            "first (RetireSecret), or leave one out.",
            reason="SECRETS_TOO_MANY",
            metadata={"name": str(many), "limit": str(LIVE_SECRETS_MAX)},
        ) from None


async def change_own(
    place: Place, change: Change, *, tenant_id: str, book: AccountBook, store: AccountStore
) -> None:
    """Change a stored account of the tenant.

    Raises:
        FailedPrecondition: it is of the file.
        NotFound: the tenant has none such.
    """
    must_not_be_of_file(book, place)
    await store.change(place, tenant_id, lambda known, _count: change(owned(known, tenant_id)))


def owned(known: StoredAccount | None, tenant_id: str) -> StoredAccount:
    """Return the account if it is the tenant's."""
    if known is None or known.tenant_id != tenant_id:
        raise NotFound("There is no such account.", reason="ACCOUNT_NOT_FOUND")
    return known


def _options(request: pb.PutAccountRequest, provider: Provider) -> dict[str, str]:
    if len(request.options) > OPTIONS_MAX:
        raise InvalidArgument.of("options", f"At most {OPTIONS_MAX}; send fewer.")
    for name, value in request.options.items():
        if problem := unknown_name("option", name, provider.options):
            raise InvalidArgument.of(f"options[{name[:64]}]", problem)
        if len(value) > OPTION_CHARACTERS_MAX or "\x00" in value:
            raise InvalidArgument.of(
                f"options[{name}]", f"At most {OPTION_CHARACTERS_MAX:,} characters, without NUL."
            )
    if problem := provider.option_problem(request.options):
        raise InvalidArgument.of("options", problem)
    return dict(request.options)


def _words(words: Mapping[str, int]) -> dict[str, str]:
    if len(words) > WORDS_MAX:
        raise InvalidArgument.of("words", f"At most {WORDS_MAX}; send fewer.")
    names = {}
    for word, kind in words.items():
        if not 0 < len(word) <= WORD_CHARACTERS_MAX or "\x00" in word:
            raise InvalidArgument.of(
                "words", f"A word has 1 to {WORD_CHARACTERS_MAX} characters, without NUL."
            )
        known = common_pb2.EventKind.values()
        name = common_pb2.EventKind.Name(kind) if kind in known else str(kind)  # type: ignore[arg-type]
        name = name.removeprefix(_KIND_PREFIX)
        if name not in WORD_KINDS:
            raise InvalidArgument.of(
                f"words[{word}]",
                f"A word cannot mean {name}; one of {', '.join(WORD_KINDS)} it can.",
            )
        names[word] = name
    return names


def _limits(limits: pb.AccountLimits) -> Limits:
    rate, body_bytes_max = limits.requests_per_second, limits.body_bytes_max
    if not (math.isfinite(rate) and 0 <= rate <= REQUESTS_PER_SECOND_MAX):
        raise InvalidArgument.of(
            "limits.requests_per_second",
            f"From 0 (none of its own) to {REQUESTS_PER_SECOND_MAX:,.0f}.",
        )
    if body_bytes_max < 0:
        raise InvalidArgument.of("limits.body_bytes_max", "Bytes, 0 (the installation's) or more.")
    return Limits(requests_per_second=rate, body_bytes_max=body_bytes_max)
