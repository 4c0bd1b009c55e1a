"""Keys of a local machine: API keys, of which services get hashes, and keys that sign or seal."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

from libs.embedded.data_folder import read_json, write_secret
from libs.embedded.demo_accounts import TENANT
from libs.runtime.api_keys import Role, hash_of


def ensure_api_keys(hashes: Path, clear: Path) -> dict[str, str]:
    """Return the keys by role in lower case; random, and the same again while ``clear`` is there.

    ``hashes`` is written for the services (SHA-256 only), ``clear`` for people; both mode 600.
    """
    keys: dict[str, str] = read_json(clear)
    for role in Role:
        name = role.name.lower()
        keys.setdefault(name, f"bluetick_{name}_{secrets.token_urlsafe(24)}")
    write_secret(clear, json.dumps(keys, indent=2))
    entries = [
        {
            "sha256": hash_of(key),
            "tenant": "" if name.upper() == Role.OPERATOR.name else TENANT,
            "role": name.upper(),
        }
        for name, key in keys.items()
    ]
    write_secret(hashes, json.dumps({"keys": entries}, indent=2))
    return {role.name.lower(): keys[role.name.lower()] for role in reversed(Role)}


def ensure_keys(path: Path) -> str:
    """Return keys as "id:secret": what is in ``path``, else a random one, written there.

    A link in a message must still work after any number of restarts, and a sealed secret open.
    """
    if not path.exists():
        write_secret(path, f"1:{secrets.token_urlsafe(32)}\n")
    return path.read_text().strip()
