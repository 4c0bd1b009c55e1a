"""The few parts of a raw email that a reply needs: its headers, and what was written as plain text.

Bounded by construction: a general parser of emails can be kept busy for minutes by a body that any
stranger may write. Parts within parts are looked into a few levels deep, attachments not at all.
"""

import binascii
import re
from base64 import b64decode
from collections.abc import Mapping
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from quopri import decodestring
from typing import Final

HEADER_LINES_MAX: Final = 500
TEXT_BYTES_MAX: Final = 64 * 1_024
PARTS_MAX: Final = 50
DEPTH_MAX: Final = 3
_BOUNDARY: Final = re.compile(r'boundary="?([^";\r\n]{1,70})', re.IGNORECASE)
_CHARSET: Final = re.compile(r'charset="?([A-Za-z0-9._:-]{1,40})', re.IGNORECASE)
_LINES: Final = re.compile(rb"\r?\n")
_END_OF_HEAD: Final = re.compile(rb"\r?\n\r?\n")


def read_email(raw: bytes) -> tuple[dict[str, str], str]:
    """Return the headers of an email, names in lower case, and its plain text, which may be ""."""
    headers, content = _split(raw)
    return headers, _text(headers, content, DEPTH_MAX)


def _split(raw: bytes) -> tuple[dict[str, str], bytes]:
    found = _END_OF_HEAD.search(raw)
    head, content = (raw[: found.start()], raw[found.end() :]) if found else (raw, b"")
    headers: dict[str, str] = {}
    name = ""
    for line in _LINES.split(head, HEADER_LINES_MAX)[:HEADER_LINES_MAX]:
        text = line.decode("utf-8", errors="replace")
        if text[:1] in (" ", "\t"):
            if name and len(headers[name]) < 4_096:
                headers[name] += " " + text.strip()
            continue
        given, colon, value = text.partition(":")
        name = given.strip().lower() if colon else ""
        if name in headers:
            name = ""
        elif name:
            headers[name] = value.strip()
    return headers, content


def decoded_header(value: str) -> str:
    """Return a header's words as they are read ("=?utf-8?q?Caf=C3=A9?=")."""
    if "=?" not in value:
        return value
    try:
        return str(make_header(decode_header(value[:1_000])))
    except (HeaderParseError, LookupError, ValueError):
        return value


def _text(headers: Mapping[str, str], content: bytes, depth: int) -> str:
    kind = headers.get("content-type", "text/plain").lower()
    if kind.startswith("multipart/") and depth:
        found = _BOUNDARY.search(headers.get("content-type", ""))
        if found is None:
            return ""
        delimiter = b"--" + found.group(1).strip().encode(errors="replace")
        for part in content.split(delimiter, PARTS_MAX)[1:PARTS_MAX]:
            if part.startswith(b"--"):
                break
            text = _text(*_split(part.lstrip(b"\r\n")), depth - 1)
            if text:
                return text
        return ""
    if not kind.startswith("text/plain") or "attachment" in headers.get("content-disposition", ""):
        return ""
    return _decoded(content[:TEXT_BYTES_MAX], headers)


def _decoded(content: bytes, headers: Mapping[str, str]) -> str:
    encoding = headers.get("content-transfer-encoding", "").strip().lower()
    if encoding == "quoted-printable":
        content = decodestring(content)
    elif encoding == "base64":
        letters = b"".join(content.split())
        try:
            content = b64decode(letters[: len(letters) // 4 * 4])
        except binascii.Error:
            return ""
    charset = _CHARSET.search(headers.get("content-type", ""))
    try:
        return content.decode(charset.group(1) if charset else "utf-8", errors="replace")
    except LookupError:
        return content.decode(errors="replace")
