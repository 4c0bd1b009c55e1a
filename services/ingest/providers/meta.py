"""Meta's WhatsApp Cloud API: hand-shake, signature, and the walk through a body.

Source: Meta's webhook reference for the WhatsApp Business Platform, as of September 2026. What
the words mean is in `meta_statuses.py`, `meta_inbound.py` and `meta_notices.py`.
"""

import hmac
from typing import ClassVar
from urllib.parse import parse_qs

from libs.runtime.accounts import Account
from services.ingest.domain.keyed_hash import hmac_sha256_hex
from services.ingest.domain.reading import Reading
from services.ingest.providers import inbound, meta_parts
from services.ingest.providers.bodies import empty_reading
from services.ingest.providers.meta_body import BodyReader
from services.ingest.providers.meta_quick_pass import read_packed, read_statuses_only
from services.ingest.providers.provider import (
    SECRET_NOT_CONFIGURED,
    SIGNED,
    Answer,
    Authentic,
    Callback,
    Dialect,
    Names,
    Refused,
    live,
)

# Purposes of the account's secrets.
APP_SECRET = "app_secret"  # noqa: S105 the name of a secret
VERIFY_TOKEN = "verify_token"  # noqa: S105 as above
SIGNATURE_HEADER = "x-hub-signature-256"
SIGNATURE_PREFIX = "sha256="
QUERY_FIELDS_MAX = 32


SIGNATURE_CURE = (
    "Compare the account's app_secret with the app's (App settings, Basic); while it is changed, "
    "list both. A proxy must not rewrite bodies."
)


class Meta(Dialect):
    """The dialect of Meta's WhatsApp Cloud API."""

    name = "meta"
    methods = frozenset({"GET", "POST"})
    secrets: ClassVar[Names] = {
        APP_SECRET: "secret of the Meta app, which signs callbacks",
        VERIFY_TOKEN: "token of the hand-shake, as set beside the callback's address",
    }
    options: ClassVar[Names] = inbound.OPTIONS

    def handshake(self, callback: Callback, account: Account) -> Answer | None:
        """Answer the check that Meta makes when the address or the token is set.

        Every GET is such a check: an equal token gets the challenge back, another one 403, and a
        GET that asks for nothing 400.
        """
        if callback.method != "GET":
            return None
        try:
            asked = parse_qs(callback.query, max_num_fields=QUERY_FIELDS_MAX)
        except ValueError:
            return Answer(400)
        challenge = asked.get("hub.challenge", [""])[0]
        token = asked.get("hub.verify_token", [""])[0]
        if asked.get("hub.mode") != ["subscribe"] or not challenge:
            return Answer(400)
        if any(_same(token, secret) for secret in live(account, VERIFY_TOKEN)):
            return Answer(200, challenge.encode(errors="replace"))
        return Answer(403)

    def authenticate(self, callback: Callback, account: Account) -> Authentic | Refused:
        """Compare HMAC-SHA256 over the raw bytes with any live app secret.

        Meta escapes letters beyond ASCII and signs what it escaped: only the raw bytes will do.
        """
        secrets = live(account, APP_SECRET)
        if not secrets:
            return SECRET_NOT_CONFIGURED
        signature = callback.headers.get(SIGNATURE_HEADER, "")
        if not signature:
            return Refused("SIGNATURE_MISSING", cure=SIGNATURE_CURE)
        if not signature.startswith(SIGNATURE_PREFIX):
            return Refused("SIGNATURE_WRONG", cure=SIGNATURE_CURE)
        given = signature[len(SIGNATURE_PREFIX) :].strip().lower()
        # Of other than ASCII is no signature, and nothing that can be compared in constant time.
        if given.isascii():
            for secret in secrets:
                if hmac.compare_digest(given, hmac_sha256_hex(secret, callback.body)):
                    return SIGNED
        return Refused("SIGNATURE_WRONG", cure=SIGNATURE_CURE)

    def parse(self, callback: Callback, account: Account) -> Reading | Refused:
        """Read a body: in one pass if it holds clean statuses only, else item by item."""
        reading = empty_reading(callback, account)
        if read_statuses_only(reading, callback.body):
            return reading
        reading = empty_reading(callback, account)
        BodyReader(reading, callback.body).read()
        return reading

    def parse_packed(self, callback: Callback, account: Account) -> Reading | Refused:
        """Read a body as ``parse`` does, with plain statuses as bytes."""
        return read_packed(callback, account) or self.parse(callback, account)

    def whole_of(self, part: bytes, place: str, account: Account) -> bytes:
        """Return a body with nothing but ``part``."""
        return meta_parts.whole_of(part, place)


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(
        given.encode(errors="surrogateescape"), expected.encode(errors="surrogateescape")
    )
