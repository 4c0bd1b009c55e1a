from typing import Any

import pytest
from bluetick.v1 import common_pb2 as pb

from services.ingest.providers import meta_statuses
from services.ingest.providers.gupshup import Gupshup
from services.ingest.providers.gupshup_v2 import INBOUND_TYPES
from services.ingest.providers.provider import Refused
from tests.ingest.meta_bodies import change, envelope, inbound, status
from tests.ingest.provider_readings import AT, AT_US, NOW_US, Reader, is_refused, without

OPEN = Reader(Gupshup())
LOCKED = Reader(Gupshup(), secrets={"basic_user": ["hook"], "basic_pass": ["old", "new"]})
GUPSHUP_ID = "5f0c1b1e-0000-4000-8000-000000000001"
WAMID = "wamid.GUP1"
PHONE = "491700000001"


def v2(kind: str, payload: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A body of Gupshup's own format."""
    outer = {"app": "Demo", "timestamp": AT * 1000 + 5, "version": 2, "type": kind}
    return {**outer, "payload": payload, **fields}


def message_event(word: str, inner: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """A status; a field that is None is left out."""
    payload = {"id": WAMID, "gsId": GUPSHUP_ID, "type": word, "destination": PHONE, "ts": AT}
    payload |= {"payload": inner or {}, **fields}
    return v2(
        "message-event", {name: value for name, value in payload.items() if value is not None}
    )


def v3(**value: Any) -> dict[str, Any]:
    """A body of Meta's, passed on."""
    return {**envelope(change(**value)), "gs_app_id": "app-1"}


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("enqueued", pb.EVENT_KIND_QUEUED),
        ("sent", pb.EVENT_KIND_SENT),
        ("delivered", pb.EVENT_KIND_DELIVERED),
        ("read", pb.EVENT_KIND_READ),
        ("failed", pb.EVENT_KIND_UNDELIVERED),
        ("deleted", pb.EVENT_KIND_INFO),
        ("mismatch", pb.EVENT_KIND_INFO),
        ("tomorrow", pb.EVENT_KIND_UNKNOWN),
    ],
)
def test_each_word_of_v2_has_its_meaning(word: str, kind: int) -> None:
    """An unknown one is kept with the body that it came in."""
    event = OPEN.event(message_event(word))

    assert (event.kind, event.provider_word, event.occur_time_us) == (kind, word, AT_US)
    assert (event.provider_message_id, event.address) == (GUPSHUP_ID, f"+{PHONE}")
    assert bool(event.raw) == (kind == pb.EVENT_KIND_UNKNOWN)


@pytest.mark.parametrize(
    "fields",
    [
        {"word": "enqueued", "id": GUPSHUP_ID, "gsId": None},
        {"word": "failed", "id": GUPSHUP_ID, "gsId": None},
        {"word": "failed", "id": None},
        {"word": "failed"},
        {"word": "sent"},
        {"word": "deleted"},
    ],
)
def test_the_key_is_gupshups_id_wherever_it_stands(fields: dict[str, Any]) -> None:
    """`id` is Gupshup's in some events and Meta's in others; the lives of one message must meet."""
    event = OPEN.event(message_event(**fields))

    assert event.provider_message_id == GUPSHUP_ID


def test_what_gupshup_refused_itself_was_dropped_and_what_meta_refused_was_not() -> None:
    """Only a message that was handed over has both ids."""
    error = {"code": 1002, "reason": "Number does not exist on WhatsApp"}

    at_once = OPEN.event(message_event("failed", error, id=GUPSHUP_ID, gsId=None, ts=None))
    later = OPEN.event(message_event("failed", error, id=None, ts=None))

    assert at_once.kind == pb.EVENT_KIND_DROPPED
    assert later.kind == pb.EVENT_KIND_UNDELIVERED
    for event in (at_once, later):
        assert event.reason == pb.FAILURE_REASON_RECIPIENT_RELATED_ERRORS
        assert (event.provider_code, event.detail) == ("1002", "Number does not exist on WhatsApp")


