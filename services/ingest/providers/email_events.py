"""What the events of all email providers have in common."""

from collections.abc import Iterable
from hashlib import blake2b
from typing import Any, Final

from bluetick.v1.common_pb2 import (
    EVENT_KIND_CLICKED,
    EVENT_KIND_COMPLAINED,
    EVENT_KIND_READ,
    EVENT_KIND_REPLIED,
    EVENT_KIND_RESUBSCRIBED,
    EVENT_KIND_UNSUBSCRIBED,
    FAILURE_REASON_UNMAPPED,
    FAILURE_STAGE_UNDELIVERED,
)
from bluetick.v1.event_pb2 import Event

from libs.catalogue.failures import lookup
from libs.runtime.accounts import Account
from libs.runtime.keys import ref_key
from services.ingest.domain.fields import (
    IDENTITY_CHARACTERS_MAX,
    WORD_CHARACTERS_MAX,
    Unreadable,
)
from services.ingest.domain.machine_agents import machine_rule
from services.ingest.domain.mailboxes import bare_mailbox
from services.ingest.domain.message_ids import canonical_id
from services.ingest.domain.reading import DETAIL_CHARACTERS_MAX, Reading
from services.ingest.domain.times import SECOND_US, seconds_us
from services.ingest.providers.json_parts import identity
from services.ingest.providers.provider import Authentic, Callback, Refused
from services.ingest.providers.signed_jwt import check_age
from services.ingest.providers.whole_body import STAGE_BY_KIND

# Where the sender's id travels: a custom argument, user variable, metadata field or tag.
REF_NAMES: Final = ("message_ref", "bluetick_ref")
# Option of an account: another name of that field.
REF_NAME_OPTION: Final = "message_ref_field"
# Option of an account ("true"): one send has many recipients, so ids are "id/recipient".
SHARED_ID_OPTION: Final = "id_per_recipient"
# A record's limit: a longer reference cannot be one that a sender recorded.
REF_CHARACTERS_MAX: Final = 256
URL_CHARACTERS_MAX: Final = 2_048

ACTS: Final = frozenset(
    {
        EVENT_KIND_CLICKED, EVENT_KIND_COMPLAINED, EVENT_KIND_REPLIED, EVENT_KIND_RESUBSCRIBED,
        EVENT_KIND_UNSUBSCRIBED,
    }
)  # fmt: skip


class EmailEvents:
    """Adds events of one account's emails to a reading."""

    def __init__(self, reading: Reading, account: Account) -> None:
        """Add to ``reading``."""
        self.reading = reading
        self._tenant_id = account.tenant_id
        self._provider = account.provider
        named = account.options.get(REF_NAME_OPTION, "")
        self._ref_names = (named,) if named else REF_NAMES
        self._is_id_shared = account.options.get(SHARED_ID_OPTION, "") == "true"

    def ref_in(self, fields: Any) -> str:
        """Return the sender's own id of the message if ``fields`` carry it, else "".

        Its value may come as a list of one.
        """
        if not isinstance(fields, dict):
            return ""
        for name in self._ref_names:
            value = fields.get(name)
            if value is None:
                continue
            found = identity({name: value[0] if isinstance(value, list) and value else value}, name)
            if found:
                return found if len(found) <= REF_CHARACTERS_MAX else ""
        return ""

    def add(
        self,
        kind: int,
        time_us: int | None,
        *,
        word: str,
        message_id: str = "",
        recipient: str = "",
        message_ref: str = "",
        is_id_shared: bool = False,
    ) -> Event:
        """Add an event of the email ``message_id`` to ``recipient``.

        Without an id an act still finds its message by ``message_ref``; anything else without an
        id stays an event of no message, with the address beside it.
        """
        mailbox = bare_mailbox(recipient)
        message_id = canonical_id(self._provider, message_id)
        if message_id and mailbox and (is_id_shared or self._is_id_shared):
            message_id = f"{message_id}/{mailbox}"
        if len(message_id) > IDENTITY_CHARACTERS_MAX or len(mailbox) > IDENTITY_CHARACTERS_MAX:
            raise Unreadable("ID_TOO_LONG", f"longer than {IDENTITY_CHARACTERS_MAX} characters")
        if message_id:
            event = self.reading.add_of_message(kind, time_us, message_id)
        else:
            event = self.reading.add(kind, time_us)
            if message_ref and kind in ACTS:
                event.message_key = ref_key(self._tenant_id, message_ref)
        event.provider_word = word.replace("\x00", "")[:WORD_CHARACTERS_MAX]
        event.address = mailbox
        event.message_ref = message_ref
        return event


def set_failure(event: Event, codes: Iterable[str], detail: str) -> None:
    """Note the first of ``codes`` that the catalogue knows, else the first of all.

    Args:
        event: of kind DROPPED, UNDELIVERED or DEFERRED; only the first two have a reason.
        codes: what the provider said, the most telling first; empty ones do not count.
        detail: what the mail server or the provider said in words.
    """
    given = [code for code in codes if code]
    stage = STAGE_BY_KIND.get(event.kind, FAILURE_STAGE_UNDELIVERED)
    known = next((code for code in given if lookup(event.provider, code, stage)), None)
    code = known or (given[0] if given else "")
    event.provider_code = code.replace("\x00", "")[:WORD_CHARACTERS_MAX]
    if event.kind in STAGE_BY_KIND:
        found = lookup(event.provider, code, stage)
        event.reason = found.reason if found else FAILURE_REASON_UNMAPPED  # type: ignore[assignment]
    event.detail = detail.replace("\x00", "")[:DETAIL_CHARACTERS_MAX]


def set_open(event: Event, fact_id: str, agent: str, rule: str = "") -> None:
    """Note how an open was seen; ``rule`` is the provider's own word that a machine did it.

    An open is the fetch of a picture: a lower bound of reading, or no reading at all.
    """
    assert event.kind == EVENT_KIND_READ
    event.detail = "pixel"
    rule = rule or machine_rule(agent)
    if rule:
        event.engagement.fact_id = fact_id
        event.engagement.is_machine = True
        event.engagement.machine_rule = rule


def set_click(event: Event, fact_id: str, url: str, agent: str, rule: str = "") -> None:
    """Note what was clicked, and whether a machine did it."""
    engagement = event.engagement
    engagement.fact_id = fact_id
    engagement.url = url[:URL_CHARACTERS_MAX]
    rule = rule or machine_rule(agent)
    if rule:
        engagement.is_machine = True
        engagement.machine_rule = rule


def fact_id(*parts: object) -> str:
    """Return an id for an act that the provider gives none, the same for each repeat."""
    return blake2b(
        "\x1f".join(map(str, parts)).encode(errors="replace"), digest_size=16
    ).hexdigest()


def check_signed_time(timestamp: str, callback: Callback) -> Authentic | Refused:
    """Refuse what was signed too long ago, if the callback has an age limit."""
    time_us = seconds_us(timestamp)
    return check_age(None if time_us is None else time_us / SECOND_US, callback)
