"""The generic adapter: receipts of any source, read as the account's options say.

An account names a ready-made dialect (option ``preset``: `generic_presets.py`), or describes one
field by field (`generic_dialect.py`), or does both: what it describes replaces that part of the
preset. Without either, each body is read by the preset that it looks like.

What proves a callback: user and password, a static header or a query token as for every provider
that signs nothing, or the secret ``token`` in the header ``token_header`` or the query parameter
``token_query`` of the options. ``answer`` is the fixed body that some sources want to hear ("OK").
"""

import hmac
from functools import lru_cache
from typing import Final

from libs.runtime.accounts import Account
from services.ingest.domain.fields import Unreadable
from services.ingest.domain.reading import Reading
from services.ingest.providers.generic_dialect import Dialect, OptionProblem, with_options
from services.ingest.providers.generic_presets import PRESETS
from services.ingest.providers.generic_receipts import add_receipts
from services.ingest.providers.provider import Answer, Authentic, Callback, Refused
from services.ingest.providers.static_credential import (
    check_static_credential,
    has_static_credential,
)
from services.ingest.providers.unsigned_door import without_noise
from services.ingest.providers.whole_body import form_object, read_whole

TOKEN: Final = "token"  # noqa: S105 the name of a secret
BEARER: Final = "bearer "
DIALECTS_KEPT: Final = 1_024


class Generic:
    """Any dialect that can be described by field names and a table of words."""

    name = "generic"
    methods = frozenset({"GET", "POST"})
    answer = Answer()

    def handshake(self, callback: Callback, account: Account) -> Answer | None:
        """A source that tries the address out sends nothing special."""

    def authenticate(self, callback: Callback, account: Account) -> Authentic | Refused:
        """Compare the token or the static credential, if the account has one."""
        try:
            dialect = _dialect(account)
        except OptionProblem:
            return Refused("OPTIONS_NOT_USABLE", 503)
        if dialect is not None and dialect.method not in ("", callback.method):
            return Refused("METHOD_NOT_CONFIGURED", 405)
        tokens = [token.encode() for token in account.secrets.get(TOKEN, ()) if token]
        if not tokens:
            return check_static_credential(callback, account)
        given = _given_token(callback, account)
        if any(hmac.compare_digest(given, token) for token in tokens):
            return Authentic()
        if has_static_credential(account):
            return check_static_credential(callback, account)
        return Refused("CREDENTIAL_WRONG" if given else "CREDENTIAL_MISSING")

    def parse(self, callback: Callback, account: Account) -> Reading | Refused:
        """Read a receipt or a list of them."""
        dialect = _dialect(account)
        reading = read_whole(
            callback, account, lambda empty: add_receipts(empty, callback, dialect)
        )
        answer = account.options.get("answer", "")
        if answer:
            reading.answer_body = answer.encode()
        if account.secrets.get(TOKEN):
            return reading
        return without_noise(reading, account)

    def whole_of(self, part: bytes, place: str, account: Account) -> bytes:
        """Return a list of nothing but ``part``; items of other bodies are kept with them."""
        return b"[%s]" % part


def _given_token(callback: Callback, account: Account) -> bytes:
    header = account.options.get("token_header", "")
    parameter = account.options.get("token_query", "")
    if parameter and not header:
        try:
            return form_object(callback.query).get(parameter, "").encode(errors="replace")
        except Unreadable:
            return b""
    given = callback.headers.get((header or "authorization").lower(), "").strip()
    if given[: len(BEARER)].lower() == BEARER:
        given = given[len(BEARER) :].strip()
    return given.encode(errors="replace")


def _dialect(account: Account) -> Dialect | None:
    """Return the account's dialect; None: by the shape of each body.

    Raises:
        OptionProblem: the options make none.
    """
    return _built(tuple(sorted(account.options.items())))


@lru_cache(maxsize=DIALECTS_KEPT)
def _built(options: tuple[tuple[str, str], ...]) -> Dialect | None:
    given = dict(options)
    preset = given.get("preset", "")
    if preset and preset not in PRESETS:
        raise OptionProblem(f"preset: {preset!r} is none of {', '.join(PRESETS)}")
    describes = any(name.endswith("_field") for name in given) or "statuses" in given
    if not preset and not describes:
        return None
    return with_options(PRESETS.get(preset), given)
