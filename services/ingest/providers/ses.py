"""Amazon SES: which way an event came, what proves it, and hand-shakes.

Source: the SES developer guide ("Contents of event data"); the ways are in `ses_routes.py`.

- SNS signs some fields of its envelope with RSA, not the raw bytes. If the account has
  ``certificate`` secrets (PEM), only they count and nothing is ever fetched; without, the
  certificate comes from the address in the envelope, which must be Amazon's own (see
  `domain/sns_urls.py`). Amazon signs for every topic of every customer: the option ``topic_arns``
  (comma separated) says whose topics may publish here. Only an account that pins a certificate of
  its own, which is not Amazon's, may do without.
- A subscription is confirmed only if the option ``confirm_subscriptions`` is "true".
- SNS sends the same envelope again for weeks and does not sign anew, so no limit of age is applied.
- Raw delivery and EventBridge are proven by a static credential, Firehose by its access key.
- One event covers many recipients: ids are "messageId/recipient", in the callback and in the record
  alike, the recipient as SES writes it, without display name.
"""

import hmac
from functools import lru_cache, partial
from typing import ClassVar, Final

from bluetick.v1.common_pb2 import EVENT_KIND_INFO
from cryptography.x509 import load_pem_x509_certificates

from libs.runtime.accounts import Account
from services.ingest.domain.fields import text, words
from services.ingest.domain.reading import DETAIL_CHARACTERS_MAX, Reading
from services.ingest.domain.sns_urls import is_certificate_url, is_subscribe_url
from services.ingest.domain.times import iso_us
from services.ingest.providers import email_events, ses_routes, static_credential
from services.ingest.providers.bodies import read_whole
from services.ingest.providers.decoding import json_object
from services.ingest.providers.email_events import EmailEvents
from services.ingest.providers.provider import (
    CREDENTIAL,
    SIGNED,
    Authentic,
    Callback,
    Dialect,
    Names,
    Refused,
    live,
)
from services.ingest.providers.ses_events import add_ses_event
from services.ingest.providers.ses_routes import FIREHOSE_KEY_HEADER, envelope_of, route_of
from services.ingest.providers.sns_envelope import (
    NOTIFICATION,
    SUBSCRIPTION_CONFIRMATION,
    certificate_url,
    is_signed_by,
    is_signed_form,
)
from services.ingest.providers.static_credential import (
    admit_unproven,
    check_static_credential,
    has_static_credential,
)

CERTIFICATE: Final = "certificate"
FIREHOSE_KEY: Final = "firehose_access_key"
TOPICS_OPTION: Final = "topic_arns"
CONFIRM_OPTION: Final = "confirm_subscriptions"

RAW_UNPROVEN: Final = Refused(
    "RAW_DELIVERY_UNSIGNED",
    401,
    'The subscription has "raw message delivery" on (x-amz-sns-rawdelivery), and such messages '
    "bear "
    "no signature. Turn it off in the SNS subscription; or put user and password into its address "
    "and give the account basic_user and basic_pass.",
)
BRIDGE_UNPROVEN: Final = Refused(
    "EVENTBRIDGE_UNPROVEN",
    401,
    "EventBridge signs nothing. Give the connection of the API destination a user and a "
    "password, or "
    "an API key in a header, and the account the same as basic_user and basic_pass, or header.",
)
FIREHOSE_CURE: Final = (
    "Give the HTTP endpoint of the Firehose stream an access key and the account the same as "
    "firehose_access_key."
)
TOPIC_NOT_PINNED: Final = Refused(
    "TOPIC_NOT_PINNED",
    401,
    "Amazon signs for the topics of all its customers. Name yours in the account's option "
    "topic_arns.",
)
TOPIC_REFUSED: Final = Refused(
    "TOPIC_REFUSED", 401, "The topic is none of the account's option topic_arns; name it there."
)
SIGNATURE_CURE: Final = (
    "Check that the subscription is one of SNS over HTTPS, and the account's certificate, if "
    "it has "
    "one, Amazon's of today. A proxy must not rewrite bodies."
)


