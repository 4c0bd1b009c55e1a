"""Identities computed from what is at hand, so that the hot path never has to look one up."""

from hashlib import blake2b

KEY_BYTES = 16
# A separator that no part can contain (NUL is refused at the doors), so that ("a", "bc") and
# ("ab", "c") never meet.
_SEPARATOR = "\x00"


def message_key(tenant_id: str, provider: str, provider_message_id: str) -> bytes:
    """Return the 16-byte key of a message that a provider accepted.

    The id must be in its canonical form: see ``message_ids``.
    """
    text = f"{tenant_id}\x00{provider}\x00{provider_message_id}"
    return blake2b(text.encode(), digest_size=KEY_BYTES).digest()


def begun_message_key(tenant_id: str, provider: str) -> blake2b:
    """Return what the keys of all messages of one tenant at one provider begin with.

    A copy of it, updated with an id in its canonical form (UTF-8), digests to the ``message_key``
    of that id, at less than half the cost.
    """
    return blake2b(f"{tenant_id}\x00{provider}\x00".encode(), digest_size=KEY_BYTES)


def ref_key(tenant_id: str, message_ref: str) -> bytes:
    """Return the 16-byte key of a message that was never handed over.

    It cannot meet a ``message_key``: no provider is called "ref".
    """
    return message_key(tenant_id, "ref", message_ref)


def person_key(tenant_id: str, person: str) -> bytes:
    """Return 16 bytes that stand for a person (contact id or address) in counts of people.

    Hashed per tenant: the same number under two tenants gives two keys. It is a pseudonym, not
    anonymous: phone numbers are few enough to be tried one by one.
    """
    return blake2b(
        person.encode(), digest_size=KEY_BYTES, person=b"bluetick-person", key=tenant_id.encode()
    ).digest()


def content_key(*parts: bytes) -> bytes:
    """Return 16 bytes that identify some content, so that the same content is kept once."""
    return blake2b(_SEPARATOR.encode().join(parts), digest_size=KEY_BYTES).digest()
