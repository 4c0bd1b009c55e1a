"""Which message an id names: one canonical form for records, callbacks and questions alike.

A provider answers a send with one spelling of an id and reports with another, and one id may be
several messages'. What is shown is the id as it was told, without what only wraps it; what messages
are keyed by is its canonical form:

- the account is part of it where ids are unique in one account only (``PER_ACCOUNT``);
- the recipient is part of it for every email, and where the id says so ("id/recipient"): phones
  without "+" and the digit that some have in one form only, mailboxes without case;
- hexadecimal, decimal and padded ids of message centres are compared as numbers, and ids that are
  UUIDs without case. What else an id looks like is its own business.
"""

import re
from functools import lru_cache
from typing import Final, NamedTuple

from libs.runtime.addresses import canonical_address
from libs.runtime.keys import message_key

# Whose ids another account of the same provider may give again.
PER_ACCOUNT: Final = frozenset({"generic"})
# Sides of a message's life: some message centres write an id in one base here and another there.
ANSWERED: Final = "answered"  # the id that the answer to a send bears, and so a record
REPORTED: Final = "reported"
# Account option ``id_format`` -> base in the answer, base in the report; 0: by its look.
ID_FORMATS: Final[dict[str, tuple[int, int]]] = {
    "auto": (0, 0),
    "hex": (16, 16),
    "decimal": (10, 10),
    "hex_decimal": (16, 10),
    "decimal_hex": (10, 16),
    "exact": (-1, -1),
}
_IN_BRACKETS: Final = re.compile(r"<([^<>]*)>\s*$")
_WRAPPED: Final = re.compile(r"<([^<>]+)>")
# With the two letters that some put before it.
_UUID: Final = re.compile(
    r"([A-Za-z]{2})?([0-9a-fA-F]{32}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})"
)
_CANONICAL: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9]{1,31}")
# WhatsApp's ids are base64, which has "/" too: only what can be a participant is one.
_PARTICIPANT: Final = re.compile(r"\+?[0-9]{6,15}|[A-Z]{2}\.(?:ENT\.)?[A-Za-z0-9]{1,128}")
_WHATSAPP_IDS: Final = frozenset({"dialog360", "meta"})
# What SendGrid's servers append to the id that a send is answered with: their own names.
_SENDGRID_ROUTE: Final = re.compile(r"\.(?:filter|recvd|ismtpd|geopod|sendgrid)[^/@]*", re.I)
_SENDGRID_ID: Final = re.compile(r"([A-Za-z0-9_-]{22})\..*", re.DOTALL)
# SendGrid's older ids: a time, and two names behind it that some senders leave out.
_SENDGRID_OLD_ID: Final = re.compile(r"([0-9a-f]{11})\.[a-z0-9]{1,8}\.[0-9a-f]{1,12}(?:\..*)?")
# Mail hosts that a provider appends to its own id to make a Message-ID of it.
_HOSTS: Final = {
    "postmark": re.compile(r"@mtasv\.net", re.I),
    "sendgrid": re.compile(r"@[a-z0-9.-]*(?:ismtpd|geopod|sendgrid)[a-z0-9.-]*", re.I),
    "ses": re.compile(r"@[a-z0-9.-]*amazonses\.com", re.I),
}
# Providers of email: the recipient is a part of the key of each of their messages.
MAILERS: Final = frozenset({"azure", "brevo", "mailgun", "postmark", "resend", "sendgrid", "ses"})
# Who sends mail beside other things: an id of theirs alone does not say whether it is a mail's.
MAY_SEND_MAIL: Final = frozenset({"infobip", "messagebird", "sinch", "vonage"})
# The recipient was always a part of what these show.
_SHOWN_WITH_RECIPIENT: Final = frozenset({"ses"})
_HEX_DIGITS_MAX: Final = 16
_NUMBER: Final = {
    10: re.compile(r"[0-9]{1,40}"),
    16: re.compile(r"(?:0[xX])?([0-9a-fA-F]{1,40})"),
}
# Without what pads it: a number fits into 64 bits, however many digits a centre writes.
_LOOKS_HEX: Final = re.compile(rf"(?:0[xX])?0{{0,24}}([0-9a-fA-F]{{1,{_HEX_DIGITS_MAX}}})")


class Names(NamedTuple):
    """What one message is called."""

    shown: str  # the provider's id, "/recipient" behind it where that was told or belongs to it
    key: bytes  # 16 bytes
    batch_key: bytes  # the same without the recipient; empty where the id is one message's alone


def bare_mailbox(text: str) -> str:
    """Return the mailbox without display name, brackets and blanks; upper case stays.

    Providers take what no standard allows and report it as it was, so anything is taken here.
    """
    found = _IN_BRACKETS.search(text) if "<" in text else None
    return (found.group(1) if found else text).strip()


