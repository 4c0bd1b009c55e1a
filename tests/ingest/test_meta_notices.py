from typing import Any

import pytest
from bluetick.v1 import common_pb2 as pb

from services.ingest.providers.meta_notices import NOTICE_FIELDS
from tests.ingest.meta_bodies import (
    AT,
    NOW_US,
    PHONE,
    USER_ID,
    change,
    envelope,
    event,
    events,
    quarantined,
    status,
)


def _preference(value: str, **fields: Any) -> dict[str, Any]:
    item = {"wa_id": PHONE, "category": "marketing_messages", "value": value, "timestamp": AT}
    return envelope(change("user_preferences", user_preferences=[{**item, **fields}]))


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("stop", pb.EVENT_KIND_UNSUBSCRIBED),
        ("resume", pb.EVENT_KIND_RESUBSCRIBED),
        ("signup", pb.EVENT_KIND_RESUBSCRIBED),
    ],
)
def test_a_choice_about_marketing_belongs_to_a_person_and_to_no_message(
    value: str, kind: int
) -> None:
    """Consent has no message; its address is all there is."""
    found = event(_preference(value))

    assert found.kind == kind
    assert found.address == "+" + PHONE
    assert found.message_key == b""
    assert found.occur_time_us == AT * 1_000_000


def test_the_same_choice_told_twice_is_one_act_and_a_later_one_another() -> None:
    """Meta gives these no id, and repeats them."""
    first = event(_preference("stop")).engagement.act_id

    assert event(_preference("stop")).engagement.act_id == first
    assert event(_preference("stop", timestamp=AT + 1)).engagement.act_id != first
    assert event(_preference("resume")).engagement.act_id != first
    assert event(_preference("stop", wa_id="14155550102")).engagement.act_id != first


def test_a_choice_of_a_person_without_a_number_has_their_user_id() -> None:
    """As everywhere since 2026."""
    assert event(_preference("stop", wa_id=None, user_id=USER_ID)).address == USER_ID


def test_a_choice_nobody_has_seen_is_kept_and_a_choice_without_time_quarantined() -> None:
    """Neither opts anybody in or out."""
    assert event(_preference("perhaps")).kind == pb.EVENT_KIND_UNKNOWN
    ((reason, _),) = quarantined(_preference("stop", timestamp=None))
    assert reason == "PREFERENCE_WITHOUT_TIMESTAMP"


def _action(word: str, **data: Any) -> dict[str, Any]:
    action = {
        "action_type": word,
        "timestamp": str(AT),
        "marketing_messages_link_click_data": {"click_id": "click-1", **data},
    }
    return envelope(change(user_actions=[action]))


def test_a_click_without_a_message_is_a_click() -> None:
    """Meta tells neither message nor person; the account's total is all it can count in."""
    found = event(_action("marketing_messages_link_click", click_component="cta"))

    assert found.kind == pb.EVENT_KIND_CLICKED
    assert found.message_key == b""
    assert found.engagement.act_id
    assert "click_component=cta" in found.detail


@pytest.mark.parametrize(
    ("word", "kind"),
    [("landing_page_view", pb.EVENT_KIND_INFO), ("levitated", pb.EVENT_KIND_UNKNOWN)],
)
def test_other_actions_are_no_clicks(word: str, kind: int) -> None:
    """A page view may come with its click, before it, or alone."""
    assert event(_action(word)).kind == kind


def test_an_error_of_the_account_is_a_notice_with_its_code() -> None:
    """It names no message, so no message failed."""
    errors = [{"code": 130429, "title": "t", "error_data": {"details": "too fast"}}]

    found = event(envelope(change(errors=errors)))

    assert found.kind == pb.EVENT_KIND_INFO
    assert (found.provider_code, found.detail) == ("130429", "too fast")
    assert found.message_key == b""


@pytest.mark.parametrize("field", sorted(NOTICE_FIELDS))
def test_what_is_said_about_account_and_templates_is_a_notice(field: str) -> None:
    """Templates, quality, echoes: kept, and no message moves."""
    value = {"event": "PAUSED", "message_template_id": 16, "reason": None, "other_info": {"a": 1}}
    body = envelope({"field": field, "value": value}, time=AT)

    found = event(body)

    assert found.kind == pb.EVENT_KIND_INFO
    assert found.provider_word == field
    assert found.detail == "event=PAUSED message_template_id=16 other_info.a=1"
    assert found.occur_time_us == AT * 1_000_000


def test_statuses_of_calls_are_no_statuses_of_messages() -> None:
    """A call that was "delivered" must not deliver a message."""
    found = event(envelope({"field": "calls", "value": {"statuses": [status("delivered")]}}))

    assert found.kind == pb.EVENT_KIND_INFO
    assert found.message_key == b""


def test_fields_and_lists_nobody_has_seen_are_kept_as_they_came() -> None:
    """Meta adds them without asking."""
    body = envelope(
        {"field": "messages_v99", "value": {"statuses": [status()]}},
        change(statuses=[status()], surprises=[1, 2]),
    )

    field, delivered, surprise = events(body)

    assert (field.kind, field.provider_word) == (pb.EVENT_KIND_UNKNOWN, "messages_v99")
    assert b'"statuses"' in field.raw
    assert delivered.kind == pb.EVENT_KIND_DELIVERED
    assert (surprise.kind, surprise.provider_word) == (pb.EVENT_KIND_UNKNOWN, "surprises")
    assert surprise.raw == b"[1, 2]"


def test_another_product_on_the_same_address_is_kept_as_it_came() -> None:
    """Messenger and Instagram may be subscribed with the same URL."""
    found = event({"object": "page", "entry": [{"id": "1", "messaging": [{"sender": {}}]}]})

    assert (found.kind, found.provider_word) == (pb.EVENT_KIND_UNKNOWN, "page")
    assert found.occur_time_us == NOW_US
    assert b"messaging" in found.raw
