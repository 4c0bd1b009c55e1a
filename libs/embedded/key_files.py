"""API keys of a local machine: the services get hashes, the owner of the folder the keys."""

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
        {"sha256": hash_of(key), "tenant": TENANT, "role": name.upper()}
        for name, key in keys.items()
    ]
    write_secret(hashes, json.dumps({"keys": entries}, indent=2))
    return {role.name.lower(): keys[role.name.lower()] for role in reversed(Role)}
