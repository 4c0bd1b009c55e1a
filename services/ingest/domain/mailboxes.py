"""Mailboxes as providers write them, and what a reply's headers name."""

import re

_IN_BRACKETS = re.compile(r"<([^<>]*)>\s*$")


def bare_mailbox(text: str) -> str:
    """Return the mailbox without display name, brackets and blanks; upper case stays.

    Providers take what no standard allows and report it as it was, so anything is taken here.
    """
    found = _IN_BRACKETS.search(text) if "<" in text else None
    return (found.group(1) if found else text).strip()


def bare_message_id(text: str) -> str:
    """Return the first message id of a header without its brackets ("<a@b> <c@d>" -> "a@b")."""
    words = text.split()
    return words[0].strip("<>") if words else ""
