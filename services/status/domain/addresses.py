"""The key by which acts that name no message are brought together with what was sent."""

from hashlib import blake2b
from typing import Final

from libs.runtime.addresses import canonical_address

ADDRESS_KEY_BYTES: Final = 16


def address_key(tenant_id: str, address: str) -> bytes:
    """Return the 16-byte key of an address; empty if there is none.

    Ways of writing that mean one address give one key; the same address under two tenants gives
    two.
    """
    plain = canonical_address(address)
    if not plain:
        return b""
    text = f"{tenant_id}\x00address\x00{plain}"
    return blake2b(text.encode(), digest_size=ADDRESS_KEY_BYTES).digest()
