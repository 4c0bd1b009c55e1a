"""A place in the stream of changes, and the cursor that names it to callers."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b
from struct import Struct, error
from typing import Final

import msgspec

# Version, identity of the stream, sequence, changes of it that were passed.
_FORM: Final = Struct(">BQQI")
_VERSION: Final = 1
_CHECK_BYTES: Final = 6
CURSOR_CHARS_MAX: Final = 128


class Place(msgspec.Struct, frozen=True, order=True):
    """Where to go on: with sequence ``seq``, after the first ``passed`` changes in it.

    Everything before that was given, or was not asked for.
    """

    seq: int  # of a broker message on CHANGES, from 1; it need not exist
    passed: int = 0


def cursor_of(stream_id: int, place: Place) -> str:
    """Return the cursor of a place in the stream with this identity.

    The check in it finds what was cut or altered. It is no signature and needs none: a place says
    where to go on inside of what the caller may read anyway.
    """
    body = _FORM.pack(_VERSION, stream_id, place.seq, place.passed)
    return urlsafe_b64encode(body + _check(body)).decode().rstrip("=")


def read_cursor(cursor: str) -> tuple[int, Place] | None:
    """Return identity of the stream and place; None: it is no cursor of ours."""
    if len(cursor) > CURSOR_CHARS_MAX:
        return None
    try:
        raw = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        body, check = raw[:-_CHECK_BYTES], raw[-_CHECK_BYTES:]
        version, stream_id, seq, passed = _FORM.unpack(body)
    except (ValueError, error):
        return None
    if version != _VERSION or check != _check(body):
        return None
    return stream_id, Place(seq, passed)


def _check(body: bytes) -> bytes:
    return blake2b(body, digest_size=_CHECK_BYTES, person=b"bluetick-watch").digest()
