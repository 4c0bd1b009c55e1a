"""Output on terminals that know no Unicode: a plain character instead of a crash."""

from __future__ import annotations

import codecs
import sys

_PLAIN = {"–": "-", "·": "-", "●": "*", "▲": "!", "○": "o", "✓": "+", "✗": "x", "≥": ">", "≤": "<"}
_HANDLER = "bluetick_plain"


def tolerate_plain_terminals() -> None:
    """From now on, what standard output cannot encode is written plainly."""
    codecs.register_error(_HANDLER, _plainly)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors=_HANDLER)


def _plainly(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(_PLAIN.get(character, "?") for character in text), error.end