@pytest.mark.parametrize("code", [131050, "1012"])
def test_a_failure_for_an_opt_out_is_an_opt_out_too(code: int | str) -> None:
    """The person had left before; the next campaign must know."""
    failed, opt_out = OPEN.events(message_event("failed", {"code": code}))

    assert failed.kind == pb.EVENT_KIND_UNDELIVERED
    assert opt_out.kind == pb.EVENT_KIND_UNSUBSCRIBED
    assert opt_out.engagement.by_failure
    assert opt_out.provider_message_id == GUPSHUP_ID


@pytest.mark.parametrize(
    ("body", "time_us"),
    [
        (message_event("read"), AT_US),
        (message_event("read", ts=str(AT)), AT_US),
        (message_event("read", {"ts": AT}, ts=None), AT_US),
        (message_event("read", {"ts": str(AT)}, ts=None), AT_US),
        (message_event("read", ts=AT * 1000), AT_US),
        (message_event("read", ts=None), AT_US + 5_000),
    ],
)
def test_a_status_tells_its_own_time_in_seconds_or_else_the_callbacks_in_milliseconds(
    body: dict[str, Any], time_us: int
) -> None:
    """Beside the status or inside it, as a number or as text: all were seen."""
    event = OPEN.event(body)

    assert (event.occur_time_us, event.is_time_clamped) == (time_us, False)


def test_a_mismatch_without_any_id_is_a_notice() -> None:
    """It is about a number, not about a message."""
    event = OPEN.event(message_event("mismatch", id=None, gsId=None))

    assert (event.kind, event.message_key) == (pb.EVENT_KIND_INFO, b"")


def test_prices_come_with_statuses_and_on_their_own() -> None:
    """A billing event moves no message."""
    sent = OPEN.event(message_event("sent", {"pricing": {"policy": "PMP", "category": "utility"}}))
    deductions = {"type": "regular", "model": "PMP", "billable": False, "category": "utility"}
    references = {"id": WAMID, "gsId": GUPSHUP_ID, "destination": PHONE}
    billed = OPEN.event(v2("billing-event", {"deductions": deductions, "references": references}))

    assert (sent.pricing.model, sent.pricing.category) == ("PMP", "utility")
    assert (billed.kind, billed.provider_message_id) == (pb.EVENT_KIND_INFO, GUPSHUP_ID)
    assert (billed.pricing.type, billed.pricing.billable) == ("regular", False)
    assert billed.pricing.HasField("billable")


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("opted-in", pb.EVENT_KIND_RESUBSCRIBED),
        ("opted-out", pb.EVENT_KIND_UNSUBSCRIBED),
        ("sandbox-start", pb.EVENT_KIND_INFO),
        ("tomorrow", pb.EVENT_KIND_UNKNOWN),
    ],
)
def test_choices_of_a_person_count_once_however_often_they_are_told(word: str, kind: int) -> None:
    """They have no id of their own."""
    body = v2("user-event", {"phone": PHONE, "type": word})

    first, again = OPEN.event(body), OPEN.event(body)

    assert (first.kind, first.address) == (kind, f"+{PHONE}")
    assert first.engagement.act_id == again.engagement.act_id
    is_choice = kind in (pb.EVENT_KIND_RESUBSCRIBED, pb.EVENT_KIND_UNSUBSCRIBED)
    assert bool(first.engagement.act_id) == is_choice


