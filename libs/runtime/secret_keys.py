"""Keys of the operator's, as a setting writes them: ``id:secret,id:secret``."""

import re
from typing import Final, NamedTuple

SECRET_CHARACTERS_MIN: Final = 16
# Of keys that seal what is stored.
SEALING_CHARACTERS_MIN: Final = 32
_KEY_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,15}")


class SecretKey(NamedTuple):
    """One key."""

    key_id: str
    secret: bytes


def parse_keys(text: str, characters_min: int = SECRET_CHARACTERS_MIN) -> list[SecretKey]:
    """Return the keys of ``id:secret,id:secret``: the first makes, all are trusted.

    Args:
        text: as above; spaces around a key are no part of it.
        characters_min: of each secret.

    Raises:
        ValueError: says what is wrong, never a secret.
    """
    keys: list[SecretKey] = []
    for number, part in enumerate(filter(None, (one.strip() for one in text.split(","))), 1):
        key_id, colon, secret = part.partition(":")
        if not colon or not _KEY_ID.fullmatch(key_id):
            raise ValueError(
                f'key {number}: write "id:secret", the id 1 to 15 letters, digits, "_" or "-".'
            )
        if len(secret) < characters_min:
            raise ValueError(
                f"key {key_id}: the secret has less than {characters_min} characters; lengthen it."
            )
        if any(key_id == known.key_id for known in keys):
            raise ValueError(f"key {key_id}: named twice; give each key an id of its own.")
        keys.append(SecretKey(key_id, secret.encode()))
    return keys
