"""Callbacks that no provider sends: pieces of real ones, changed, joined and made up."""

import random
from collections.abc import Sequence
from typing import Any

import msgspec

_ODD_BYTES = (
    b"", b"\x00", b"\xff", b"\xed\xa0\x80", b"\\ud800", b"\\u0000", b"[", b"]", b"{", b"}", b'"',
    b"[" * 70, b"\r\n", b"&", b"%", b"%00", b"=", b"1e999", b"-0", b"NaN", b"9" * 25, b"\xef",
)  # fmt: skip
_ODD_TEXTS = (
    "", " ", "\x00", "a" * 600, "😀", "\u202e", "-1", "0", "1e999", "NaN", "9" * 30, "/", "a/b",
    "+", "@", "whatsapp:", "<>", "9999-99-99T99:99:99Z", "0001-01-01T00:00:00+23:59", "²",
)  # fmt: skip
_ODD_NUMBERS = (0, -1, 1, 2**31, 2**53, 2**63, 2**64, 10**30, 0.5, 1e308, 1_785_900_000)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of everything in ``value``, itself first."""
    found = [path]
    if isinstance(value, dict):
        inner = list(value.items())
    else:
        inner = list(enumerate(value)) if isinstance(value, list) else []
    for name, item in inner:
        found += places(item, (*path, name))
    return found


def with_value(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """Return a copy of ``value`` with ``new`` at ``path``."""
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = with_value(value[path[0]], path[1:], new)
    return copy


def odd_value(chance: random.Random, words: Sequence[str], depth: int = 0) -> Any:
    """Return any JSON, rich in the words that mean something to the reader."""
    choice = chance.randrange(9 if depth < 4 else 6)
    if choice < 2:
        return chance.choice(words) if words else ""
    if choice == 2:
        return chance.choice(_ODD_TEXTS)
    if choice == 3:
        return chance.choice(_ODD_NUMBERS)
    if choice == 4:
        return chance.choice((None, True, False))
    if choice == 5:
        return str(1_785_900_000 + chance.randrange(-100, 100))
    if choice == 6:
        return [odd_value(chance, words, depth + 1) for _ in range(chance.randrange(4))]
    return {
        (chance.choice(words) if words else "x"): odd_value(chance, words, depth + 1)
        for _ in range(chance.randrange(6))
    }


def mutated(chance: random.Random, body: bytes, words: Sequence[str]) -> bytes:
    """Return ``body`` changed: in what it says, in its bytes, or altogether another one."""
    way = chance.randrange(10)
    if way == 0:
        return encoded(odd_value(chance, words))
    if way == 1:
        return b"&".join(_pair(chance, words) for _ in range(chance.randrange(8)))
    if way > 2:
        body = _changed_value(chance, body, words)
    if way < 5:
        body = _changed_bytes(chance, body, words)
    return body


def encoded(value: Any) -> bytes:
    """Return ``value`` as JSON; what JSON cannot hold as text."""
    try:
        return msgspec.json.encode(value)
    except (ValueError, OverflowError):
        return repr(value).encode(errors="replace")


def _changed_value(chance: random.Random, body: bytes, words: Sequence[str]) -> bytes:
    try:
        value = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        pairs = body.split(b"&")
        pairs[chance.randrange(len(pairs))] = _pair(chance, words)
        return b"&".join(pairs)
    for _ in range(1 + chance.randrange(3)):
        path = chance.choice(places(value))
        value = with_value(value, path, odd_value(chance, words))
    return encoded(value)


def _changed_bytes(chance: random.Random, body: bytes, words: Sequence[str]) -> bytes:
    start = chance.randrange(len(body) + 1)
    end = min(len(body), start + chance.randrange(40))
    pieces = (*_ODD_BYTES, body[:start], body[start:end] * 2, chance.randbytes(4))
    word = chance.choice(words).encode(errors="replace") if words else b""
    return body[:start] + chance.choice((*pieces, word)) + body[end:]


def _pair(chance: random.Random, words: Sequence[str]) -> bytes:
    name = chance.choice(words) if words else "x"
    value = odd_value(chance, words, depth=9)
    return f"{name}={value}".encode(errors="replace")
