"""All providers that Bluetick reads. To add one: write its file, name it here."""

from collections.abc import Collection
from difflib import get_close_matches

from libs.runtime.accounts import Accounts, AccountsProblem
from services.ingest.domain.word_kinds import WORD_KINDS
from services.ingest.providers.azure import Azure
from services.ingest.providers.brevo import Brevo
from services.ingest.providers.dialog360 import Dialog360
from services.ingest.providers.generic import Generic
from services.ingest.providers.gupshup import Gupshup
from services.ingest.providers.infobip import Infobip
from services.ingest.providers.mailgun import Mailgun
from services.ingest.providers.messagebird import MessageBird
from services.ingest.providers.meta import Meta
from services.ingest.providers.postmark import Postmark
from services.ingest.providers.provider import Provider
from services.ingest.providers.resend import Resend
from services.ingest.providers.sendgrid import SendGrid
from services.ingest.providers.ses import Ses
from services.ingest.providers.sinch import Sinch
from services.ingest.providers.twilio import Twilio
from services.ingest.providers.vonage import Vonage

PROVIDERS: tuple[Provider, ...] = (
    Meta(),
    Dialog360(),
    Twilio(),
    Gupshup(),
    Infobip(),
    Vonage(),
    MessageBird(),
    Sinch(),
    Generic(),
    SendGrid(),
    Ses(),
    Mailgun(),
    Postmark(),
    Resend(),
    Brevo(),
    Azure(),
)

BY_NAME: dict[str, Provider] = {provider.name: provider for provider in PROVIDERS}


def check_accounts(accounts: Accounts) -> None:
    """Check that all names of secrets, options and kinds mean something, and options' values.

    A secret under a wrong name proves nothing, silently, and an option under a wrong name changes
    nothing.

    Raises:
        AccountsProblem: names the account, the name and the known ones.
    """
    for account in accounts:
        provider = BY_NAME.get(account.provider)
        where = f"{account.provider}/{account.account}"
        if provider is None:
            # Its callbacks find no door; `bluetick doctor` says so.
            continue
        for problem in (
            *(unknown_name("secret", name, provider.secrets) for name in account.secrets),
            *(unknown_name("option", name, provider.options) for name in account.options),
            *(unknown_name("kind", kind, WORD_KINDS) for kind in account.words.values()),
            provider.option_problem(account.options),
        ):
            if problem:
                raise AccountsProblem(f"{where}: {problem}")


def unknown_name(kind: str, name: str, known: Collection[str]) -> str:
    """Return what is wrong with ``name``, and what would be right; empty: it is known."""
    if name in known:
        return ""
    return (
        f"{kind} {name!r} is unknown{_instead(name, list(known))}; "
        f"known {kind}s: {', '.join(sorted(known)) or 'none'}."
    )


def _instead(name: str, known: list[str]) -> str:
    """Return a hint at the name that was probably meant; empty: none is near."""
    near = get_close_matches(name, known, n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""
