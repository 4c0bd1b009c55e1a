"""Pages of clicks by link."""

from bluetick.v1 import analytics_service_pb2 as pb

from services.analytics.domain import page_token
from services.analytics.domain.question import Problem

_PAGE, _PAGE_MAX = 100, 1_000


def page_of(request: pb.GetLinkActivityRequest) -> tuple[int, int]:
    """Return the first link of the page and the one behind its last, from 0.

    Raises:
        Problem: page size or token cannot be used.
    """
    if not 0 <= request.page_size <= _PAGE_MAX:
        raise Problem("page_size", f"0 to {_PAGE_MAX}; 0 stands for {_PAGE}.")
    first = 0
    if request.page_token:
        try:
            first, _ = page_token.decode(_question(request), request.page_token)
        except page_token.TokenUnusable:
            text = "Not given out for this question; begin again without a token."
            raise Problem("page_token", text) from None
    return first, first + (request.page_size or _PAGE)


def token_of(request: pb.GetLinkActivityRequest, place: int) -> str:
    """Return the token for what follows the links before ``place``."""
    return page_token.encode(_question(request), (place, ""))


def _question(request: pb.GetLinkActivityRequest) -> bytes:
    return f"links:{request.campaign_id}".encode()
