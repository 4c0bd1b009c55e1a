"""The walk through one of Meta's bodies: the quick pass, and the careful one item by item."""

from collections.abc import Callable
from typing import Any, Final

from msgspec import MsgspecError

from services.ingest.domain.fields import WORD_CHARACTERS_MAX, Unreadable
from services.ingest.domain.reading import Reading, holds_nul
from services.ingest.providers import meta_inbound, meta_notices, meta_statuses
from services.ingest.providers.decoding import ITEMS_MAX, check_density
from services.ingest.providers.mended_json import mend
from services.ingest.providers.meta_payload import (
    NOTHING_AROUND,
    WHATSAPP,
    Around,
    decode_any,
    decode_fields,
    decode_items,
    decode_status,
    tolerant_status,
)

# What decoding foreign bytes may raise: wrong JSON or types, no UTF-8, too deep.
_UNREADABLE: Final = (MsgspecError, ValueError, RecursionError)
_NUL: Final = b"\\u0000"
_DETAILS: Final = {
    **meta_statuses.DETAIL_BY_PROBLEM,
    **meta_inbound.DETAIL_BY_PROBLEM,
    **meta_notices.DETAIL_BY_PROBLEM,
}
# Meta sends 1,000 updates at most.
PARTS_MAX: Final = 1_000


