"""The accounts of a local machine: tenant ``demo`` has ``acct_1`` at every provider.

The secrets are public test values. They prove nothing, so a machine that takes real callbacks
gets an accounts file of its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

TENANT = "demo"
ACCOUNT = "acct_1"

# Providers that sign nothing: the callback's address carries a user and a password.
_BASIC = {"basic_user": "hook", "basic_pass": "s3cret"}

_SECRETS: dict[str, dict[str, str]] = {
    "meta": {"app_secret": "test_app_secret_0123456789abcdef", "verify_token": "vibecoding"},
    "dialog360": {"header": "X-Hook-Token: custom-header-set-on-config", **_BASIC},
    "twilio": {"auth_token": "12345678901234567890123456789012"},
    # Nothing is documented that could prove these two: the address is the secret.
    "gupshup": {},
    "infobip": _BASIC,
    "vonage": {"signature_secret": "test_vonage_signature_secret_32bytes!!"},
    "messagebird": {
        "signing_key": "36efdd1aace2e26cd490f0d951138253bef2f7c6d34d18981da781555cc4cebb"
    },
    "sinch": {"secret": "test_sinch_webhook_secret"},
    "sendgrid": {
        "public_key": "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEXa2vQJQaw1fb1ty1hggduLbSH85/TMNKtOkX"
        "hf63oa5QQAhDpdj1QtVTvyVNjN/gS1MyGXdyVFfmKBokuhP/Uw=="
    },
    "mailgun": {"signing_key": "key-test-mailgun-signing-key"},
    "postmark": _BASIC,
    "generic": {},
}


def demo_accounts() -> dict[str, Any]:
    """The content of an accounts file with one account of each provider."""
    certificate = Path(__file__).with_name("demo_ses_certificate.pem").read_text(encoding="ascii")
    secrets = {**_SECRETS, "ses": {"certificate": certificate}}
    return {
        "accounts": [
            {
                "provider": provider,
                "account": ACCOUNT,
                "tenant": TENANT,
                "secrets": {name: [value] for name, value in values.items()},
                "options": {},
            }
            for provider, values in sorted(secrets.items())
        ]
    }
