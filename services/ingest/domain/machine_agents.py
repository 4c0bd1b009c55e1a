"""Programs that open and click mail without a person: flagged by name, never dropped.

Image proxies that fetch when a person looks (Gmail's, Yahoo's) are no such programs: they hide the
person, and do not replace one. Apple's privacy proxy sends a bare "Mozilla/5.0" that other programs
send too, so only the provider, who sees its addresses, can tell it.
"""

import re
from functools import lru_cache

# Version of the rules below; it travels with each flag, so that old counts stay explicable.
VERSION = 1
_RULES = (
    (
        "scanner",
        re.compile(
            r"barracuda|proofpoint|mimecast|trendmicro|symantec|messagelabs|fireeye|zscaler"
            r"|safelinks|forcepoint|sophos|cloudmark|ironport|checkpoint",
            re.IGNORECASE,
        ),
    ),
    (
        "crawler",
        re.compile(
            r"(?<!cu)bot\b|spider|crawl|preview|slurp|facebookexternalhit|headlesschrome|phantomjs",
            re.IGNORECASE,
        ),
    ),
    (
        "program",
        re.compile(
            r"^(?:curl|wget|python|go-http-client|java|okhttp|libwww|ruby|node|axios|apache-http)",
            re.IGNORECASE,
        ),
    ),
)


def machine_rule(user_agent: str) -> str:
    """Return the rule that takes ``user_agent`` for a machine as "name/version"; "" for none."""
    if len(user_agent) <= _KEPT_CHARACTERS_MAX:
        return _kept_rule(user_agent)
    return _rule(user_agent)


def _rule(user_agent: str) -> str:
    for name, pattern in _RULES:
        if pattern.search(user_agent):
            return f"{name}/{VERSION}"
    return ""


# The searches cost as much as the rest of an event, and programs are few beside their openings.
_KEPT_CHARACTERS_MAX = 512
_kept_rule = lru_cache(maxsize=2_048)(_rule)
