"""A signed request as a provider would post it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Callback:
    """One request to the account's door; `body` is signed byte for byte."""

    headers: tuple[tuple[str, str], ...]
    body: bytes
    update_count: int
    method: str = "POST"
    query: str = ""  # without "?", escaped
