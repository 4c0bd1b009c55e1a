"""Looks at the accounts file and the keys file, and whether ingest knows the accounts."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections import Counter

from libs.cli.doctor_signs import Sign, Signs
from libs.runtime.accounts import Account, Accounts, AccountsProblem, load_accounts
from libs.runtime.api_keys import Role, load_api_keys
from libs.runtime.settings import RuntimeSettings

_TIMEOUT_S = 5
# A look at each; an installation with more has monitoring of its own.
_ACCOUNTS_LOOKED_AT = 200
_NAMED = 5
# Options by which an account takes what nothing proves.
UNPROVEN, UNSIGNED, ACCEPT = "unproven", "unsigned", "accept"


def account_signs(settings: RuntimeSettings, ingest: str) -> list[Sign]:
    """Look at the accounts file and at ingest's door."""
    signs = Signs("accounts")
    is_open = _look_at_door(signs, ingest)
    if not settings.accounts_file:
        signs.odd(
            "file",
            "No accounts file is named: accounts put by call alone have an address.",
            "Set BLUETICK_ACCOUNTS_FILE, for ingest and for this command, if there is one.",
        )
        return signs.found
    try:
        accounts = load_accounts(settings.accounts_file)
    except AccountsProblem as problem:
        signs.wrong("file", str(problem), "Mend the file, then restart ingest.")
        return signs.found
    _look_at_accounts(signs, accounts)
    if is_open:
        _look_at_addresses(signs, accounts, ingest)
    return signs.found


def key_signs(settings: RuntimeSettings) -> list[Sign]:
    """Look at the keys file."""
    signs = Signs("API keys")
    try:
        keys = list(load_api_keys(settings.api_keys_file))
    except AccountsProblem as problem:
        signs.wrong("file", str(problem), "Mend the file, then restart the gateway.")
        return signs.found
    if not keys:
        signs.wrong(
            "file",
            "There is no API key: nobody can call the gateway.",
            "Set BLUETICK_API_KEYS_FILE; the file holds SHA-256 hashes, tenants and roles.",
        )
        return signs.found
    roles = Counter(key.role for key in keys)
    says = ", ".join(f"{roles[role]} {role.name}" for role in reversed(Role) if roles[role])
    signs.fine("file", f"tenants: {len({key.tenant_id for key in keys})}; {says}")
    return signs.found


def _look_at_door(signs: Signs, ingest: str) -> bool:
    status = _status(f"{ingest}/readyz", "GET")
    if status == 200:
        signs.fine("door", f"ingest is ready at {ingest}")
        return True
    signs.wrong(
        "door",
        f"{ingest}/readyz answers {status or 'nothing'}.",
        "Start ingest (`bluetick ingest`), or say where it is: --ingest or BLUETICK_INGEST.",
    )
    return False


def _look_at_accounts(signs: Signs, accounts: Accounts) -> None:
    bare = [account for account in accounts if not any(map(any, account.secrets.values()))]
    shut = [_name(one) for one in bare if one.options.get(UNPROVEN) != ACCEPT]
    open_ones = [
        _name(one) for one in accounts if ACCEPT in map(one.options.get, (UNPROVEN, UNSIGNED))
    ]
    if not len(accounts):
        signs.odd("file", "It holds no account.", "Add the provider accounts.")
        return
    providers = {account.provider for account in accounts}
    signs.fine("file", f"{len(accounts)} accounts of {len(providers)} providers")
    tell_proofs(signs, "file", shut, open_ones)


def tell_proofs(signs: Signs, where: str, shut: list[str], open_ones: list[str]) -> None:
    """Name accounts that nothing can prove, and those that take what nothing proves.

    Args:
        signs: of the area.
        where: they come from.
        shut: names of accounts without a secret, whose callbacks are refused.
        open_ones: names of accounts that say that they take them.
    """
    if shut:
        signs.wrong(
            f"secrets ({where})",
            f"Without a secret: {some(shut)}. Their callbacks are refused.",
            "Give each what its provider signs with, or a credential in its address; "
            "docs/providers.md names them.",
        )
    if open_ones:
        signs.odd(
            f"unproven ({where})",
            f"{some(open_ones)}: whoever knows the address can send callbacks.",
            "Put a credential into the address (secret query_token, or basic_user and basic_pass), "
            "and drop the option unproven or unsigned.",
        )


def _look_at_addresses(signs: Signs, accounts: Accounts, ingest: str) -> None:
    looked_at = list(accounts)[:_ACCOUNTS_LOOKED_AT]
    unknown = [
        _name(account)
        for account in looked_at
        if _status(f"{ingest}/callbacks/{account.provider}/{account.account}", "HEAD") == 404
    ]
    if unknown:
        signs.wrong(
            "addresses",
            f"ingest answers 404 for {some(unknown)}.",
            "Look for a mistyped provider; after an edit of the file, restart ingest.",
        )
    else:
        signs.fine("addresses", f"ingest knows all {len(looked_at)}")


def _name(account: Account) -> str:
    return f"{account.provider}/{account.account}"


def some(names: list[str]) -> str:
    """Return the first of many names, and how many there are more."""
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _status(url: str, method: str) -> int:
    """Return the HTTP status of an answer; 0: there is none."""
    request = urllib.request.Request(url, method=method)  # noqa: S310 the operator's own URL
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310 as above
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except (OSError, ValueError):
        return 0
