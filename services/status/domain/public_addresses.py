"""Which network addresses a request of a stranger's choice may go to.

https://www.iana.org/assignments/iana-ipv4-special-registry and its sibling for IPv6, as the
standard library keeps them.
"""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final

# What is routed at all; the rest is reserved, local or multicast.
_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
# An IPv4 address is behind these: RFC 6052, 8215 and 4291.
_CARRIERS: Final = tuple(map(IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48", "::/96")))


def is_public(address: str) -> bool:
    """Return whether everybody on the Internet may reach it, also through an embedded address."""
    found = _plain(address)
    if isinstance(found, IPv4Address):
        return found.is_global and not found.is_multicast
    return found in _GLOBAL_UNICAST and found.is_global


def is_reachable(address: str) -> bool:
    """Return whether a closed network may have a server there: never link-local or multicast.

    Clouds answer with credentials at link-local addresses.
    """
    found = _plain(address)
    return not (found.is_link_local or found.is_multicast or found.is_unspecified)


def _plain(address: str) -> IPv4Address | IPv6Address:
    """Return the address; the one inside, where it carries one of IPv4."""
    found = ip_address(address.partition("%")[0])
    if isinstance(found, IPv4Address):
        return found
    if found.ipv4_mapped is not None:
        return found.ipv4_mapped
    if found.sixtofour is not None:
        return found.sixtofour
    # ::1 and :: are of IPv6, and none of the others.
    if int(found) > 1 and any(found in carrier for carrier in _CARRIERS):
        return IPv4Address(int(found) & 0xFFFFFFFF)
    return found
