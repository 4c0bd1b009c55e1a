"""Turn a sender's links into tracked ones: registered once each, signed for each message."""

from collections.abc import Iterable, Iterator
from typing import Final, Protocol

from bluetick.v1 import ingest_service_pb2 as ingest
from bluetick.v1.ingest_service_pb2 import LinkToWrap, WrapLinksRequest, WrapLinksResponse

from libs.runtime.rpc_errors import FailedPrecondition, InvalidArgument
from services.ingest.domain.destinations import Destination, problem_of
from services.ingest.domain.link_token import LinkKeyring

LINKS_MAX: Final = 1_000
# Path of the door that the links lead to.
LINKS_PATH: Final = "/l/"
_TEXT_LIMITS: Final = (("message_ref", 256), ("link_id", 128), ("label", 256))
# Errors travel in HTTP/2 headers, which hold some kilobytes.
_VIOLATIONS_MAX: Final = 10


class LinkRegister(Protocol):
    """Where destinations are registered."""

    async def register(self, destinations: Iterable[Destination], now_us: int) -> list[bytes]:
        """Return the link key of each destination, in order; the same for the same, always.

        Returning means that a click can be followed, on every replica.

        Raises:
            DatabaseUnavailable: a destination is new, and cannot be stored.
        """


async def wrap_links(
    request: WrapLinksRequest,
    *,
    tenant_id: str,
    now_us: int,
    keyring: LinkKeyring,
    register: LinkRegister,
    base_url: str,
) -> WrapLinksResponse:
    """Return the tracked URLs, in order; the same for the same request while the key stays.

    Raises:
        InvalidArgument: no link, more than 1,000, or one that cannot work: no partial answer,
            since a message with a bare link would go out uncounted.
        FailedPrecondition: there is no key to sign with.
        DatabaseUnavailable: see ``LinkRegister.register``.
    """
    _check(request)
    if not keyring:
        raise FailedPrecondition(
            "Links cannot be signed here: set BLUETICK_LINK_KEYS.", reason="LINK_KEYS_MISSING"
        )
    keys = await register.register(
        (_destination(link, tenant_id) for link in request.links), now_us
    )
    return WrapLinksResponse(
        urls=[
            f"{base_url}{LINKS_PATH}{keyring.sign(key, link.message_ref)}"
            for key, link in zip(keys, request.links, strict=True)
        ]
    )


def _destination(link: LinkToWrap, tenant_id: str) -> Destination:
    return Destination(
        tenant_id=tenant_id,
        url=link.url,
        link_id=link.link_id,
        label=link.label,
        card_index=link.card_index,
        kind=link.kind or ingest.LINK_KIND_LINK,
    )


def _check(request: WrapLinksRequest) -> None:
    if not request.links:
        raise InvalidArgument.of("links", "is empty; send 1 to 1,000.")
    if len(request.links) > LINKS_MAX:
        raise InvalidArgument.of(
            "links", f"has {len(request.links)} entries, the limit is 1,000; send several requests."
        )
    violations = [
        (f"links[{index}].{field}", problem)
        for index, link in enumerate(request.links)
        for field, problem in _problems(link)
    ]
    if violations:
        field, problem = violations[0]
        raise InvalidArgument(f"{field}: {problem}", violations=violations[:_VIOLATIONS_MAX])


def _problems(link: LinkToWrap) -> Iterator[tuple[str, str]]:
    if not link.message_ref:
        yield "message_ref", "is empty; send your own id of the message."
    for name, limit in _TEXT_LIMITS:
        text: str = getattr(link, name)
        if len(text) > limit:
            yield name, f"has {len(text)} characters, the limit is {limit}; shorten it."
        if "\x00" in text:
            yield name, "holds a NUL character, which no text can; remove it."
    if problem := problem_of(link.url):
        yield "url", problem
    if link.kind not in ingest.LinkKind.values():
        yield "kind", "is no kind of this version; send LINK or EXTERNAL_BUTTON."