class BodyReader:
    """Reads a body item by item: what one item is like is no matter to its neighbours.

    Partners of Meta's who pass its bodies on derive from it and read their own additions.
    """

    # Parts of `value` that describe their neighbours.
    descriptions = frozenset({"contacts", "messaging_product", "metadata"})

    def __init__(self, reading: Reading, body: bytes) -> None:
        """Fill ``reading`` from ``body``."""
        self._reading = reading
        self._body = body
        self._decodable = body
        self._is_hopeless = False
        self._items_left = ITEMS_MAX
        # Of the ``value`` that is being read.
        self._around = NOTHING_AROUND

    def read(self) -> None:
        """Read all there is; never raises."""
        fields = self._fields_of_body()
        if fields is None:
            return
        product = self._plain(fields.get("object"))
        if not isinstance(product, str):
            self._quarantine("OBJECT_MISSING", "object: missing, or no text", self._body)
            return
        if product != WHATSAPP:
            # Another product of Meta's (a page, Instagram) on the same address.
            meta_notices.add_unknown(self._reading, product, self._body, None)
            return
        for index, entry in enumerate(self._items(fields.get("entry"), "entry", self._body)):
            self._read_entry(entry, f"entry[{index}]")
            if self._is_hopeless:
                break

    def _fields_of_body(self) -> dict[str, Any] | None:
        try:
            check_density(self._body)
            return self._first_level()
        except Unreadable as problem:
            self._reading.quarantine(problem.reason, problem.detail, self._body, is_part=False)
            return None
        except _UNREADABLE as error:
            reason = "BODY_NOT_AN_OBJECT" if self._is_json() else "BODY_NOT_JSON"
            self._reading.quarantine(reason, str(error), self._body, is_part=False)
            return None

    def _first_level(self) -> dict[str, Any]:
        try:
            return decode_fields(self._body)
        except _UNREADABLE:
            self._decodable = mend(self._body)
            return decode_fields(self._decodable)

    def _is_json(self) -> bool:
        try:
            decode_any(self._decodable)
        except _UNREADABLE:
            return False
        return True

    def _read_entry(self, entry: Any, path: str) -> None:
        fields = self._fields(entry, path)
        if fields is None:
            return
        time = self._plain(fields.get("time"))
        changes = self._items(fields.get("changes"), f"{path}.changes", bytes(entry))
        for index, change in enumerate(changes):
            self._read_change(change, f"{path}.changes[{index}]", time)

    def _read_change(self, change: Any, path: str, entry_time: object) -> None:
        fields = self._fields(change, path)
        if fields is None:
            return
        named = self._plain(fields.get("field"))
        field = named if isinstance(named, str) else ""
        value = fields.get("value", b"null")
        owner_path, path = path, f"{path}.value"
        if field == "messages":
            self._read_messages_value(value, path, entry_time)
        elif field == "user_preferences":
            self._read_preferences(value, path, entry_time)
        elif read := self._notice_reader(field, entry_time):
            # Kept with its field, which says what the value is.
            self._item(value, path, read, kept=bytes(change), kept_path=owner_path)
        else:
            self._unknown(change, field or "field", path, entry_time)

    def _notice_reader(
        self, field: str, entry_time: object
    ) -> Callable[[bytes], str | None] | None:
        """Return what reads the ``value`` of a field that is about no message; None: unknown."""
        if field not in meta_notices.NOTICE_FIELDS:
            return None
        return lambda raw: meta_notices.add_notice(
            self._reading, field, decode_any(raw), entry_time
        )

    def _read_messages_value(self, value: Any, path: str, entry_time: object) -> None:
        readers: dict[str, Callable[[bytes], str | None]] = {
            "statuses": self._read_status,
            "messages": self._read_inbound,
            "user_actions": self._read_action,
            "errors": self._read_error,
        }
        self._read_lists(value, path, entry_time, readers)

    def _read_preferences(self, value: Any, path: str, entry_time: object) -> None:
        readers: dict[str, Callable[[bytes], str | None]] = {
            "user_preferences": self._read_preference
        }
        self._read_lists(value, path, entry_time, readers)

    def _read_lists(
        self,
        value: Any,
        path: str,
        entry_time: object,
        readers: dict[str, Callable[[bytes], str | None]],
    ) -> None:
        fields = self._fields(value, path) or {}
        self._around = Around.of(
            {name: self._any(fields.get(name)) for name in ("metadata", "contacts")}
        )
        if self._around.only_person and not self._is_alone(fields.get("messages")):
            self._around.only_person = ()
        for name, part in fields.items():
            read = readers.get(name)
            if read is not None:
                for index, item in enumerate(self._items(part, f"{path}.{name}", bytes(value))):
                    self._item(item, f"{path}.{name}[{index}]", read)
            elif name not in self.descriptions:
                self._unknown(part, name, f"{path}.?", entry_time)

    def _read_status(self, raw: bytes) -> str:
        try:
            status = decode_status(raw)
        except MsgspecError:
            status = tolerant_status(decode_object(raw))
        return meta_statuses.add_status(self._reading, status, raw, around=self._around)

    def _read_inbound(self, raw: bytes) -> str:
        return meta_inbound.add_message(self._reading, decode_object(raw), raw, self._around)

    def _read_action(self, raw: bytes) -> str:
        return meta_notices.add_action(self._reading, decode_object(raw), raw)

    def _read_preference(self, raw: bytes) -> str:
        return meta_notices.add_preference(self._reading, decode_object(raw), raw, self._around)

    def _read_error(self, raw: bytes) -> None:
        meta_notices.add_account_error(self._reading, raw, decode_object(raw))

    def _unknown(self, raw: Any, word: str, path: str, entry_time: object) -> None:
        word = word.replace("\x00", "")

        def read(part: bytes) -> None:
            meta_notices.add_unknown(self._reading, word, self._original(part), entry_time)

        self._item(raw, path, read)

    def _item(
        self,
        raw: Any,
        path: str,
        read: Callable[[bytes], str | None],
        *,
        kept: bytes | None = None,
        kept_path: str = "",
    ) -> None:
        """Let ``read`` add the events of one item, or put the item (or ``kept``) to quarantine."""
        part = bytes(raw)
        events = self._reading.batch.events
        event_count = len(events)
        try:
            reason = read(part) or ""
            detail = _DETAILS.get(reason, "")
        except _UNREADABLE as error:
            reason, detail = _reason_of(error), str(error)
        if not reason and _NUL in part and any(holds_nul(event) for event in events[event_count:]):
            reason, detail = "INVALID_TEXT", "a text that is needed holds NUL or half a character"
        if reason:
            self._reading.forget_after(event_count)
            self._quarantine(reason, f"{kept_path or path}: {detail}", kept or part)

    def _items(self, raw: Any, path: str, owner: bytes) -> list[Any]:
        """Return the items of a list; without one, ``owner`` is what cannot be read."""
        if raw is None:
            owner_path, _, name = path.rpartition(".")
            self._quarantine("LIST_MISSING", f"{owner_path or 'body'}: {name} missing", owner)
            return []
        try:
            items = decode_items(raw)
        except _UNREADABLE as error:
            self._quarantine("NOT_A_LIST", f"{path}: {error}", bytes(raw))
            return []
        self._items_left -= len(items)
        if self._items_left < 0:
            self._give_up(f"more than {ITEMS_MAX} items, the first of the rest: {path}")
            return []
        return items

    def _fields(self, raw: Any, path: str) -> dict[str, Any] | None:
        try:
            return decode_fields(raw)
        except _UNREADABLE as error:
            self._quarantine("NOT_AN_OBJECT", f"{path}: {error}", bytes(raw))
            return None

    def _any(self, raw: Any) -> Any:
        """Return a decoded value; None if there is none or it cannot be decoded."""
        try:
            return decode_any(raw) if raw is not None else None
        except _UNREADABLE:
            return None

    def _is_alone(self, raw: Any) -> bool:
        """Say whether a list has one item."""
        try:
            return raw is not None and len(decode_items(raw)) == 1
        except _UNREADABLE:
            return False

    def _plain(self, raw: Any) -> object:
        """Return a plain value; None if there is none or it cannot be held."""
        value = self._any(raw)
        if isinstance(value, str):
            return value.replace("\x00", "")[:WORD_CHARACTERS_MAX]
        return value

    def _quarantine(self, reason: str, detail: str, part: bytes) -> None:
        """Keep one part; a body of very many unreadable parts is kept as one instead."""
        if self._is_hopeless:
            return
        if len(self._reading.batch.quarantined) >= PARTS_MAX:
            self._give_up(
                f"more than {PARTS_MAX} parts cannot be read; the first of the rest: {detail}"
            )
            return
        original = self._original(part)
        is_part = len(original) < len(self._body)
        self._reading.quarantine(reason, detail, original, is_part=is_part)

    def _give_up(self, detail: str) -> None:
        """Keep the body as one: it holds more than any body of Meta's."""
        if not self._is_hopeless:
            self._is_hopeless = True
            del self._reading.batch.quarantined[:]
            self._reading.quarantine("PARTS_TOO_MANY", detail, self._body, is_part=False)

    def _original(self, part: bytes) -> bytes:
        """Return the bytes as they came: mending moved nothing, so they lie at the same place."""
        if self._decodable is self._body:
            return part
        start = self._decodable.find(part)
        return part if start < 0 else self._body[start : start + len(part)]


def decode_object(raw: bytes) -> dict[str, Any]:
    """Return the object in ``raw``.

    Raises:
        ValueError: it is something else.
    """
    value = decode_any(raw)
    if not isinstance(value, dict):
        raise WrongType("an object was expected")
    return value


class WrongType(ValueError):
    """An item of another type than Meta documents."""


def _reason_of(error: Exception) -> str:
    if isinstance(error, UnicodeError):
        return "INVALID_TEXT"
    return "ITEM_NOT_AN_OBJECT" if isinstance(error, WrongType) else "ITEM_UNREADABLE"
