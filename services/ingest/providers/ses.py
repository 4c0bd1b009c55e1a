"""Amazon SES through SNS: hand-shake, signature, and who may publish here.

Source: the SES developer guide ("Contents of event data") and the SNS developer guide.

- Proof: an RSA signature over some fields of the envelope, not over the raw bytes. If the account
  has ``certificate`` secrets (PEM), only they count and nothing is ever fetched; without, the
  certificate comes from the address in the envelope, which must be Amazon's own (see
  `domain/sns_urls.py`). Amazon signs for every topic of every customer: the option ``topic_arns``
  (comma separated) says whose topics may publish here; empty: any.
- A subscription is confirmed only if the option ``confirm_subscriptions`` is "true".
- SNS sends the same envelope again for weeks and does not sign anew, so no limit of age is applied.
- One event covers many recipients: ids are "messageId/recipient", in the callback and in the record
  alike, the recipient as SES writes it, without display name.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import msgspec
from bluetick.v1.common_pb2 import EVENT_KIND_INFO

from libs.runtime.accounts import Account
from services.ingest.domain.fields import text
from services.ingest.domain.reading import DETAIL_CHARACTERS_MAX, Reading
from services.ingest.domain.sns_urls import is_certificate_url, is_subscribe_url
from services.ingest.domain.times import iso_us
from services.ingest.providers.email_events import EmailEvents
from services.ingest.providers.json_parts import words
from services.ingest.providers.provider import Answer, Authentic, Callback, Refused
from services.ingest.providers.ses_events import add_ses_event
from services.ingest.providers.sns_envelope import (
    NOTIFICATION,
    SUBSCRIPTION_CONFIRMATION,
    certificate_url,
    is_signed_by,
    is_signed_form,
)
from services.ingest.providers.whole_body import json_object, read_whole

CERTIFICATE: Final = "certificate"
TOPICS_OPTION: Final = "topic_arns"
CONFIRM_OPTION: Final = "confirm_subscriptions"

_decode_envelope: Final = msgspec.json.Decoder(dict[str, Any]).decode


class Ses:
    """The dialect of Amazon SES, in envelopes of Amazon SNS."""

    name = "ses"
    methods = frozenset({"POST"})
    answer = Answer()

    def handshake(self, callback: Callback, account: Account) -> Answer | None:
        """SNS makes one by a signed message, which is authenticated like any other."""
        return None

    def certificate_url(self, callback: Callback, account: Account) -> str:
        """Return the address of the certificate that ``authenticate`` needs; empty for none.

        Everything that can be judged without it is judged first: an envelope that would be refused
        anyhow causes no request.
        """
        if _pinned(account):
            return ""
        envelope = _envelope(callback)
        if _judge(envelope, account) is not None:
            return ""
        return certificate_url(envelope)

    def authenticate(self, callback: Callback, account: Account) -> Authentic | Refused:
        """Verify the signature with a pinned certificate, else with the one that was fetched."""
        envelope = _envelope(callback)
        refusal = _judge(envelope, account)
        if refusal is not None:
            return refusal
        certificates = _pinned(account) or [callback.certificate] * bool(callback.certificate)
        if not certificates:
            return Refused("CERTIFICATE_UNAVAILABLE", 503)
        if any(is_signed_by(envelope, pem) for pem in certificates):
            return Authentic()
        return Refused("SIGNATURE_WRONG")

    def confirm_url(self, callback: Callback, account: Account) -> str:
        """Return the address to call once an authentic callback is stored; empty for none."""
        envelope = _envelope(callback)
        url = text(envelope, "SubscribeURL")
        is_wanted = account.options.get(CONFIRM_OPTION, "") == "true"
        is_handshake = text(envelope, "Type") == SUBSCRIPTION_CONFIRMATION
        return url if is_wanted and is_handshake and is_subscribe_url(url) else ""

    def parse(self, callback: Callback, account: Account) -> Reading | Refused:
        """Read the envelope and the event within."""
        return read_whole(callback, account, partial(_read, callback, account))


def _envelope(callback: Callback) -> Mapping[str, Any]:
    """Return the envelope; empty if it is none.

    Nothing is proven yet, so nothing is mended: SNS writes clean JSON.
    """
    try:
        return _decode_envelope(callback.body)
    except (ValueError, RecursionError):
        return {}


def _pinned(account: Account) -> list[str]:
    return [pem for pem in account.secrets.get(CERTIFICATE, ()) if pem.strip()]


def _judge(envelope: Mapping[str, Any], account: Account) -> Refused | None:
    """Return the refusal of an envelope that no certificate can save."""
    if not text(envelope, "Signature"):
        return Refused("SIGNATURE_MISSING")
    if not is_signed_form(envelope):
        return Refused("SIGNATURE_WRONG")
    if not is_certificate_url(certificate_url(envelope)):
        return Refused("CERTIFICATE_URL_REFUSED")
    expected = {arn.strip() for arn in account.options.get(TOPICS_OPTION, "").split(",")} - {""}
    if expected and text(envelope, "TopicArn") not in expected:
        return Refused("TOPIC_REFUSED")
    return None


def _read(callback: Callback, account: Account, reading: Reading) -> None:
    envelope = json_object(callback.body)
    emails = EmailEvents(reading, account)
    kind = text(envelope, "Type")
    message = text(envelope, "Message")
    # A topic says in words that SES may publish to it.
    if kind == NOTIFICATION and message.lstrip()[:1] == "{":
        add_ses_event(emails, envelope, message, callback.receive_time_us)
        return
    event = emails.add(EVENT_KIND_INFO, iso_us(envelope.get("Timestamp")), word=kind)
    topic = words(envelope, "TopicArn", characters_max=256)
    if kind == NOTIFICATION:
        event.detail = f"{topic}: {words(envelope, 'Message')}"[:DETAIL_CHARACTERS_MAX]
    else:
        event.detail = topic
        # Holds the token with which the operator can confirm by hand.
        event.raw = callback.body