def names_of(
    tenant_id: str,
    provider: str,
    account: str,
    provider_message_id: str,
    recipient: str = "",
    *,
    id_format: str = "auto",
    side: str = REPORTED,
) -> Names:
    """Return what the message ``provider_message_id`` to ``recipient`` is shown as and keyed by.

    Args:
        tenant_id: owner.
        provider: who gave the id.
        account: account there; only matters where ids are unique in one account only.
        provider_message_id: the id in any spelling, "id/recipient" where it names one of several.
        recipient: mailbox of an email, which is always a part of the key; a phone is not.
        id_format: one of ``ID_FORMATS``, for providers in ``PER_ACCOUNT``.
        side: ``ANSWERED`` or ``REPORTED``: where the id stood.
    """
    shown_id, told = _parts(provider, provider_message_id.strip())
    scope = provider
    canonical = shown_id
    if provider in PER_ACCOUNT:
        scope = f"{provider}/{account}" if account else provider
        canonical = _as_number(shown_id, ID_FORMATS.get(id_format, (0, 0))[side == REPORTED])
    elif provider == "sendgrid" and (found := _SENDGRID_OLD_ID.fullmatch(shown_id)):
        canonical = found.group(1)
    elif provider not in _WHATSAPP_IDS and (found := _UUID.fullmatch(shown_id)):
        canonical = (found.group(1) or "").upper() + found.group(2).lower()
    mailbox = "" if told or "@" not in recipient else bare_mailbox(recipient)
    to = told or mailbox
    if not to:
        key = message_key(tenant_id, scope, canonical)
        return Names(shown_id, key, key if provider in MAILERS else b"")
    is_shown = bool(told) or provider in _SHOWN_WITH_RECIPIENT
    return Names(
        f"{shown_id}/{to}" if is_shown else shown_id,
        message_key(tenant_id, scope, f"{canonical}/{_recipient(to)}"),
        message_key(tenant_id, scope, canonical),
    )


def is_whole_id(message_id: str) -> bool:
    """Say whether an id of WhatsApp's names a message as it stands: with no participant behind it.

    Base64 has slashes, too: what stands behind one is a participant only if it looks like one.
    """
    to = message_id.rpartition("/")[2]
    return _PARTICIPANT.fullmatch(to) is None and message_id == message_id.strip()


def is_canonical(message_id: str) -> bool:
    """Say whether an id of a provider's that has no rules of its own is shown and keyed as it is.

    Of those that are, nearly all that providers give: UUIDs in lower case, and numbers.
    """
    return _CANONICAL.fullmatch(message_id) is not None


def bare_id(provider: str, provider_message_id: str) -> str:
    """Return an id without brackets, mail host and routing suffix; WhatsApp's as they are."""
    if provider in _WHATSAPP_IDS:
        return provider_message_id
    if provider not in MAILERS:
        # Some send mail beside other things, and what sends through them writes brackets.
        wrapped = _WRAPPED.fullmatch(provider_message_id)
        return wrapped.group(1) if wrapped else provider_message_id
    bare = provider_message_id.strip().strip("<>").strip()
    if provider == "sendgrid":
        bare = _SENDGRID_ROUTE.sub("", bare, count=1)
        if found := _SENDGRID_ID.fullmatch(bare):
            bare = found.group(1)
    host = _HOSTS.get(provider)
    if host is not None and "@" in bare:
        local, _, domain = bare.rpartition("@")
        bare = local if host.fullmatch(f"@{domain}") else bare
    return bare or provider_message_id


def _parts(provider: str, told: str) -> tuple[str, str]:
    """Return the id as it is shown, and the recipient that was told with it, if any."""
    if "/" not in told:
        return bare_id(provider, told), ""
    if provider in _WHATSAPP_IDS:
        message_id, _, to = told.rpartition("/")
        return (message_id, to) if _PARTICIPANT.fullmatch(to) else (told, "")
    message_id, _, to = told.partition("/")
    if provider in MAILERS:
        to = bare_mailbox(to)
    if not message_id.strip("<>") or not to:
        return told, ""
    return bare_id(provider, message_id), to


@lru_cache(maxsize=4_096)
def _recipient(told: str) -> str:
    return canonical_address(told)


def _as_number(message_id: str, base: int) -> str:
    """Return an id as a decimal number if it is one in ``base`` (0: by its look), else folded."""
    if base < 0:
        return message_id
    if base:
        number = _NUMBER[base].fullmatch(message_id)
        if number is not None:
            return str(int(message_id, base))
    elif message_id.isdecimal() and message_id.isascii():
        return message_id.lstrip("0") or "0"
    elif found := _LOOKS_HEX.fullmatch(message_id):
        return str(int(found.group(1), 16))
    return message_id.casefold()
