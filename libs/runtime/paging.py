"""Pages of list RPCs: their size, and tokens that only continue the question they came from."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b
from typing import Any, Generic, TypeVar

import msgspec

from libs.runtime.rpc_errors import InvalidArgument

PAGE_SIZE = 100
PAGE_SIZE_MAX = 1_000

_VERSION = b"\x01"
_MARK_BYTES = 8
_CHECK_BYTES = 8
_TOKEN_CHARS_MAX = 2_048
_INT64 = range(-(2**63), 2**63)

PlaceT = TypeVar("PlaceT", bound=tuple[Any, ...])


class Paging(Generic[PlaceT]):
    """The pages of one list RPC, in an order in which every row has a place of its own.

    A place is the key of a page's last row: a tuple of integers, texts and bytes. Its token holds
    the place, a mark of the question (tenant, RPC and every field but the page's own) and a check
    that finds what was cut or altered. It is no signature and needs none: a place says where to go
    on inside of what the caller may read anyway, and the tenant is never taken from it.
    """

    def __init__(self, place: type[PlaceT]) -> None:
        """Make it for places of the type ``place``, such as ``tuple[int, str]``."""
        self._decoder = msgspec.msgpack.Decoder(place)

    def size(self, request: Any) -> int:
        """Return how many rows a page has: ``page_size``, or the default for 0.

        Raises:
            InvalidArgument: below 0 or above the maximum.
        """
        asked = int(request.page_size)
        if not 0 <= asked <= PAGE_SIZE_MAX:
            raise InvalidArgument.of(
                "page_size", f"From 1 to {PAGE_SIZE_MAX}, or 0 for {PAGE_SIZE}; it is {asked}."
            )
        return asked or PAGE_SIZE

    def after(self, tenant_id: str, request: Any) -> PlaceT | None:
        """Return the place behind which the page begins; None: at the start.

        Raises:
            InvalidArgument: no token of ours, or one of another question.
        """
        if not request.page_token:
            return None
        token = _opened(request.page_token)
        mark, packed = token[:_MARK_BYTES], token[_MARK_BYTES:]
        if mark != _mark(tenant_id, request):
            raise InvalidArgument.of(
                "page_token",
                "It continues another question. Keep every other field as it was while you page, "
                "or start again without a token.",
            )
        try:
            place: PlaceT = self._decoder.decode(packed)
        except msgspec.MsgspecError:
            raise _unreadable() from None
        if not all(map(_is_storable, place)):
            raise _unreadable()
        return place

    def token(self, tenant_id: str, request: Any, last: PlaceT) -> str:
        """Return the token of the page that follows ``last``, to the same question."""
        body = _VERSION + _mark(tenant_id, request) + msgspec.msgpack.encode(last)
        return urlsafe_b64encode(body + _check(body)).decode().rstrip("=")


def _mark(tenant_id: str, request: Any) -> bytes:
    question = type(request)()
    question.CopyFrom(request)
    question.ClearField("page_size")
    question.ClearField("page_token")
    name = request.DESCRIPTOR.full_name
    text = f"{tenant_id}\x00{name}\x00".encode() + question.SerializeToString(deterministic=True)
    return blake2b(text, digest_size=_MARK_BYTES).digest()


def _check(body: bytes) -> bytes:
    return blake2b(body, digest_size=_CHECK_BYTES, person=b"bluetick-page").digest()


def _opened(token: str) -> bytes:
    """Return mark and place of a token that is whole and of this version."""
    if len(token) > _TOKEN_CHARS_MAX:
        raise _unreadable()
    try:
        raw = urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except ValueError:
        raise _unreadable() from None
    body, check = raw[:-_CHECK_BYTES], raw[-_CHECK_BYTES:]
    if body[:1] != _VERSION or check != _check(body):
        raise _unreadable()
    return body[1:]


def _is_storable(value: object) -> bool:
    """Tell whether a database can compare with it: no NUL in a text, no number beyond 64 bits."""
    if isinstance(value, str):
        return "\x00" not in value
    return not isinstance(value, int) or value in _INT64


def _unreadable() -> InvalidArgument:
    return InvalidArgument.of(
        "page_token",
        "Not a token that this call gave. Send next_page_token of the answer before as it is, or "
        "start again without a token.",
    )
