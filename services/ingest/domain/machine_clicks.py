"""Clicks that no person made: flagged with the rule's name and version, never dropped.

Messengers and mail filters fetch links before, or without, any person. What a program says of
itself is all that is looked at here, so a scanner that poses as a browser counts as a person.
"""

from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import version
from typing import Final

from crawleruseragents import is_crawler

from services.ingest.domain.machine_agents import machine_rule

# Version of the rules below; that of the list of crawlers is its own.
VERSION: Final = 1
_LIST_RULE: Final = f"crawler-user-agents/{version('crawler-user-agents')}"
# How browsers say that they load a page which nobody has asked for yet.
_PREFETCH_HEADERS: Final = ("purpose", "sec-purpose", "x-purpose", "x-moz")
_PREFETCH_WORDS: Final = ("prefetch", "preview", "prerender")
# Longer ones are cut: 1,500 patterns are tried on each.
_AGENT_CHARACTERS_MAX: Final = 512


def click_rule(headers: Mapping[str, str]) -> str:
    """Return the rule that takes a click for a machine's as "name/version"; "" for a person's.

    Args:
        headers: of the request, names in lower case.
    """
    for name in _PREFETCH_HEADERS:
        if any(word in headers.get(name, "").lower() for word in _PREFETCH_WORDS):
            return f"prefetch/{VERSION}"
    agent = headers.get("user-agent", "").strip()
    if not agent:
        return f"no-user-agent/{VERSION}"
    return _agent_rule(agent[:_AGENT_CHARACTERS_MAX])


# Few programs make most clicks; looking one up in the list takes a fifth of a millisecond.
@lru_cache(maxsize=4_096)
def _agent_rule(agent: str) -> str:
    return machine_rule(agent) or (_LIST_RULE if is_crawler(agent) else "")
