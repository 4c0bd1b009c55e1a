"""Looking into what a provider sent: any field may be missing or of another type."""

from collections.abc import Mapping
from typing import Any, Final

# Longest text that is kept as an identity (an id, a reference, an address).
IDENTITY_CHARACTERS_MAX: Final = 512
# Longest word of a provider that is kept; known words are shorter.
WORD_CHARACTERS_MAX: Final = 64
# Longest text of a button that is kept.
TITLE_CHARACTERS_MAX: Final = 256


class Unreadable(ValueError):
    """What was sent cannot become an event; it is kept in quarantine."""

    def __init__(self, reason: str, detail: str) -> None:
        """Say why: ``reason`` is a stable word, ``detail`` names the field and never its value."""
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def text(fields: Any, *path: str) -> str:
    """Return the text at ``path``, a number as text; empty if there is none or it is no object."""
    for name in path:
        # Asking whether a class is a Mapping costs more than all the rest.
        if type(fields) is not dict and not isinstance(fields, Mapping):
            return ""
        fields = fields.get(name)
    return fields if type(fields) is str else _number_text(fields)


def _number_text(found: Any) -> str:
    # By exact type: what is decoded has no subclasses, and True is no number.
    return str(found) if type(found) is int or type(found) is float else ""


def first_text(fields: Any, *names: str) -> str:
    """Return the first text of ``names`` that is not empty; empty if all are."""
    if type(fields) is not dict and not isinstance(fields, Mapping):
        return ""
    for name in names:
        found = fields.get(name)
        if found is None:
            continue
        if told := found if type(found) is str else _number_text(found):
            return told
    return ""


def object_at(fields: Any, name: str) -> Mapping[str, Any]:
    """Return the object at ``name``; empty if there is none."""
    if type(fields) is not dict and not isinstance(fields, Mapping):
        return {}
    found = fields.get(name)
    return found if type(found) is dict or isinstance(found, Mapping) else {}


def list_at(fields: Any, name: str) -> list[Any]:
    """Return the list at ``name``; empty if there is none."""
    if type(fields) is not dict and not isinstance(fields, Mapping):
        return []
    found = fields.get(name)
    return found if isinstance(found, list) else []


def word(fields: Any, *path: str) -> str:
    """Return the text at ``path`` as a word to keep, cut where no known word ends."""
    return text(fields, *path)[:WORD_CHARACTERS_MAX]


def title(fields: Any, *path: str) -> str:
    """Return the text at ``path`` as the text or payload of a button, cut to what is kept."""
    return text(fields, *path)[:TITLE_CHARACTERS_MAX]


def needed_id(fields: Any, *names: str, reason: str) -> str:
    """Return the first identity of ``names``.

    Raises:
        Unreadable: there is none (``reason``), or it is longer than any that a provider gives.
    """
    found = optional_id(fields, *names)
    if not found:
        raise Unreadable(reason, f"{' or '.join(names)}: missing or empty")
    return found


def optional_id(fields: Any, *names: str) -> str:
    """Return the first identity of ``names``; empty if there is none.

    Raises:
        Unreadable: it is longer than any that a provider gives. Cutting it would name another.
    """
    found = first_text(fields, *names).strip()
    if len(found) > IDENTITY_CHARACTERS_MAX:
        raise Unreadable(
            "ID_TOO_LONG", f"{' or '.join(names)}: longer than {IDENTITY_CHARACTERS_MAX} characters"
        )
    return found


def reference(fields: Any, *names: str) -> str:
    """Return the sender's own reference; empty if there is none that a sender can have recorded."""
    found = first_text(fields, *names)
    return found if len(found) <= IDENTITY_CHARACTERS_MAX else ""


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
