"""The accounts of a local machine: tenant ``demo`` has ``acct_1`` at every provider.

The secrets are public test values. They prove nothing, so a machine that takes real callbacks
gets an accounts file of its own. SendGrid and SES sign with private keys that only they have, so
these two accounts trust a second pair each: test keys beside this file, for simulated callbacks.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

TENANT = "demo"
ACCOUNT = "acct_1"

# One value, or several that are live at once.
_Secrets = dict[str, str | list[str]]

# Providers that sign nothing: the callback's address carries a user and a password.
_BASIC: _Secrets = {"basic_user": "hook", "basic_pass": "s3cret"}

_SENDGRID_EXAMPLE_KEY = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEXa2vQJQaw1fb1ty1hggduLbSH85/TMNKtOkX"
    "hf63oa5QQAhDpdj1QtVTvyVNjN/gS1MyGXdyVFfmKBokuhP/Uw=="
)
# Its private half is simulator_sendgrid_test_key.pem.
_SENDGRID_SIMULATOR_KEY = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEuvvIL09r1SAlY+0NzoyjPzxhB7vA4QEhde4K"
    "5kx4Qj6jd8HgYOIEFBoYwfGYpvm0YT2wxkXQ5EEFFi6TykkVQQ=="
)

_SECRETS: dict[str, _Secrets] = {
    "meta": {"app_secret": "test_app_secret_0123456789abcdef", "verify_token": "vibecoding"},
    "dialog360": {"header": "X-Hook-Token: custom-header-set-on-config", **_BASIC},
    "twilio": {"auth_token": "12345678901234567890123456789012"},
    # Nothing is documented that could prove it: the account says that it is taken all the same.
    "gupshup": {},
    "infobip": _BASIC,
    "vonage": {"signature_secret": "test_vonage_signature_secret_32bytes!!"},
    "messagebird": {
        "signing_key": "36efdd1aace2e26cd490f0d951138253bef2f7c6d34d18981da781555cc4cebb"
    },
    "sinch": {"secret": "test_sinch_webhook_secret"},
    "sendgrid": {"public_key": [_SENDGRID_SIMULATOR_KEY, _SENDGRID_EXAMPLE_KEY]},
    "mailgun": {"signing_key": "key-test-mailgun-signing-key"},
    "postmark": _BASIC,
    "brevo": _BASIC,
    "azure": _BASIC,
    "resend": {"signing_secret": "whsec_dGVzdCBzaWduaW5nIHNlY3JldCBvZiByZXNlbmQ="},
    "generic": {},
}

# Their older interfaces sign nothing; with public test secrets there is nothing to protect.
_UNSIGNED = frozenset({"vonage", "messagebird", "sinch"})

# What simulated callbacks are signed with, where it is not the account's one secret.
_SIGNING_FILES = {
    "sendgrid": "simulator_sendgrid_test_key.pem",
    "ses": "simulator_ses_test_key.pem",
}
# The simulator's come first, here as above: whoever measures would else pay for two checks.
_CERTIFICATES = ("simulator_ses_test_certificate.pem", "demo_ses_certificate.pem")


def demo_accounts() -> dict[str, Any]:
    """The content of an accounts file with one account of each provider."""
    certificates = [_text_of(name) for name in _CERTIFICATES]
    secrets: dict[str, _Secrets] = {**_SECRETS, "ses": {"certificate": certificates}}
    return {
        "accounts": [
            {
                "provider": provider,
                "account": ACCOUNT,
                "tenant": TENANT,
                "secrets": {
                    name: value if isinstance(value, list) else [value]
                    for name, value in values.items()
                },
                "options": _options(provider, values),
            }
            for provider, values in sorted(secrets.items())
        ]
    }


def _options(provider: str, secrets: _Secrets) -> dict[str, str]:
    """What nothing proves is taken only where the account says so."""
    if not secrets:
        return {"unproven": "accept"}
    return {"unsigned": "accept"} if provider in _UNSIGNED else {}


def signing_secret(provider: str) -> str:
    """What simulated callbacks to the demo account of ``provider`` are proven with.

    A shared secret, "user:password", "Header: value" or a private key as PEM, as the provider has
    it; empty where nothing is asked for.
    """
    if file := _SIGNING_FILES.get(provider):
        return _text_of(file)
    values = _SECRETS[provider]
    if "header" in values:
        return str(values["header"])
    if "basic_user" in values:
        return f"{values['basic_user']}:{values['basic_pass']}"
    return str(next(iter(values.values()), ""))


def _text_of(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="ascii")
