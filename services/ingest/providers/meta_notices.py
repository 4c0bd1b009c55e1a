"""Everything that Meta tells beside statuses and messages: consent, clicks, templates, account."""

from typing import Any, Final

from bluetick.v1.common_pb2 import (
    CHANNEL_WHATSAPP,
    EVENT_KIND_CLICKED,
    EVENT_KIND_INFO,
    EVENT_KIND_RESUBSCRIBED,
    EVENT_KIND_UNKNOWN,
    EVENT_KIND_UNSUBSCRIBED,
)

from services.ingest.domain.act_ids import act_id
from services.ingest.domain.addresses import from_digits
from services.ingest.domain.fields import WORD_CHARACTERS_MAX, object_at, text
from services.ingest.domain.reading import DETAIL_CHARACTERS_MAX, Reading
from services.ingest.domain.times import seconds_us
from services.ingest.providers.inbound import name_person
from services.ingest.providers.meta_payload import (
    NOTHING_AROUND,
    Around,
    decode_error,
    tolerant_error,
)

# Fields of `changes` that say something about the account, a template, or messages that were not
# sent through the API. Understood; no message of ours moves.
NOTICE_FIELDS: Final = frozenset(
    {
        "account_alerts", "account_review_update", "account_settings_update", "account_update",
        "automatic_events", "business_capability_update", "business_status_update", "calls",
        "flows", "group_lifecycle_update", "group_participants_update", "group_settings_update",
        "group_status_update", "history", "message_echoes",
        "message_template_components_update", "message_template_quality_update",
        "message_template_status_update", "messaging_handovers", "partner_solutions",
        "payment_configuration_update", "phone_number_name_update",
        "phone_number_quality_update", "security", "smb_app_state_sync", "smb_message_echoes",
        "standby", "template_category_update", "template_correct_category_detection",
        "tracking_events", "user_id_update",
    }
)  # fmt: skip

KIND_BY_PREFERENCE: Final = {
    "stop": EVENT_KIND_UNSUBSCRIBED,
    "resume": EVENT_KIND_RESUBSCRIBED,
    "signup": EVENT_KIND_RESUBSCRIBED,
}
# Clicks come without a message and without a person: they count for the account only.
KIND_BY_ACTION: Final = {
    "marketing_messages_link_click": EVENT_KIND_CLICKED,
    "landing_page_view": EVENT_KIND_INFO,
}

PREFERENCE_WITHOUT_TIMESTAMP: Final = "PREFERENCE_WITHOUT_TIMESTAMP"
ACTION_WITHOUT_TIMESTAMP: Final = "ACTION_WITHOUT_TIMESTAMP"

DETAIL_BY_PROBLEM: Final = {
    PREFERENCE_WITHOUT_TIMESTAMP: "timestamp: missing, or no number of seconds",
    ACTION_WITHOUT_TIMESTAMP: "timestamp: missing, or no number of seconds",
}


def add_preference(
    reading: Reading, preference: dict[str, Any], raw: bytes, around: Around = NOTHING_AROUND
) -> str:
    """Add an opt-out or opt-in of marketing messages; return the reason if unreadable, else ""."""
    time_us = seconds_us(preference.get("timestamp"))
    if time_us is None:
        return PREFERENCE_WITHOUT_TIMESTAMP
    word = text(preference, "value")
    kind = KIND_BY_PREFERENCE.get(word)
    person = text(preference, "wa_id") or text(preference, "user_id")
    event = reading.add(EVENT_KIND_UNKNOWN if kind is None else kind, time_us)
    event.provider_word = word[:WORD_CHARACTERS_MAX]
    names = around.others(text(preference, "wa_id"), text(preference, "user_id"))
    name_person(event, from_digits(person[: WORD_CHARACTERS_MAX * 2]), *names)
    event.channel = CHANNEL_WHATSAPP
    event.own_address = around.own_address
    event.detail = text(preference, "category")[:WORD_CHARACTERS_MAX]
    if kind is None:
        event.raw = raw
    else:
        # Meta gives these no id; the same choice told twice must count once.
        event.engagement.act_id = act_id("preference", person, time_us, word)
    return ""


def add_action(reading: Reading, action: dict[str, Any], raw: bytes) -> str:
    """Add a click or a page view; return the reason if it cannot be read, else ""."""
    time_us = seconds_us(action.get("timestamp"))
    if time_us is None:
        return ACTION_WITHOUT_TIMESTAMP
    word = text(action, "action_type")
    kind = KIND_BY_ACTION.get(word)
    event = reading.add(EVENT_KIND_UNKNOWN if kind is None else kind, time_us)
    event.provider_word = word[:WORD_CHARACTERS_MAX]
    data = object_at(action, "marketing_messages_link_click_data")
    event.detail = _summary(
        {name: data.get(name) for name in ("click_component", "product_id", "tracking_token")}
    )
    if kind is None:
        event.raw = raw
    elif kind == EVENT_KIND_CLICKED:
        click_id = text(data, "click_id")
        event.engagement.act_id = act_id(word, "", time_us, click_id)
        event.engagement.link_id = text(data, "product_id")[:WORD_CHARACTERS_MAX]
    return ""


def add_account_error(reading: Reading, raw: bytes, fields: Any) -> None:
    """Add an error that concerns no message ("rate limit hit" for the number)."""
    try:
        error = decode_error(raw)
    except ValueError:
        error = tolerant_error(fields)
    event = reading.add(EVENT_KIND_INFO, None)
    event.provider_word = "errors"
    event.provider_code = error.code_text()
    event.detail = error.detail_text()


def add_notice(reading: Reading, field: str, value: Any, entry_time: object) -> None:
    """Add what a field of the account or of templates says, in one line of ``name=value``."""
    event = reading.add(EVENT_KIND_INFO, seconds_us(entry_time))
    event.provider_word = field
    event.detail = _summary(value)


def add_unknown(reading: Reading, word: str, raw: bytes, entry_time: object) -> None:
    """Add something that Bluetick has no word for, as it came."""
    event = reading.add(EVENT_KIND_UNKNOWN, seconds_us(entry_time))
    event.provider_word = word[:WORD_CHARACTERS_MAX]
    event.raw = raw


def _summary(value: Any, path: str = "") -> str:
    """Return the plain values inside objects as "name=value"; lists only by their length.

    Lists hold what people wrote and whom they are; a notice does not need it.
    """
    if isinstance(value, dict):
        parts = (
            _summary(inner, f"{path}.{name}" if path else name) for name, inner in value.items()
        )
        return " ".join(part for part in parts if part)[:DETAIL_CHARACTERS_MAX]
    if isinstance(value, list):
        return f"{path}[{len(value)}]"
    return "" if value is None else f"{path}={value}"[:DETAIL_CHARACTERS_MAX]
