"""Which id of a report without a record may be which id of a record without a report.

Ids are compared in one canonical form (``libs.runtime.message_ids``). What still does not meet is
mostly one id in two spellings of which nothing says that they are the same; whoever sees both knows
the cure.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

import msgspec

HINTS_MAX: Final = 5
# Shorter ids are like one another by chance.
_CHARACTERS_MIN: Final = 6
_PHONE_DIGITS: Final = 8
_HEX_DIGITS_MAX: Final = 32


class Hint(msgspec.Struct, frozen=True):
    """Two spellings that may be one id."""

    reported: str
    recorded: str
    differ_by: str


def _bare(text: str) -> str:
    return text.strip("<>[](){}\"' \t").casefold()


def _number(text: str, base: int) -> str:
    digits = text.removeprefix("0x").removeprefix("0X")
    if not digits or len(digits) > _HEX_DIGITS_MAX:
        return ""
    try:
        return str(int(digits, base))
    except ValueError:
        return ""


def _without_recipient(text: str) -> str:
    return text.partition("/")[0]


def _phone(text: str) -> str:
    """Return an id with the end of a phone, which is the same with any prefix."""
    message_id, _, to = text.partition("/")
    digits = "".join(c for c in to if c.isdigit())
    return f"{message_id}/{digits[-_PHONE_DIGITS:]}" if len(digits) >= _PHONE_DIGITS else ""


def _separated(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum())


def _before(mark: str, text: str) -> str:
    return _bare(text).partition(mark)[0]


# What the two differ by, the form of the reported id and that of the recorded one; from what is
# nearest to what is furthest. An empty form is like nothing.
_FORMS: Final[tuple[tuple[str, Callable[[str], str], Callable[[str], str]], ...]] = (
    ("capitals", str.casefold, str.casefold),
    ("brackets, quotes or blanks around it", _bare, _bare),
    ("zeros before it", lambda one: _bare(one).lstrip("0"), lambda one: _bare(one).lstrip("0")),
    ("hexadecimal here, decimal there", lambda r: _number(r, 10), lambda r: _number(r, 16)),
    ("decimal here, hexadecimal there", lambda r: _number(r, 16), lambda r: _number(r, 10)),
    ("the recipient's prefix", _phone, _phone),
    ("the recipient behind it", _without_recipient, _without_recipient),
    ("separators", _separated, _separated),
    ("what follows @", lambda one: _before("@", one), lambda one: _before("@", one)),
    ("what follows the first dot", lambda one: _before(".", one), lambda one: _before(".", one)),
)  # fmt: skip


def hints(reported: Iterable[str], recorded: Iterable[str]) -> list[Hint]:
    """Return the nearest pairs, at most ``HINTS_MAX``, each id once.

    Args:
        reported: ids of messages that callbacks told of and nobody recorded.
        recorded: ids of recorded messages of which no callback told.
    """
    told, known = sorted(set(reported)), sorted(set(recorded))
    found: dict[str, Hint] = {}
    taken: set[str] = set()
    for hint in _pairs(told, known):
        if hint.reported not in found and hint.recorded not in taken:
            found[hint.reported] = hint
            taken.add(hint.recorded)
            if len(found) == HINTS_MAX:
                break
    return list(found.values())


def _pairs(reported: list[str], recorded: list[str]) -> Iterator[Hint]:
    for differ_by, form_of_reported, form_of_recorded in _FORMS:
        known: dict[str, str] = {}
        for one in recorded:
            form = form_of_recorded(one)
            if len(form) >= _CHARACTERS_MIN:
                known.setdefault(form, one)
        for one in reported:
            if (other := known.get(form_of_reported(one))) is not None and other != one:
                yield Hint(one, other, differ_by)
    for one in reported:
        for other in recorded:
            short, long = sorted((_bare(one), _bare(other)), key=len)
            if len(short) >= 2 * _CHARACTERS_MIN and short != long and short in long:
                yield Hint(one, other, "something before or behind it")