class Ses(Dialect):
    """The dialect of Amazon SES."""

    name = "ses"
    secrets: ClassVar[Names] = {
        CERTIFICATE: "certificate with which SNS signs, PEM; without it Amazon's is fetched",
        FIREHOSE_KEY: "access key of the Firehose stream",
        **static_credential.SECRETS,
    }
    options: ClassVar[Names] = {
        TOPICS_OPTION: "topics that may publish here, comma separated",
        CONFIRM_OPTION: '"true": confirm subscriptions',
        **static_credential.OPTIONS,
        **email_events.OPTIONS,
    }

    def certificate_url(self, callback: Callback, account: Account) -> str:
        """Return the address of the certificate that ``authenticate`` needs; empty for none.

        Everything that can be judged without it is judged first: an envelope that would be refused
        anyhow causes no request.
        """
        envelope = envelope_of(callback.body)
        is_sns = route_of(envelope, callback.headers) == ses_routes.SNS
        if live(account, CERTIFICATE) or not is_sns or _judge(envelope, account) is not None:
            return ""
        return certificate_url(envelope)

    def authenticate(self, callback: Callback, account: Account) -> Authentic | Refused:
        """Verify what the way of the callback has: a signature, a credential, an access key."""
        envelope = envelope_of(callback.body)
        route = route_of(envelope, callback.headers)
        if route == ses_routes.SNS:
            return _check_signature(envelope, callback, account)
        if route == ses_routes.FIREHOSE and (keys := live(account, FIREHOSE_KEY)):
            given = callback.headers.get(FIREHOSE_KEY_HEADER, "").encode(errors="replace")
            if any(hmac.compare_digest(given, key.encode()) for key in keys):
                return CREDENTIAL
            return Refused(
                "CREDENTIAL_WRONG" if given else "CREDENTIAL_MISSING", 401, FIREHOSE_CURE
            )
        if has_static_credential(account):
            return check_static_credential(callback, account)
        verdict = admit_unproven(account)
        return _UNPROVEN[route] if isinstance(verdict, Refused) else verdict

    def confirm_url(self, callback: Callback, account: Account) -> str:
        """Return the address to call once an authentic callback is stored; empty for none."""
        envelope = envelope_of(callback.body)
        url = text(envelope, "SubscribeURL")
        is_wanted = account.options.get(CONFIRM_OPTION, "") == "true"
        is_handshake = text(envelope, "Type") == SUBSCRIPTION_CONFIRMATION
        return url if is_wanted and is_handshake and is_subscribe_url(url) else ""

    def parse(self, callback: Callback, account: Account) -> Reading | Refused:
        """Read the envelope and the events within."""
        return read_whole(callback, account, partial(_read, callback, account))


_UNPROVEN: Final = {
    ses_routes.RAW: RAW_UNPROVEN,
    ses_routes.EVENT_BRIDGE: BRIDGE_UNPROVEN,
    ses_routes.FIREHOSE: Refused("CREDENTIAL_MISSING", 401, FIREHOSE_CURE),
}


def _check_signature(
    envelope: ses_routes.Envelope, callback: Callback, account: Account
) -> Authentic | Refused:
    refusal = _judge(envelope, account)
    if refusal is not None:
        return refusal
    pinned = live(account, CERTIFICATE)
    certificates = pinned or [callback.certificate] * bool(callback.certificate)
    if not certificates:
        return Refused("CERTIFICATE_UNAVAILABLE", 503)
    if any(is_signed_by(envelope, pem) for pem in certificates):
        return SIGNED
    return Refused("SIGNATURE_WRONG", cure=SIGNATURE_CURE)


def _judge(envelope: ses_routes.Envelope, account: Account) -> Refused | None:
    """Return the refusal of an envelope that no certificate can save."""
    if not text(envelope, "Signature"):
        return Refused("SIGNATURE_MISSING", cure=SIGNATURE_CURE)
    if not is_signed_form(envelope):
        return Refused("SIGNATURE_WRONG", cure=SIGNATURE_CURE)
    if not is_certificate_url(certificate_url(envelope)):
        return Refused("CERTIFICATE_URL_REFUSED", cure=SIGNATURE_CURE)
    expected = {arn.strip() for arn in account.options.get(TOPICS_OPTION, "").split(",")} - {""}
    if expected:
        return TOPIC_REFUSED if text(envelope, "TopicArn") not in expected else None
    pinned = live(account, CERTIFICATE)
    is_own = bool(pinned) and not any(map(_is_amazons, pinned))
    return None if is_own else TOPIC_NOT_PINNED


@lru_cache(maxsize=256)
def _is_amazons(pem: str) -> bool:
    """Say whether a pinned certificate is Amazon's, with which it signs for everybody.

    What is no certificate verifies nothing, so it does not matter here.
    """
    try:
        certificates = load_pem_x509_certificates(pem.encode())
    except ValueError:
        return False
    return any("O=Amazon" in one.issuer.rfc4514_string() for one in certificates)


def _read(callback: Callback, account: Account, reading: Reading) -> None:
    envelope = json_object(callback.body)
    emails = EmailEvents(reading, account)
    received_us = callback.receive_time_us
    route = route_of(envelope, callback.headers)
    if route == ses_routes.FIREHOSE:
        for event in ses_routes.firehose_events(envelope):
            add_ses_event(emails, {}, event, received_us)
        reading.answer_body = ses_routes.firehose_answer(envelope, received_us)
    elif route == ses_routes.EVENT_BRIDGE:
        moment = {"Timestamp": text(envelope, "time")}
        add_ses_event(emails, moment, ses_routes.event_of_bridge(envelope), received_us)
    elif route == ses_routes.RAW:
        add_ses_event(emails, {}, callback.body, received_us)
    else:
        _read_notification(emails, envelope, callback)


def _read_notification(
    emails: EmailEvents, envelope: ses_routes.Envelope, callback: Callback
) -> None:
    kind = text(envelope, "Type")
    message = text(envelope, "Message")
    # A topic says in words that SES may publish to it.
    if kind == NOTIFICATION and message.lstrip()[:1] == "{":
        add_ses_event(emails, envelope, message.encode(errors="replace"), callback.receive_time_us)
        return
    event = emails.add(EVENT_KIND_INFO, iso_us(envelope.get("Timestamp")), word=kind)
    topic = words(envelope, "TopicArn", characters_max=256)
    if kind == NOTIFICATION:
        event.detail = f"{topic}: {words(envelope, 'Message')}"[:DETAIL_CHARACTERS_MAX]
    else:
        event.detail = topic
        # Holds the token with which the operator can confirm by hand.
        event.raw = callback.body
