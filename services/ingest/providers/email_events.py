"""What the events of all email providers have in common."""

from collections.abc import Mapping
from typing import Any, Final

from bluetick.v1.common_pb2 import (
    CHANNEL_EMAIL,
    EVENT_KIND_CLICKED,
    EVENT_KIND_COMPLAINED,
    EVENT_KIND_READ,
    EVENT_KIND_REPLIED,
    EVENT_KIND_RESUBSCRIBED,
    EVENT_KIND_UNSUBSCRIBED,
)
from bluetick.v1.event_pb2 import Event

from libs.runtime.accounts import Account
from libs.runtime.keys import ref_key
from libs.runtime.message_ids import bare_id, bare_mailbox
from services.ingest.domain.act_ids import COMPLAINT, act_id
from services.ingest.domain.fields import (
    IDENTITY_CHARACTERS_MAX,
    WORD_CHARACTERS_MAX,
    Unreadable,
    identity,
)
from services.ingest.domain.machine_agents import machine_rule
from services.ingest.domain.reading import Reading
from services.ingest.domain.times import SECOND_US, seconds_us
from services.ingest.providers import inbound
from services.ingest.providers.provider import Authentic, Callback, Refused
from services.ingest.providers.signed_jwt import check_age

# Where the sender's id travels: a custom argument, user variable, metadata field or tag.
REF_NAMES: Final = ("message_ref", "bluetick_ref")
# Option of an account: another name of that field.
REF_NAME_OPTION: Final = "message_ref_field"
# Option of an account ("true"): ids are shown as "id/recipient". They are keyed so in any case.
SHARED_ID_OPTION: Final = "id_per_recipient"
OPTIONS: Final[Mapping[str, str]] = {
    REF_NAME_OPTION: "field of custom arguments that holds your own id of the message",
    SHARED_ID_OPTION: '"true": show ids as "id/recipient"',
    **inbound.OPTIONS,
}
# A record's limit: a longer reference cannot be one that a sender recorded.
REF_CHARACTERS_MAX: Final = 256
URL_CHARACTERS_MAX: Final = 2_048

ACTS: Final = frozenset(
    {
        EVENT_KIND_CLICKED, EVENT_KIND_COMPLAINED, EVENT_KIND_REPLIED, EVENT_KIND_RESUBSCRIBED,
        EVENT_KIND_UNSUBSCRIBED,
    }
)  # fmt: skip
_CHOICES: Final = {
    EVENT_KIND_UNSUBSCRIBED: "unsubscribe",
    EVENT_KIND_RESUBSCRIBED: "resubscribe",
}


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
    ) -> Event:
        """Add an event of the email ``message_id`` to ``recipient``.

        Without an id an act still finds its message by ``message_ref``; anything else without an
        id stays an event of no message, with the address beside it.
        """
        mailbox = bare_mailbox(recipient)
        message_id = bare_id(self._provider, message_id)
        if message_id and mailbox and self._is_id_shared:
            message_id = f"{message_id}/{mailbox}"
        if len(message_id) > IDENTITY_CHARACTERS_MAX or len(mailbox) > IDENTITY_CHARACTERS_MAX:
            raise Unreadable("ID_TOO_LONG", f"longer than {IDENTITY_CHARACTERS_MAX} characters")
        event = self.reading.add(kind, time_us)
        if message_id:
            self.reading.name_message(event, message_id, mailbox)
        elif message_ref and kind in ACTS:
            event.message_key = ref_key(self._tenant_id, message_ref)
        event.channel = CHANNEL_EMAIL
        event.provider_word = word.replace("\x00", "")[:WORD_CHARACTERS_MAX]
        event.address = mailbox
        event.message_ref = message_ref
        return event


def set_open(event: Event, time_us: int | None, agent: str, rule: str = "") -> None:
    """Note how an open was seen; ``rule`` is the provider's own word that a machine did it.

    An open is the fetch of a picture: a lower bound of reading, or no reading at all.
    """
    assert event.kind == EVENT_KIND_READ
    event.detail = "pixel"
    rule = rule or machine_rule(agent)
    if rule:
        event.engagement.act_id = act_id("open", event.address, time_us, "", agent)
        event.engagement.is_machine = True
        event.engagement.machine_rule = rule


def set_click(event: Event, time_us: int | None, url: str, agent: str, rule: str = "") -> None:
    """Note what was clicked, and whether a machine did it."""
    engagement = event.engagement
    engagement.act_id = act_id("click", event.address, time_us, url, agent)
    engagement.url = url[:URL_CHARACTERS_MAX]
    rule = rule or machine_rule(agent)
    if rule:
        engagement.is_machine = True
        engagement.machine_rule = rule


def set_choice(event: Event, time_us: int | None, about: str = "") -> None:
    """Identify a complaint, of which there is one, or a choice to leave or to come back.

    Args:
        event: of such a kind.
        time_us: as it was told.
        about: the list that was left, where it is one.
    """
    if event.kind == EVENT_KIND_COMPLAINED:
        event.engagement.act_id = COMPLAINT
    else:
        event.engagement.act_id = act_id(_CHOICES[event.kind], event.address, time_us, about)


def check_signed_time(timestamp: str, callback: Callback) -> Authentic | Refused:
    """Refuse what was signed too long ago, if the callback has an age limit."""
    time_us = seconds_us(timestamp)
    return check_age(None if time_us is None else time_us / SECOND_US, callback)
