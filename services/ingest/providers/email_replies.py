"""People's answers by email: which message they answer, and whether a person wrote them."""

from collections.abc import Iterable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final

from bluetick.v1.common_pb2 import EVENT_KIND_INFO, EVENT_KIND_REPLIED

from services.ingest.domain.mailboxes import bare_message_id
from services.ingest.domain.times import SECOND_US
from services.ingest.providers.email_events import EmailEvents, fact_id
from services.ingest.providers.whole_body import add_consent

# Headers of answering machines (RFC 3834 and what came before it); their value does not matter.
_AUTOMATIC: Final = frozenset({"x-autoreply", "x-autorespond"})


def headers_of(pairs: Iterable[Any]) -> dict[str, str]:
    """Return headers by their names in lower case; what is no pair of texts is left out.

    Providers write a header as ``["Name", "value"]`` or as an object with a name and a value.
    """
    headers: dict[str, str] = {}
    for pair in pairs:
        if isinstance(pair, Mapping):
            lower = {str(key).lower(): value for key, value in pair.items()}
            name, value = lower.get("name"), lower.get("value")
        elif isinstance(pair, list) and len(pair) == 2:
            name, value = pair
        else:
            continue
        if isinstance(name, str) and isinstance(value, str):
            headers.setdefault(name.lower(), value)
    return headers


def add_email_reply(
    emails: EmailEvents,
    headers: Mapping[str, str],
    *,
    time_us: int,
    word: str,
    inbound_id: str,
    sender: str,
    answered_id: str,
    texts: tuple[str, ...],
    is_id_shared: bool = False,
) -> None:
    """Add what a person wrote; an answering machine's note is information, and no reply.

    Args:
        emails: where to add it.
        headers: of the inbound email, names in lower case.
        time_us: when it came.
        word: the provider's word for an inbound email.
        inbound_id: id of the inbound email.
        sender: mailbox of the person.
        answered_id: id of our message that it answers; empty: it does not say, or it is not ours.
        texts: what may be a choice to leave or to come back, as a whole: text and subject.
        is_id_shared: messages are keyed as "id/recipient".
    """
    is_automatic = _is_automatic(headers)
    event = emails.add(
        EVENT_KIND_INFO if is_automatic else EVENT_KIND_REPLIED,
        time_us,
        word=word,
        message_id=answered_id,
        recipient=sender,
        is_id_shared=is_id_shared,
    )
    if is_automatic:
        event.detail = "automatic answer"
        return
    event.engagement.fact_id = inbound_id or fact_id(sender, time_us, *texts)
    event.engagement.inbound_type = "email"
    add_consent(emails.reading, event, *texts)


def answered_message_id(headers: Mapping[str, str]) -> str:
    """Return the id in ``In-Reply-To`` without brackets; empty if there is none."""
    return bare_message_id(headers.get("in-reply-to", "").replace("\x00", ""))


def date_us(text: str, otherwise_us: int) -> int:
    """Return the time in a ``Date`` header in microseconds, else ``otherwise_us``."""
    try:
        return int(parsedate_to_datetime(text).timestamp()) * SECOND_US
    except (ValueError, TypeError, OverflowError, IndexError):
        return otherwise_us


def _is_automatic(headers: Mapping[str, str]) -> bool:
    submitted = headers.get("auto-submitted", "no").strip().lower()
    precedence = headers.get("precedence", "").strip().lower()
    is_marked = precedence == "auto_reply" or not _AUTOMATIC.isdisjoint(headers)
    return is_marked or not submitted.startswith("no")
