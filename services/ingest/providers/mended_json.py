"""JSON that no strict decoder takes, made decodable without moving a byte.

A signed callback of a thousand items must not be lost for one lone surrogate in one of them. What
offends is overwritten by something harmless of the same length, so that every item keeps its place
and its original bytes can still be cut out.
"""

import re

DEPTH_MAX = 64
# Beyond this size only what providers write is mended: a mark (escape, quote, bracket) in so many
# bytes on average.
LARGE_BYTES = 256 * 1024
BYTES_PER_MARK = 8
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")

# Consumes every escape, so that the second half of a pair and `\\ud800` (an escaped backslash) are
# never mistaken for a lone surrogate.
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
# A text without its closing quote runs to the end: looking for another start would take for ever.
# Each way begins with a letter of its own, so that what is between tokens is passed over quickly.
_TOKEN = re.compile(
    rb'"(?:[^"\\]|\\.)*+"?|\[|\]|\{|\}|NaN|-Infinity|Infinity',
    re.DOTALL,
)


def mend(body: bytes) -> bytes:
    """Return ``body`` of the same length, with what strict decoders choke on blanked out.

    Lone surrogates become NUL (which is refused where it matters), NaN and the infinities an empty
    text, and what is nested deeper than 64 levels a null. Anything else that is no JSON stays so.
    """
    if len(body) > LARGE_BYTES and _is_costly(body):
        return body
    if _SURROGATE.search(body):
        body = _ESCAPE.sub(_without_surrogate, body)
    return _without_odd_values(body)


def _is_costly(body: bytes) -> bool:
    """Say whether a large body has more escapes, texts and brackets than can be looked at."""
    marks = sum(map(body.count, (b"\\", b'"', b"[", b"{", b"NaN", b"Infinity")))
    return marks > len(body) // BYTES_PER_MARK


def _without_surrogate(escape: re.Match[bytes]) -> bytes:
    return escape.group() if escape.group(1) is None else b"\\u0000"


def _without_odd_values(body: bytes) -> bytes:
    mended = bytearray(body)
    depth = deep_start = 0
    for token in _TOKEN.finditer(body):
        first = body[token.start()]
        if first in b"[{":
            depth += 1
            if depth == DEPTH_MAX + 1:
                deep_start = token.start()
        elif first in b"]}":
            if depth == DEPTH_MAX + 1:
                _overwrite(mended, deep_start, token.end(), b"null")
            depth -= 1
        elif first != ord('"'):
            _overwrite(mended, token.start(), token.end(), b'""')
    return bytes(mended)


def _overwrite(body: bytearray, start: int, end: int, text: bytes) -> None:
    """Fill [start, end) with ``text`` and blanks; "[]" is too short for null, and stays."""
    if end - start >= len(text):
        body[start:end] = text.ljust(end - start)
