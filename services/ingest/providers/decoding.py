"""From the bytes of a callback to values: JSON and forms, nothing of any provider in it.

JSON is decoded strictly first and, if that fails, once more after mending (`mended_json.py`). A
byte order mark before it is no part of it (RFC 8259, 8.1).
"""

import re
from typing import Any, Final

import msgspec
from msgspec import Raw

from services.ingest.domain.fields import Unreadable
from services.ingest.providers.mended_json import mend

FORM_FIELDS_MAX: Final = 1_000
BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
# A body beyond this size is looked at before it is decoded: what 3 MiB of "{}," become in memory is
# thirty times as much, and no provider writes so.
LARGE_BYTES: Final = 256 * 1024
BYTES_PER_CONTAINER: Final = 32
BYTES_PER_COMMA: Final = 12
# Items of one body; providers send a thousand, and one of 3 MiB holds nine thousand real ones.
ITEMS_MAX: Final = 12_000
# What decoding foreign bytes may raise: wrong JSON or types, no UTF-8, too deep.
UNREADABLE: Final = (ValueError, RecursionError)

_RUN: Final = re.compile(rb"(?:%[0-9a-fA-F]{2})+")
_decode_json: Final = msgspec.json.Decoder().decode
_decode_fields: Final = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_items: Final = msgspec.json.Decoder(list[Raw]).decode


def without_mark(body: bytes) -> bytes:
    """Return ``body`` without the byte order mark that some senders put before their text."""
    return body[len(BYTE_ORDER_MARK) :] if body.startswith(BYTE_ORDER_MARK) else body


def is_json_object(body: bytes) -> bool:
    """Say whether ``body`` looks like a JSON object: by its first character that is no blank."""
    return without_mark(body[:64]).lstrip()[:1] == b"{"


def check_density(body: bytes) -> None:
    """Check that a large body is worth decoding: time and memory stay a small multiple of it.

    Raises:
        Unreadable: it holds more objects, lists or values than any provider's of its size.
    """
    size = len(body)
    if size <= LARGE_BYTES:
        return
    containers = body.count(b"{") + body.count(b"[")
    if containers > size // BYTES_PER_CONTAINER or body.count(b",") > size // BYTES_PER_COMMA:
        raise Unreadable("BODY_TOO_DENSE", "more values than any provider puts into so many bytes")


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
    body = without_mark(body)
    check_density(body)
    try:
        return _decode_json(body)
    except UNREADABLE:
        try:
            return _decode_json(mend(body))
        except UNREADABLE as error:
            raise Unreadable("BODY_NOT_JSON", f"the body is no JSON: {error}") from None


def json_fields(body: bytes) -> dict[str, Any]:
    """Return the values of a JSON object undecoded, as ``msgspec.Raw``.

    Raises:
        ValueError, RecursionError: it is none, also when it is mended.
    """
    check_density(body)
    try:
        return _decode_fields(body)
    except UNREADABLE:
        return _decode_fields(mend(body))


def json_items(body: bytes) -> tuple[bytes, list[Any]]:
    """Return the items of a JSON list undecoded, and the bytes in which they lie: mended or not.

    Raises:
        ValueError, RecursionError: it is none, also when it is mended.
    """
    check_density(body)
    try:
        return body, _decode_items(body)
    except UNREADABLE:
        mended = mend(body)
        return mended, _decode_items(mended)


def form_pairs(
    text: str, *, errors: str = "replace", characters_max: int = LARGE_BYTES
) -> list[tuple[str, str]]:
    """Decode a form or a query, in its order; empty values count.

    Raises:
        Unreadable: it has more fields, or is longer, than any provider's.
    """
    if len(text) > characters_max:
        raise Unreadable("FORM_TOO_LONG", f"the form is longer than {characters_max} characters")
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


def form_object(text: str) -> dict[str, str]:
    """Decode a form or a query; of a repeated field the first value counts.

    Raises:
        Unreadable: as ``form_pairs``.
    """
    return dict(reversed(form_pairs(text)))


def _unescaped(text: str, errors: str) -> str:
    # Most names and values hold no escape, and looking for one is cheap.
    if "+" in text:
        text = text.replace("+", " ")
    if "%" in text:
        # Phones and times have these two only. Neither can be a part of another escape.
        text = text.replace("%2B", "+").replace("%3A", ":")
        if "%" in text:
            return _RUN.sub(_decoded_run, text.encode(errors="surrogateescape")).decode(
                errors=errors
            )
    return text


def _decoded_run(run: re.Match[bytes]) -> bytes:
    """Return a run of escapes ("%D0%B0%D0%B1"), decoded at once: whole words are escaped."""
    return bytes.fromhex(run.group().replace(b"%", b"").decode())
