"""The generic adapter: receipts of any source, read as the account's options say.

An account names a ready-made dialect (option ``preset``: `generic_presets.py`), or describes one
field by field (`generic_dialect.py`), or does both: what it describes replaces that part of the
preset. Without either, each body is read by the preset that it looks like.

What proves a callback: a signature where the account has Telnyx's or Plivo's key
(`generic_signatures.py`); user and password, a static header or a query token as for every provider
that signs nothing; or the secret ``token`` in the header ``token_header`` or the query parameter
``token_query`` of the options. ``answer`` is the fixed body that some sources want to hear ("OK").
"""

import hmac
from collections.abc import Mapping
from functools import lru_cache
from typing import ClassVar, Final

from libs.runtime.accounts import Account
from libs.runtime.message_ids import ID_FORMATS
from services.ingest.domain.fields import Unreadable
from services.ingest.domain.reading import Reading
from services.ingest.providers import (
    generic_dialect,
    generic_signatures,
    inbound,
    static_credential,
)
from services.ingest.providers.bodies import read_whole
from services.ingest.providers.decoding import form_object
from services.ingest.providers.generic_dialect import OptionProblem, with_options
from services.ingest.providers.generic_presets import PRESETS
from services.ingest.providers.generic_receipts import add_receipts
from services.ingest.providers.provider import (
    CREDENTIAL,
    Authentic,
    Callback,
    Dialect,
    Names,
    Refused,
    live,
)
from services.ingest.providers.static_credential import (
    CREDENTIAL_CURE,
    check_static_credential,
    has_static_credential,
)
from services.ingest.providers.unsigned_door import without_noise

TOKEN: Final = "token"  # noqa: S105 the name of a secret
BEARER: Final = "bearer "
DIALECTS_KEPT: Final = 1_024


class Generic(Dialect):
    """Any dialect that can be described by field names and a table of words."""

    name = "generic"
    methods = frozenset({"GET", "POST"})
    secrets: ClassVar[Names] = {
        **static_credential.SECRETS,
        **generic_signatures.SECRETS,
        TOKEN: "value of the header or parameter that token_header or token_query names",
    }
    options: ClassVar[Names] = {
        **static_credential.OPTIONS,
        **inbound.OPTIONS,
        **generic_dialect.OPTIONS,
        "answer": "body of the answer, for sources that want to hear one",
        "token_header": "header that brings the token; without it Authorization does",
        "token_query": "query parameter that brings the token",
        "id_format": f"how ids are written: one of {', '.join(ID_FORMATS)}",
    }

    def authenticate(self, callback: Callback, account: Account) -> Authentic | Refused:
        """Compare the token or the static credential, if the account has one."""
        try:
            dialect = _dialect(account)
        except OptionProblem:
            return Refused(
                "OPTIONS_NOT_USABLE", 503, "See what `bluetick doctor` says of its options."
            )
        if dialect is not None and dialect.method not in ("", callback.method):
            return Refused("METHOD_NOT_CONFIGURED", 405)
        verdict = generic_signatures.check_signature(callback, account)
        if verdict is not None:
            return verdict
        tokens = [token.encode() for token in live(account, TOKEN)]
        if not tokens:
            return check_static_credential(callback, account)
        given = _given_token(callback, account)
        if any(hmac.compare_digest(given, token) for token in tokens):
            return CREDENTIAL
        if has_static_credential(account):
            return check_static_credential(callback, account)
        return Refused("CREDENTIAL_WRONG" if given else "CREDENTIAL_MISSING", 401, CREDENTIAL_CURE)

    def option_problem(self, options: Mapping[str, str]) -> str:
        """Say why the options make no dialect."""
        written = options.get("id_format") or "auto"
        if written not in ID_FORMATS:
            return f"id_format: {written!r} is none of {', '.join(ID_FORMATS)}"
        try:
            _built(tuple(sorted(options.items())))
        except OptionProblem as problem:
            return str(problem)
        return ""

    def parse(self, callback: Callback, account: Account) -> Reading | Refused:
        """Read a receipt or a list of them."""
        dialect = _dialect(account)
        reading = read_whole(
            callback, account, lambda empty: add_receipts(empty, callback, dialect)
        )
        answer = account.options.get("answer", "")
        if answer:
            reading.answer_body = answer.encode()
        if any(map(any, account.secrets.values())):
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


def _dialect(account: Account) -> generic_dialect.Dialect | None:
    """Return the account's dialect; None: by the shape of each body.

    Raises:
        OptionProblem: the options make none.
    """
    return _built(tuple(sorted(account.options.items())))


@lru_cache(maxsize=DIALECTS_KEPT)
def _built(options: tuple[tuple[str, str], ...]) -> generic_dialect.Dialect | None:
    # An empty option says nothing.
    given = {name: value for name, value in options if value}
    preset = given.get("preset", "")
    if preset and preset not in PRESETS:
        raise OptionProblem(f"preset: {preset!r} is none of {', '.join(PRESETS)}")
    describes = any(name.endswith("_field") for name in given) or "statuses" in given
    if not preset and not describes:
        return None
    return with_options(PRESETS.get(preset), given)
