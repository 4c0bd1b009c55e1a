"""The walk through a list of events: one that cannot be read is no matter to its neighbours."""

from collections.abc import Callable
from typing import Any, Final

from msgspec import MsgspecError

from services.ingest.domain.fields import Unreadable, optional_id, text
from services.ingest.domain.reading import Reading, holds_nul
from services.ingest.providers.mended_json import mend
from services.ingest.providers.meta_payload import decode_items
from services.ingest.providers.whole_body import json_object

# What decoding foreign bytes may raise: wrong JSON or types, no UTF-8, too deep.
_UNREADABLE: Final = (MsgspecError, ValueError, RecursionError)
_NUL: Final = b"\\u0000"
# More unreadable items than this are kept as one body.
PARTS_MAX: Final = 1_000

# Given an item and the bytes it came in; adds its events, or raises Unreadable.
AddItem = Callable[[dict[str, Any], bytes], None]


def read_list(reading: Reading, body: bytes, add: AddItem, *, whole: bytes = b"") -> None:
    """Let ``add`` read each item of a body that is a list; what is none goes to quarantine.

    Where the list is a part of the ``whole`` body, that one is kept if the list cannot be read.
    """
    decodable = body
    try:
        try:
            parts = decode_items(body)
        except _UNREADABLE:
            decodable = mend(body)
            parts = decode_items(decodable)
    except _UNREADABLE as error:
        reading.quarantine("BODY_NOT_A_LIST", str(error), whole or body, is_part=False)
        return
    place = 0
    for index, raw in enumerate(parts):
        original = part = bytes(raw)
        if decodable is not body:
            # Mending moves nothing: the bytes as they came lie at the same place.
            place = decodable.find(part, place)
            original = body[place : place + len(part)]
            place += len(part)
        is_read = _read_item(reading, part, original, index, add)
        if not is_read and len(reading.batch.quarantined) > PARTS_MAX:
            del reading.batch.quarantined[:]
            detail = f"more than {PARTS_MAX} items cannot be read"
            reading.quarantine("PARTS_TOO_MANY", detail, whole or body, is_part=False)
            return


def identity(fields: Any, *names: str) -> str:
    """Return the first identity of ``names``; empty if there is none.

    Raises:
        Unreadable: it is too long, or cannot be stored.
    """
    found = optional_id(fields, *names)
    if "\x00" in found:
        raise Unreadable("INVALID_TEXT", f"{' or '.join(names)}: holds NUL or half a character")
    return found


def words(fields: Any, *path: str, characters_max: int = 1_000) -> str:
    """Return the text at ``path`` for reading by people: cut, and without what cannot be stored."""
    return text(fields, *path).replace("\x00", "")[:characters_max]


def _read_item(reading: Reading, part: bytes, original: bytes, index: int, add: AddItem) -> bool:
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
