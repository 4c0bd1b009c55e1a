"""Envelopes of Amazon SNS, signed with certificates of our own."""

import json
from base64 import b64encode
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

TOPIC = "arn:aws:sns:eu-west-1:111122223333:mail"
CERTIFICATE_URL = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-abc123.pem"
SUBSCRIBE_URL = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Token=t0k"


@cache
def signer(name: str, bits: int = 2048) -> tuple[rsa.RSAPrivateKey, str]:
    """A private key and its certificate as PEM."""
    key = rsa.generate_private_key(65537, bits)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    start = datetime(2026, 1, 1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=365))
        .sign(key, SHA256())
    )
    return key, certificate.public_bytes(Encoding.PEM).decode()


def envelope(message: Any, key: rsa.RSAPrivateKey, version: str = "2", **fields: Any) -> bytes:
    """A signed envelope around ``message``; the last digit of the body is in its signed time."""
    told: dict[str, Any] = {
        "Type": "Notification",
        "MessageId": "sns-1",
        "TopicArn": TOPIC,
        "Message": message if isinstance(message, str) else json.dumps(message),
        "SigningCertURL": CERTIFICATE_URL,
        "SignatureVersion": version,
        "Timestamp": "2026-08-05T03:19:00.000Z",
        **fields,
    }
    names = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]
    if told["Type"] != "Notification":
        names = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
    signed = "".join(f"{name}\n{told[name]}\n" for name in names if told.get(name) is not None)
    algorithm = SHA1() if version == "1" else SHA256()
    signature = b64encode(key.sign(signed.encode(), PKCS1v15(), algorithm)).decode()
    return json.dumps({"Signature": signature, **told}).encode()


def confirmation(key: rsa.RSAPrivateKey, **fields: Any) -> bytes:
    """A signed request to confirm a subscription."""
    told = {"Type": "SubscriptionConfirmation", "Token": "t0k", "SubscribeURL": SUBSCRIBE_URL}
    return envelope("You have chosen to subscribe.", key, **{**told, **fields})