def reply(word: str, inner: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """An inbound message."""
    payload = {"id": "IN1", "source": PHONE, "type": word, "payload": inner, **fields}
    return v2("message", payload)


@pytest.mark.parametrize(("word", "is_tap"), INBOUND_TYPES.items())
def test_an_inbound_message_answers_the_one_in_its_context(word: str, is_tap: bool) -> None:
    """By Gupshup's id, which is the key of the message."""
    event = OPEN.event(reply(word, {}, context={"id": WAMID, "gsId": GUPSHUP_ID}))

    assert (event.kind, event.provider_message_id) == (pb.EVENT_KIND_REPLIED, GUPSHUP_ID)
    # A reaction is known by whose it is to what: changed, it is still the same.
    assert (event.engagement.act_id == "IN1") == (word != "reaction")
    assert event.engagement.inbound_type == word
    assert event.engagement.is_tap == is_tap
    assert (event.address, event.occur_time_us) == (f"+{PHONE}", AT_US + 5_000)


def test_a_reply_without_a_context_is_left_to_its_address() -> None:
    """Which message it answers is found out later, by the last one to that address."""
    event = OPEN.event(without(reply("text", {"text": "hello"}), "version"))

    assert (event.message_key, event.address) == (b"", f"+{PHONE}")


def test_a_tap_names_its_button() -> None:
    """List choices carry the payload in another place than buttons."""
    button = OPEN.event(reply("button_reply", {"id": "YES", "title": "Yes", "reply": "Yes 1"}))
    choice = OPEN.event(reply("list_reply", {"postbackText": "NO", "title": "No"}))
    quick = OPEN.event(reply("text", {"text": "Tell me more", "type": "button"}))

    assert (button.engagement.button_id, button.engagement.button_title) == ("YES", "Yes")
    assert (choice.engagement.button_id, choice.engagement.button_title) == ("NO", "No")
    assert (quick.engagement.is_tap, quick.engagement.button_title) == (True, "Tell me more")


def test_a_text_of_stop_is_an_opt_out_beside_the_reply() -> None:
    """And a sentence with the word in it is not, unless it begins a short one."""
    answered, left = OPEN.events(reply("text", {"text": " Stop "}))

    assert answered.kind == pb.EVENT_KIND_REPLIED
    assert (left.kind, left.engagement.act_id) == (pb.EVENT_KIND_UNSUBSCRIBED, "IN1/stop")
    assert len(OPEN.events(reply("text", {"text": "please stop by tomorrow"}))) == 1
    assert len(OPEN.events(reply("text", {"text": "Stop. Thank you"}))) == 2


def test_an_inbound_kind_never_seen_is_unknown() -> None:
    """Nobody knows whether it answers anything."""
    event = OPEN.event(reply("hologram", {}))

    assert (event.kind, event.provider_word) == (pb.EVENT_KIND_UNKNOWN, "hologram")
    assert event.raw


@pytest.mark.parametrize("kind", ["template-event", "account-event", "onboarding-event"])
def test_events_of_the_account_are_notices(kind: str) -> None:
    """Authentic and understood; no message moves."""
    event = OPEN.event(v2(kind, {"type": "status-update", "status": "rejected"}))

    assert (event.kind, event.provider_word) == (pb.EVENT_KIND_INFO, kind)
    assert "status=rejected" in event.detail


def test_an_event_never_seen_is_kept() -> None:
    """With the whole body."""
    event = OPEN.event(v2("hologram-event", {}))

    assert (event.kind, event.provider_word) == (pb.EVENT_KIND_UNKNOWN, "hologram-event")


@pytest.mark.parametrize(("word", "kind"), meta_statuses.KIND_BY_STATUS.items())
def test_v3_is_metas_reading_under_gupshups_id(word: str, kind: int) -> None:
    """The send answered with Gupshup's id; without one Meta's has to do."""
    event = OPEN.event(v3(statuses=[status(word, gs_id=GUPSHUP_ID)]))
    bare = OPEN.event(v3(statuses=[status(word)]))

    assert (event.kind, event.provider_message_id) == (kind, GUPSHUP_ID)
    assert bare.provider_message_id == "wamid.TEST1"


def test_v3_tells_enqueued_in_milliseconds_as_a_number() -> None:
    """Every other time of v3 is text, in seconds."""
    event = OPEN.event(
        v3(statuses=[status("enqueued", gs_id=GUPSHUP_ID, timestamp=AT * 1000 + 500)])
    )

    assert (event.kind, event.occur_time_us) == (pb.EVENT_KIND_QUEUED, AT_US + 500_000)
    assert not event.is_time_clamped


def test_v3_failures_and_odd_types_are_read_as_metas() -> None:
    """A code is a number or a text, an id may be a number."""
    failed = status("failed", gs_id=7, errors=[{"code": "131047", "title": "Too late"}])

    event = OPEN.event(v3(statuses=[failed]))

    assert (event.kind, event.provider_code) == (pb.EVENT_KIND_UNDELIVERED, "131047")
    assert (event.provider_message_id, event.detail) == ("7", "Too late")


@pytest.mark.parametrize(
    "fields",
    [
        {"context": {"id": WAMID, "gs_id": GUPSHUP_ID}},
        {"word": "reaction", "reaction": {"message_id": WAMID, "gs_id": GUPSHUP_ID, "emoji": "x"}},
    ],
)
def test_v3_replies_answer_by_gupshups_id(fields: dict[str, Any]) -> None:
    """They must find the message under the key of its statuses."""
    event = OPEN.event(v3(messages=[inbound(**fields)]))

    assert (event.kind, event.provider_message_id) == (pb.EVENT_KIND_REPLIED, GUPSHUP_ID)


def test_v3_billing_has_no_time_and_needs_none() -> None:
    """The time of receipt is no guess where nothing was promised."""
    billing = {"deductions": {"model": "PMP"}, "references": {"id": WAMID}}
    body = envelope(change("billing-event", billing=billing))

    event = OPEN.event(body)

    assert (event.kind, event.pricing.model) == (pb.EVENT_KIND_INFO, "PMP")
    assert (event.occur_time_us, event.is_time_clamped) == (NOW_US, False)


def test_v3_clicks_have_no_message() -> None:
    """The component is in capitals here."""
    click = {"click_component": "CTA", "click_id": "c1"}
    action = {"action_type": "marketing_messages_link_click", "timestamp": str(AT)}
    event = OPEN.event(v3(user_actions=[{**action, "marketing_messages_link_click_data": click}]))

    assert (event.kind, event.message_key) == (pb.EVENT_KIND_CLICKED, b"")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (message_event("sent", id=None, gsId=None), "STATUS_WITHOUT_ID"),
        (reply("text", {}, id=None), "MESSAGE_WITHOUT_ID"),
        (message_event("sent", gsId="x" * 513), "ID_TOO_LONG"),
        (message_event("sent", gsId="a\x00b"), "INVALID_TEXT"),
        ({"type": "message-event"}, "EVENT_WITHOUT_TYPE"),
        ([], "BODY_NOT_AN_OBJECT"),
        (b"{", "BODY_NOT_JSON"),
        (b"\xff", "BODY_NOT_JSON"),
    ],
)
def test_what_cannot_be_read_is_kept_if_proven_and_refused_if_not(body: Any, reason: str) -> None:
    """An address alone proves nothing about a body that is not of the form."""
    headers = {"authorization": "Basic aG9vazpuZXc="}

    (part,) = LOCKED.reading(body, headers=headers).batch.quarantined

    assert part.reason == reason
    assert is_refused(OPEN.outcome(body), 400)


@pytest.mark.parametrize("encoded", ["aG9vazpvbGQ=", "aG9vazpuZXc="])
def test_any_live_password_proves_a_callback(encoded: str) -> None:
    """While it is changed, both come."""
    assert LOCKED.events(message_event("sent"), headers={"authorization": f"Basic {encoded}"})


def test_without_the_credential_a_callback_is_refused() -> None:
    """An account that asks for one gets one."""
    assert LOCKED.outcome(message_event("sent")) == Refused("CREDENTIAL_MISSING", 401)
