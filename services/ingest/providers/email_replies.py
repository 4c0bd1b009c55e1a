"""People's answers by email: which message they answer, and whether a person wrote them."""

import re
from collections.abc import Iterable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final

from bluetick.v1.common_pb2 import CHANNEL_EMAIL

from libs.runtime.message_ids import bare_mailbox
from services.ingest.domain.act_ids import act_id
from services.ingest.domain.fields import IDENTITY_CHARACTERS_MAX, Unreadable
from services.ingest.domain.times import SECOND_US
from services.ingest.providers.email_events import EmailEvents
from services.ingest.providers.inbound import AUTOMATIC, Inbound, add_inbound

# Headers of answering machines (RFC 3834 and what came before it); their value does not matter.
_AUTOMATIC: Final = frozenset({"x-autoreply", "x-autorespond"})
# Where the words of the person end and those that they answer begin.
_QUOTED: Final = re.compile(
    r"^\s*>|^-{2,}\s*(?:original message|forwarded message|ursprüngliche nachricht"
    r"|message d'origine|mensaje original)|^_{5,}|^-- ?$"
    r"|^(?:on|am|le|el|il|em|op|den)\b.{0,200}(?:wrote|schrieb|écrit|escribió|scritto|escreveu"
    r"|schreef|skrev).{0,40}:\s*$|^(?:from|von|de|da|van|от)\s?:.{1,200}$",
    re.IGNORECASE,
)
_LINES_MAX: Final = 40
_LINE_CHARACTERS_MAX: Final = 500
_ANSWER_PREFIX: Final = re.compile(r"^\s*(?:re|aw|sv|antw|rv|res|rif|odp|vs)\s*:", re.IGNORECASE)


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
    time_us: int | None,
    word: str,
    inbound_id: str,
    sender: str,
    answered_id: str,
    text: str = "",
    subject: str = "",
    own_address: str = "",
) -> None:
    """Add what a person wrote; an answering machine's note is information, and no reply.

    Args:
        emails: where to add it.
        headers: of the inbound email, names in lower case.
        time_us: when it came; None: not told.
        word: the provider's word for an inbound email.
        inbound_id: id of the inbound email.
        sender: mailbox of the person; the one in the header From is preferred, since the envelope's
            may be a bounce address of the person's mail server.
        answered_id: id of our message that it answers; empty: it does not say, or it is not ours.
        text: what was written, quotes and all.
        subject: of the email.
        own_address: mailbox that was written to.
    """
    envelope = bare_mailbox(sender)
    written_by = bare_mailbox(headers.get("from", "").replace("\x00", ""))
    person = written_by if "@" in written_by else envelope
    if max(map(len, (person, envelope, answered_id))) > IDENTITY_CHARACTERS_MAX:
        raise Unreadable("ID_TOO_LONG", f"longer than {IDENTITY_CHARACTERS_MAX} characters")
    add_inbound(
        emails.reading,
        Inbound(
            inbound_id=inbound_id or act_id("email", person, time_us, subject, text),
            word=word,
            time_us=time_us,
            person=person,
            own_address=bare_mailbox(own_address),
            channel=CHANNEL_EMAIL,
            answered_id=answered_id,
            recipient=person,
            content_type="email",
            texts=choices_in(text, subject),
            answers_nothing=AUTOMATIC if _is_automatic(headers) else "",
        ),
    )


def choices_in(text: str, subject: str) -> tuple[str, ...]:
    """Return what may be a choice to leave or to come back: the first line, the text, the subject.

    Of the text only what the person wrote counts: not what they quote, and not their signature. A
    subject that begins with "Re:" is ours.
    """
    lines = []
    for line in text[: _LINES_MAX * _LINE_CHARACTERS_MAX].splitlines()[:_LINES_MAX]:
        if _QUOTED.match(line[:_LINE_CHARACTERS_MAX]):
            break
        lines.append(line.strip())
    written = " ".join(filter(None, lines))
    first = next(filter(None, lines), "")
    own_subject = "" if _ANSWER_PREFIX.match(subject) else subject
    return (first, written, own_subject)


def answered_message_id(headers: Mapping[str, str]) -> str:
    """Return the id in ``In-Reply-To`` without brackets, else the last one of ``References``.

    Some mail programs write the second only. Empty: neither is there.
    """
    answered = headers.get("in-reply-to", "").replace("\x00", "").split()
    if answered:
        return answered[0].strip("<>")
    references = headers.get("references", "").replace("\x00", "").split()
    return references[-1].strip("<>") if references else ""


def date_us(text: str) -> int | None:
    """Return the time in a ``Date`` header in microseconds; None if it is none."""
    try:
        return int(parsedate_to_datetime(text[:100]).timestamp()) * SECOND_US
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _is_automatic(headers: Mapping[str, str]) -> bool:
    submitted = headers.get("auto-submitted", "no").strip().lower()
    precedence = headers.get("precedence", "").strip().lower()
    kind = headers.get("content-type", "").strip().lower()
    is_marked = (
        precedence == "auto_reply"
        or not _AUTOMATIC.isdisjoint(headers)
        # A mail server's own report about a message.
        or kind.startswith("multipart/report")
    )
    return is_marked or not submitted.startswith("no")
