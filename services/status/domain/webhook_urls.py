"""The address of an endpoint, as its owner writes it."""

from typing import Final
from urllib.parse import urlsplit

import msgspec

URL_CHARACTERS_MAX: Final = 2_048
PORTS: Final = frozenset((443, 8443))


class Target(msgspec.Struct, frozen=True):
    """Where to connect, and what to ask for there."""

    host: str  # a name or a literal address, without brackets
    port: int
    is_tls: bool
    authority: str  # for the header Host
    path: str  # with the query


class UrlProblem(ValueError):
    """It cannot be used; says why and what to do."""


def target_of(url: str, *, is_closed: bool) -> Target:
    """Return where it leads.

    Args:
        url: the address.
        is_closed: in a closed network http and any port may be used.

    Raises:
        UrlProblem: it cannot be used.
    """
    if len(url) > URL_CHARACTERS_MAX:
        raise UrlProblem(f"More than {URL_CHARACTERS_MAX:,} characters; shorten it.")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise UrlProblem("Only visible ASCII; write names in punycode, escape the rest with %.")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise UrlProblem("It is no URL; write https://host/path.") from None
    if parts.scheme != "https" and not (is_closed and parts.scheme == "http"):
        raise UrlProblem("Begin it with https://.")
    if not host or parts.username is not None or parts.password is not None:
        raise UrlProblem("It needs a host, and no user or password; signatures prove who calls.")
    if parts.fragment:
        raise UrlProblem("A fragment (#) is never sent; leave it out.")
    if port == 0:
        raise UrlProblem("Nobody listens on port 0.")
    is_tls = parts.scheme == "https"
    port = port or (443 if is_tls else 80)
    if port not in PORTS and not is_closed:
        raise UrlProblem(f"Port {port} is closed to webhooks; use one of 443 and 8443.")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(host, port, is_tls, parts.netloc, path)
