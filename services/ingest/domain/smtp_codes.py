"""SMTP status codes inside what a mail server said."""

import re
from typing import NamedTuple

# RFC 3463: class 4 or 5 only; "250 2.0.0 OK" is no failure.
_ENHANCED = re.compile(r"(?<![0-9.])([45])\.([0-9]{1,3})\.([0-9]{1,3})(?![0-9]|\.[0-9])")
_BASIC = re.compile(r"(?<![0-9.])([45][0-9]{2})(?![0-9.]|-[0-9])")


class SmtpCodes(NamedTuple):
    """Codes in the order in which they are worth asking about."""

    exact: list[str]  # "5.1.1" and its class "5.1.x"
    vague: list[str]  # "550", "5.0.0": that it failed, hardly why


def smtp_codes(*texts: str) -> SmtpCodes:
    """Return the codes in ``texts``, in the order of the texts."""
    exact: list[str] = []
    basic: list[str] = []
    undefined: list[str] = []
    for text in texts:
        for code in _ENHANCED.finditer(text):
            level, subject, _ = code.groups()
            if subject == "0":
                undefined.append(code.group())
            else:
                exact += [code.group(), f"{level}.{subject}.x"]
        basic += _BASIC.findall(text)[:1]
    return SmtpCodes(exact, basic + undefined)


def is_unknown_address(code: str) -> bool:
    """Say whether an enhanced code says that there is no such mailbox or domain, for good.

    RFC 3463: 5.1.x is about addresses, 7 and 8 of them about the sender's; 5.4.4 is a domain that
    cannot be found.
    """
    return code == "5.4.4" or (code.startswith("5.1.") and code not in ("5.1.7", "5.1.8", "5.1.x"))


def is_permanent(code: str) -> bool:
    """Say whether an enhanced code says that trying again will not help."""
    return code.startswith("5.")
