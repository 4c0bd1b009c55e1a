"""Callbacks that tell one thing: read as a whole, or kept as a whole.

What is in a body is not trusted: whatever a reader raises over it ends in quarantine, and texts
that cannot be stored do, too.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import unquote

import msgspec
from bluetick.v1.common_pb2 import (
    EVENT_KIND_DROPPED,
    EVENT_KIND_UNDELIVERED,
    EVENT_KIND_UNKNOWN,
    EVENT_KIND_UNSUBSCRIBED,
    FAILURE_STAGE_DROPPED,
    FAILURE_STAGE_UNDELIVERED,
)
from bluetick.v1.event_pb2 import Event

from libs.catalogue.failures import reason_for
from libs.runtime.accounts import Account
from services.ingest.domain.consent import consent_event_of, consent_of
from services.ingest.domain.fields import WORD_CHARACTERS_MAX, Unreadable
from services.ingest.domain.reading import DETAIL_CHARACTERS_MAX, Reading
from services.ingest.providers.mended_json import mend
from services.ingest.providers.provider import Callback

FORM_FIELDS_MAX: Final = 1_000
STAGE_BY_KIND: Final[Mapping[int, int]] = {
    EVENT_KIND_DROPPED: FAILURE_STAGE_DROPPED,
    EVENT_KIND_UNDELIVERED: FAILURE_STAGE_UNDELIVERED,
}

_decode_json = msgspec.json.Decoder().decode


def read_whole(callback: Callback, account: Account, read: Callable[[Reading], None]) -> Reading:
    """Let ``read`` add the events of ``callback``; what it cannot read is quarantined as a whole.

    ``read`` raises ``Unreadable`` with the reason; other errors over its values are caught, too.
    """
    reading = Reading(
        tenant_id=account.tenant_id,
        provider=account.provider,
        account=account.account,
        receive_time_us=callback.receive_time_us,
    )
    try:
        read(reading)
        if _may_hold_nul(callback) and reading.has_nul():
            raise Unreadable("INVALID_TEXT", "a text that is needed holds NUL or half a character")
    except Unreadable as problem:
        _keep(reading, callback, problem.reason, problem.detail)
    except UnicodeError:
        _keep(reading, callback, "INVALID_TEXT", "a text that is needed holds half a character")
    except (ValueError, RecursionError, OverflowError) as error:
        _keep(reading, callback, "BODY_UNREADABLE", type(error).__name__)
    return reading


def json_object(body: bytes) -> dict[str, Any]:
    """Decode a body that must be a JSON object; what a strict decoder chokes on is blanked out.

    Raises:
        Unreadable: it is no JSON, or no object.
    """
    decoded = json_value(body)
    if not isinstance(decoded, dict):
        raise Unreadable("BODY_NOT_AN_OBJECT", "the body is JSON, but no object")
    return decoded


def json_value(body: bytes) -> Any:
    """Decode a body of any JSON; what a strict decoder chokes on is blanked out.

    Raises:
        Unreadable: it is no JSON.
    """
    try:
        return _decode_json(body)
    except (ValueError, RecursionError):
        try:
            return _decode_json(mend(body))
        except (ValueError, RecursionError) as error:
            raise Unreadable("BODY_NOT_JSON", f"the body is no JSON: {error}") from None


def form_pairs(text: str, *, errors: str = "replace") -> list[tuple[str, str]]:
    """Decode a form or a query, in its order; empty values count.

    Raises:
        Unreadable: it has more fields than any provider sends.
    """
    if text.count("&") >= FORM_FIELDS_MAX:
        raise Unreadable("FIELDS_TOO_MANY", f"the form has more than {FORM_FIELDS_MAX} fields")
    pairs = []
    for field in text.split("&"):
        if not field:
            continue
        name, _, value = field.partition("=")
        if "%" in field or "+" in field:
            pairs.append((_unescaped(name, errors), _unescaped(value, errors)))
        else:
            pairs.append((name, value))
    return pairs


def _unescaped(text: str, errors: str) -> str:
    # Most names and values hold no escape, and looking for one is cheap.
    if "+" in text:
        text = text.replace("+", " ")
    if "%" in text:
        # Phones and times have these two only. Neither can be a part of another escape.
        text = text.replace("%2B", "+").replace("%3A", ":")
        if "%" in text:
            return unquote(text, errors=errors)
    return text


def form_object(text: str) -> dict[str, str]:
    """Decode a form or a query; of a repeated field the first value counts.

    Raises:
        Unreadable: as ``form_pairs``.
    """
    return dict(reversed(form_pairs(text)))


def explain(event: Event, code: str, detail: str, *, known_as: str = "") -> None:
    """Say why the message of ``event`` failed: the provider's code, our reason, their words.

    Where there is no code, ``known_as`` is what the catalogue may know the failure as.
    """
    event.provider_code = code[:WORD_CHARACTERS_MAX]
    stage = STAGE_BY_KIND.get(event.kind)
    if stage is not None:
        event.reason = reason_for(event.provider, code or known_as, stage)  # type: ignore[assignment]
    event.detail = detail[:DETAIL_CHARACTERS_MAX]


def add_opt_out_by_failure(reading: Reading, failure: Event) -> None:
    """Add the opt-out that the code of ``failure`` tells of: the person had left before."""
    opt_out = reading.add_beside(failure)
    opt_out.kind = EVENT_KIND_UNSUBSCRIBED
    opt_out.engagement.fact_id = f"{failure.provider_message_id}/opt-out"
    opt_out.engagement.by_failure = True


def add_consent(reading: Reading, reply: Event, *texts: str) -> None:
    """Add the opt-out or opt-in that one of ``texts`` is, beside the reply."""
    for text in texts:
        kind = consent_of(text, is_tap=reply.engagement.is_tap)
        if kind is not None:
            reading.batch.events.append(consent_event_of(reply, kind))
            return


def add_unknown(reading: Reading, word: str, time_us: int | None, raw: bytes) -> Event:
    """Add something that Bluetick has no word for, as it came."""
    event = reading.add(EVENT_KIND_UNKNOWN, time_us)
    event.provider_word = word[:WORD_CHARACTERS_MAX]
    event.raw = raw
    return event


def _may_hold_nul(callback: Callback) -> bool:
    """Say whether any text may hold NUL: looking for it in bytes is far cheaper than in events.

    In JSON it is written "\\u0000", and half a character ("\\ud800") is made one; in forms and
    queries it is escaped by "%", and so may be any letter of these after the backslash.
    """
    body, query = callback.body, callback.query
    if b"u0000" in body or b"\\ud" in body or b"\\uD" in body or b"\x00" in body:
        return True
    # Of the escapes in a form only those of NUL itself matter, and those of the backslash, where a
    # field holds JSON.
    if b"%" in body and (b"%00" in body or b"%5" in body or b"\\" in body):
        return True
    return bool(query) and ("%00" in query or "%5" in query or "\\" in query or "\x00" in query)


def _keep(reading: Reading, callback: Callback, reason: str, detail: str) -> None:
    reading.forget_after(0)
    del reading.batch.quarantined[:]
    # A report in a query has no body; quarantine tells contents apart by their bytes.
    content = callback.body or callback.query.encode(errors="replace")
    reading.quarantine(reason, detail, content, is_part=False)
