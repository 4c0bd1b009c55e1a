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


def account_signs(settings: RuntimeSettings, ingest: str) -> list[Sign]:
    """Look at the accounts file and at ingest's door."""
    signs = Signs("accounts")
    is_open = _look_at_door(signs, ingest)
    if not settings.accounts_file:
        signs.odd(
            "file",
            "No accounts file is named: every callback is answered 404.",
            "Set BLUETICK_ACCOUNTS_FILE, for ingest and for this command.",
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
    open_ones = [_name(account) for account in accounts if not any(account.secrets.values())]
    if not len(accounts):
        signs.odd("file", "It holds no account.", "Add the provider accounts.")
        return
    providers = {account.provider for account in accounts}
    signs.fine("file", f"{len(accounts)} accounts of {len(providers)} providers")
    if open_ones:
        signs.odd(
            "secrets",
            f"Without a secret: {_some(open_ones)}. Whoever knows the address can send callbacks.",
            "Give them a secret, a static header or basic credentials; see docs/operations.md.",
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
            f"ingest answers 404 for {_some(unknown)}.",
            "Look for a mistyped provider; after an edit of the file, restart ingest.",
        )
    else:
        signs.fine("addresses", f"ingest knows all {len(looked_at)}")


def _name(account: Account) -> str:
    return f"{account.provider}/{account.account}"


def _some(names: list[str]) -> str:
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
