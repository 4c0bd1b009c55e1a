"""Meta's WhatsApp Cloud API: hand-shake, signature, and the walk through a body.

Source: Meta's webhook reference for the WhatsApp Business Platform, as of September 2026. What
the words mean is in `meta_statuses.py`, `meta_inbound.py` and `meta_notices.py`.
"""

import hmac
from urllib.parse import parse_qs

from libs.runtime.accounts import Account
from services.ingest.domain.keyed_hash import hmac_sha256_hex
from services.ingest.domain.reading import Reading
from services.ingest.providers import meta_parts
from services.ingest.providers.meta_body import BodyReader, read_statuses_only
from services.ingest.providers.provider import Answer, Authentic, Callback, Refused

# Purposes of the account's secrets.
APP_SECRET = "app_secret"  # noqa: S105 the name of a secret
VERIFY_TOKEN = "verify_token"  # noqa: S105 as above
SIGNATURE_HEADER = "x-hub-signature-256"
SIGNATURE_PREFIX = "sha256="
QUERY_FIELDS_MAX = 32


class Meta:
    """The dialect of Meta's WhatsApp Cloud API."""

    name = "meta"
    methods = frozenset({"GET", "POST"})
    answer = Answer()

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
        live = account.secrets.get(VERIFY_TOKEN, ())
        if any(_same(token, secret) for secret in live if secret):
            return Answer(200, challenge.encode(errors="replace"))
        return Answer(403)

    def authenticate(self, callback: Callback, account: Account) -> Authentic | Refused:
        """Compare HMAC-SHA256 over the raw bytes with any live app secret.

        Meta escapes letters beyond ASCII and signs what it escaped: only the raw bytes will do.
        """
        secrets = [secret for secret in account.secrets.get(APP_SECRET, ()) if secret]
        if not secrets:
            return Refused("SECRET_NOT_CONFIGURED", 503)
        signature = callback.headers.get(SIGNATURE_HEADER, "")
        if not signature:
            return Refused("SIGNATURE_MISSING")
        if not signature.startswith(SIGNATURE_PREFIX):
            return Refused("SIGNATURE_WRONG")
        given = signature[len(SIGNATURE_PREFIX) :].strip().lower()
        for secret in secrets:
            if _same(given, hmac_sha256_hex(secret, callback.body)):
                return Authentic()
        return Refused("SIGNATURE_WRONG")

    def parse(self, callback: Callback, account: Account) -> Reading | Refused:
        """Read a body: in one pass if it holds clean statuses only, else item by item."""
        reading = _empty(callback, account)
        if read_statuses_only(reading, callback.body):
            return reading
        reading = _empty(callback, account)
        BodyReader(reading, callback.body).read()
        return reading

    def parse_packed(self, callback: Callback, account: Account) -> Reading | Refused:
        """Read a body as ``parse`` does, with plain statuses as bytes."""
        reading = _empty(callback, account)
        if read_statuses_only(reading, callback.body, reading.pack()):
            return reading
        return self.parse(callback, account)

    def whole_of(self, part: bytes, place: str, account: Account) -> bytes:
        """Return a body with nothing but ``part``."""
        return meta_parts.whole_of(part, place)


def _empty(callback: Callback, account: Account) -> Reading:
    return Reading(
        tenant_id=account.tenant_id,
        provider=account.provider,
        account=account.account,
        receive_time_us=callback.receive_time_us,
    )


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(
        given.encode(errors="surrogateescape"), expected.encode(errors="surrogateescape")
    )
