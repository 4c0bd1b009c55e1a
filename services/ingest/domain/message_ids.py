"""A provider's message id in one form, in the sender's record and in the callback alike."""

from typing import Final

from services.ingest.domain.mailboxes import bare_mailbox

_PROVIDERS: Final = frozenset({"mailgun", "sendgrid", "ses"})


def canonical_id(provider: str, provider_message_id: str, recipient: str = "") -> str:
    """Return ``provider_message_id`` as messages are keyed by it.

    Some providers write one id in several ways: SendGrid answers a send with ``X-Message-Id`` and
    reports that id with a suffix (".filter0001..."), and Mailgun answers with the id in angle
    brackets and reports it without. After a "/" the recipient follows, where one id covers several,
    as SES's always does: ``recipient`` is added to a bare one.
    """
    if provider not in _PROVIDERS:
        return provider_message_id
    message_id, slash, told = provider_message_id.partition("/")
    message_id = message_id.strip().strip("<>")
    if provider == "sendgrid":
        message_id = message_id.partition(".")[0]
    if not message_id:
        return provider_message_id
    mailbox = bare_mailbox(told if slash or provider != "ses" else recipient)
    return f"{message_id}/{mailbox}" if mailbox else message_id
