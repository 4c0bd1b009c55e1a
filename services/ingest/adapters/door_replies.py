"""What the door says, and the two forms it goes out in: through ASGI, or as bytes at once."""

from typing import Any

import msgspec
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from services.ingest.providers.provider import Answer

Header = tuple[bytes, bytes]

CLOSE: Header = (b"connection", b"close")
# What we echo (a challenge) must never be read as a page.
_NO_SNIFFING: Header = (b"x-content-type-options", b"nosniff")


class Reply(msgspec.Struct, frozen=True, gc=False):
    """A whole answer: status, body, and every header that is sent."""

    http_status: int
    body: bytes
    headers: tuple[Header, ...]

    def messages(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return it as the two messages of ASGI."""
        return (
            {
                "type": "http.response.start",
                "status": self.http_status,
                "headers": list(self.headers),
            },
            {"type": "http.response.body", "body": self.body},
        )

    def wire(self, *, is_last: bool) -> bytes:
        """Return it as uvicorn would write it; ``is_last`` says that the connection closes."""
        lines = [STATUS_LINE[self.http_status]]
        for name, value in self.headers:
            lines += (name, b": ", value, b"\r\n")
        if is_last and CLOSE not in self.headers:
            lines.append(b"connection: close\r\n")
        return b"".join((*lines, b"\r\n", self.body))


def reply(http_status: int, body: bytes = b"", *headers: Header) -> Reply:
    """Return a reply with what every one of the door's has."""
    length = (b"content-length", str(len(body)).encode())
    return Reply(http_status, body, (length, _NO_SNIFFING, *headers))


def reply_of(answer: Answer, *headers: Header) -> Reply:
    """Return what a provider is to hear."""
    content_type = (b"content-type", answer.content_type.encode())
    return reply(answer.http_status, answer.body, content_type, *answer.headers, *headers)
