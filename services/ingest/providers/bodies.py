"""How a body is read: as one thing that is kept whole, or as a list whose items stand alone.

What is in a body is not trusted: whatever a reader raises over it ends in quarantine, and texts
that cannot be stored do, too.
"""

from collections.abc import Callable
from typing import Any, Final

from bluetick.v1.common_pb2 import EVENT_KIND_UNKNOWN
from bluetick.v1.event_pb2 import Event

from libs.runtime.accounts import Account
from libs.runtime.message_ids import MAY_SEND_MAIL
from services.ingest.domain.fields import WORD_CHARACTERS_MAX, Unreadable
from services.ingest.domain.reading import Reading, holds_nul
from services.ingest.providers.decoding import ITEMS_MAX, UNREADABLE, json_items, json_object
from services.ingest.providers.provider import Callback

_NUL: Final = b"\\u0000"
# More unreadable items than this are kept as one body.
PARTS_MAX: Final = 1_000

# Given an item and the bytes it came in; adds its events, or raises Unreadable.
AddItem = Callable[[dict[str, Any], bytes], None]


def empty_reading(callback: Callback, account: Account) -> Reading:
    """Return a reading of ``callback`` with nothing in it yet."""
    return Reading(
        tenant_id=account.tenant_id,
        provider=account.provider,
        account=account.account,
        receive_time_us=callback.receive_time_us,
        options=account.options,
        ahead_s_max=callback.time_ahead_s_max,
    )


def read_whole(callback: Callback, account: Account, read: Callable[[Reading], None]) -> Reading:
    """Let ``read`` add the events of ``callback``; what it cannot read is quarantined as a whole.

    ``read`` raises ``Unreadable`` with the reason; other errors over its values are caught, too.
    """
    reading = empty_reading(callback, account)
    try:
        read(reading)
        if account.provider in MAY_SEND_MAIL:
            reading.name_mail()
        if may_hold_nul(callback) and reading.has_nul():
            raise Unreadable("INVALID_TEXT", "a text that is needed holds NUL or half a character")
    except Unreadable as problem:
        _keep(reading, callback, problem.reason, problem.detail)
    except UnicodeError:
        _keep(reading, callback, "INVALID_TEXT", "a text that is needed holds half a character")
    except (ValueError, RecursionError, OverflowError) as error:
        _keep(reading, callback, "BODY_UNREADABLE", type(error).__name__)
    return reading


def read_list(reading: Reading, body: bytes, add: AddItem, *, whole: bytes = b"") -> None:
    """Let ``add`` read each item of a body that is a list; what is none goes to quarantine.

    Where the list is a part of the ``whole`` body, that one is kept if the list cannot be read.
    """
    try:
        decodable, parts = json_items(body)
    except Unreadable as problem:
        reading.quarantine(problem.reason, problem.detail, whole or body, is_part=False)
        return
    except UNREADABLE as error:
        reading.quarantine("BODY_NOT_A_LIST", str(error), whole or body, is_part=False)
        return
    if len(parts) > ITEMS_MAX:
        detail = f"{len(parts)} items, more than {ITEMS_MAX}"
        reading.quarantine("PARTS_TOO_MANY", detail, whole or body, is_part=False)
        return
    place = 0
    for index, raw in enumerate(parts):
        original = part = bytes(raw)
        if decodable is not body:
            # Mending moves nothing: the bytes as they came lie at the same place.
            place = decodable.find(part, place)
            original = body[place : place + len(part)]
            place += len(part)
        is_read = read_item(reading, part, original, index, add)
        if not is_read and len(reading.batch.quarantined) > PARTS_MAX:
            del reading.batch.quarantined[:]
            detail = f"more than {PARTS_MAX} items cannot be read"
            reading.quarantine("PARTS_TOO_MANY", detail, whole or body, is_part=False)
            return


def add_unknown(reading: Reading, word: str, time_us: int | None, raw: bytes) -> Event:
    """Add something that Bluetick has no word for, as it came."""
    event = reading.add(EVENT_KIND_UNKNOWN, time_us)
    event.provider_word = word[:WORD_CHARACTERS_MAX]
    event.raw = raw
    return event


def add_report(
    reading: Reading, kind: int | None, word: str, time_us: int | None, message_id: str, raw: bytes
) -> Event:
    """Add what a provider says of a message of ours by ``word``; kind None: a word without meaning.

    Such a word is kept with its raw form, so that it can be read once it has a meaning.
    """
    event = reading.add_of_message(
        EVENT_KIND_UNKNOWN if kind is None else kind, time_us, message_id
    )
    event.provider_word = word[:WORD_CHARACTERS_MAX]
    if kind is None:
        event.raw = raw
    return event


def read_item(reading: Reading, part: bytes, original: bytes, index: int, add: AddItem) -> bool:
    """Let ``add`` read one item, and say whether it could; what it could not is in quarantine."""
    events = reading.batch.events
    event_count = len(events)
    try:
        add(json_object(part), original)
        if _NUL not in part or not any(map(holds_nul, events[event_count:])):
            return True
        raise Unreadable("INVALID_TEXT", "a text that is needed holds NUL or half a character")
    except Unreadable as unreadable:
        reason = unreadable.reason.replace("BODY_NOT_", "ITEM_NOT_")
        detail = unreadable.detail
    except (ValueError, OverflowError) as error:
        reason, detail = "ITEM_UNREADABLE", type(error).__name__
    reading.forget_after(event_count)
    reading.quarantine(reason, f"[{index}]: {detail}", original, is_part=True)
    return False


def may_hold_nul(callback: Callback) -> bool:
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
