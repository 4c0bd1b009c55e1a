"""The envelope of Amazon SNS: what is signed, and by whom.

Source: "Verifying the signatures of Amazon SNS messages" in the SNS developer guide.
"""

import binascii
from base64 import b64decode
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.x509 import load_pem_x509_certificates

from services.ingest.domain.fields import text

NOTIFICATION: Final = "Notification"
SUBSCRIPTION_CONFIRMATION: Final = "SubscriptionConfirmation"
UNSUBSCRIBE_CONFIRMATION: Final = "UnsubscribeConfirmation"

_CONFIRMED: Final = (
    "Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"
)  # fmt: skip
# Type -> fields that are signed, in this order.
_SIGNED_FIELDS: Final[dict[str, tuple[str, ...]]] = {
    NOTIFICATION: ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    SUBSCRIPTION_CONFIRMATION: _CONFIRMED,
    UNSUBSCRIBE_CONFIRMATION: _CONFIRMED,
}
# SHA-1 is what topics sign with unless they were changed; which of the two is the envelope's word,
# but no third.
_HASHES: Final = {"1": SHA1, "2": SHA256}
_KEY_BITS_MIN: Final = 2048


def certificate_url(envelope: Mapping[str, Any]) -> str:
    """Return where the envelope says that its certificate is; anybody can write that."""
    return text(envelope, "SigningCertURL") or text(envelope, "SigningCertUrl")


def is_signed_form(envelope: Mapping[str, Any]) -> bool:
    """Say whether there is a signature of a known version over a message of a known type."""
    return (
        text(envelope, "Type") in _SIGNED_FIELDS
        and text(envelope, "SignatureVersion") in _HASHES
        and bool(text(envelope, "Signature"))
    )


def is_signed_by(envelope: Mapping[str, Any], pem: str) -> bool:
    """Verify the signature of an envelope of the signed form with any certificate in ``pem``."""
    try:
        signature = b64decode(text(envelope, "Signature"), validate=True)
    except (binascii.Error, ValueError):
        return False
    signed = _signed_text(envelope)
    algorithm = _HASHES[text(envelope, "SignatureVersion")]()
    for key in public_keys(pem):
        try:
            key.verify(signature, signed, PKCS1v15(), algorithm)
        except (InvalidSignature, UnsupportedAlgorithm):
            continue
        return True
    return False


@lru_cache(maxsize=256)
def public_keys(pem: str) -> tuple[RSAPublicKey, ...]:
    """Return the RSA keys of the certificates in ``pem``; none if it is no certificate.

    Chain and lifetime are not looked at: a certificate is either pinned by the operator, or comes
    from Amazon's own host over TLS.
    """
    try:
        keys = [entry.public_key() for entry in load_pem_x509_certificates(pem.encode())]
    except (ValueError, UnsupportedAlgorithm):
        return ()
    return tuple(
        key for key in keys if isinstance(key, RSAPublicKey) and key.key_size >= _KEY_BITS_MIN
    )


def _signed_text(envelope: Mapping[str, Any]) -> bytes:
    names = _SIGNED_FIELDS[text(envelope, "Type")]
    # Only a subject may be missing.
    lines = [
        f"{name}\n{text(envelope, name)}\n"
        for name in names
        if name != "Subject" or envelope.get(name) is not None
    ]
    return "".join(lines).encode(errors="replace")
