"""Where a tracked link leads: which addresses are taken, and how one is named and told."""

import re
from hashlib import blake2b
from typing import Final
from urllib.parse import quote, urlsplit

import msgspec
from bluetick.v1 import ingest_service_pb2 as ingest

URL_CHARACTERS_MAX: Final = 2_048
LINK_KEY_BYTES: Final = 8

# Space, control characters and the backslash, which browsers read as a slash: programs disagree on
# what host such an address names.
_UNSAFE: Final = re.compile(r"[\x00-\x20\x7f-\xa0\\\u2028\u2029]")
_HOST: Final = re.compile(r"(?!-)[A-Za-z0-9_.-]{1,253}|\[[0-9A-Fa-f:.]+\]")
# Everything that may stand in an address; what is already escaped stays as it is.
_LEFT_AS_IT_IS: Final = "!#$%&'()*+,-./:;=?@[]_~"


class Destination(msgspec.Struct, frozen=True):
    """A link as its sender registered it."""

    tenant_id: str
    url: str
    link_id: str
    label: str
    card_index: int
    kind: int  # LinkKind: LINK or EXTERNAL_BUTTON

    @property
    def is_external_button(self) -> bool:
        """Whether it is a button that opens an external platform."""
        return self.kind == ingest.LINK_KIND_EXTERNAL_BUTTON


def link_key(destination: Destination, attempt: int = 0) -> bytes:
    """Return the 8 bytes that name ``destination``: the same for the same one, always.

    ``attempt`` gives another name, for when the one before is taken by another destination.
    """
    content = msgspec.json.encode((attempt, msgspec.structs.astuple(destination)))
    return blake2b(content, digest_size=LINK_KEY_BYTES, person=b"bluetick-link").digest()


def problem_of(url: str) -> str:
    """Return why nobody may be sent to ``url``, with the cure; "" if they may.

    A redirect is as trusted as our own address, so only what every browser reads alike is taken.
    """
    if not url:
        return "is empty; send the address that the link leads to."
    if len(url) > URL_CHARACTERS_MAX:
        return f"has {len(url)} characters, the limit is {URL_CHARACTERS_MAX:,}; shorten it."
    if _UNSAFE.search(url):
        return "holds white space, a control character or a backslash; percent-encode it."
    try:
        parts = urlsplit(url)
        host = _ascii_host(parts.hostname or "")
        _ = parts.port
    except ValueError:
        return "is no address; send http:// or https://, a host and a path."
    if parts.scheme not in ("http", "https"):
        return "is not http or https; send an address that a browser opens."
    if "@" in parts.netloc:
        return "holds a user name or password; send it without."
    if not host or not _HOST.fullmatch(host):
        return "names no host; send http:// or https://, a host and a path."
    return ""


def location_of(url: str) -> str:
    """Return ``url``, which has no problem, as HTTP writes it: ASCII, the rest percent-encoded."""
    if url.isascii():
        return url
    parts = urlsplit(url)
    host = _ascii_host(parts.hostname or "")
    netloc = host if parts.port is None else f"{host}:{parts.port}"
    return quote(parts._replace(netloc=netloc).geturl(), safe=_LEFT_AS_IT_IS)


def _ascii_host(host: str) -> str:
    """Return a host name in ASCII; raises ValueError (UnicodeError) if it has no such form."""
    if ":" in host:
        return f"[{host}]"
    return host if host.isascii() else host.encode("idna").decode()
