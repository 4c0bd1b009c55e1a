"""MessageBird's Conversations, behind the same door as its SMS."""

from typing import Any

import pytest
from bluetick.v1 import common_pb2 as pb
from hypothesis import given
from hypothesis import strategies as st

from libs.runtime.keys import message_key
from services.ingest.domain.reading import Reading
from services.ingest.providers.messagebird import MessageBird
from services.ingest.providers.messagebird_conversations import KIND_BY_STATUS
from tests.ingest.test_messagebird import ACCOUNT, AT_US, PHONE, events, post

ID = "m-1"
CREATED = "2026-08-05T03:18:00Z"
UPDATED = "2026-08-05T03:19:00Z"


def sent(word: str, **fields: Any) -> dict[str, Any]:
    message = {
        "id": ID,
        "direction": "sent",
        "status": word,
        "to": f"+{PHONE}",
        "from": "+31970000000",
        "createdDatetime": CREATED,
        "updatedDatetime": UPDATED,
        **fields,
    }
    return {"type": "message.updated", "message": message, "contact": {"msisdn": int(PHONE)}}


def received(word: str = "text", content: Any = None, **fields: Any) -> dict[str, Any]:
    message = {
        "id": "in-1",
        "direction": "received",
        "status": "received",
        "type": word,
        "content": content or {"text": "Hello"},
        # The wrong way round, as MessageBird's own samples have it.
        "to": f"+{PHONE}",
        "from": "+31970000000",
        "createdDatetime": UPDATED,
        **fields,
    }
    return {"type": "message.created", "message": message, "contact": {"msisdn": int(PHONE)}}


WORDS = [
    ("accepted", pb.EVENT_KIND_ACCEPTED), ("scheduled", pb.EVENT_KIND_ACCEPTED),
    ("pending", pb.EVENT_KIND_ACCEPTED), ("dispatched", pb.EVENT_KIND_SENT),
    ("transmitted", pb.EVENT_KIND_SENT), ("sent", pb.EVENT_KIND_SENT),
    ("buffered", pb.EVENT_KIND_SENT), ("delayed", pb.EVENT_KIND_SENT),
    ("delivered", pb.EVENT_KIND_DELIVERED), ("read", pb.EVENT_KIND_READ),
    ("opened", pb.EVENT_KIND_READ), ("clicked", pb.EVENT_KIND_CLICKED),
    ("rejected", pb.EVENT_KIND_DROPPED), ("failed", pb.EVENT_KIND_DROPPED),
    ("delivery_failed", pb.EVENT_KIND_UNDELIVERED), ("expired", pb.EVENT_KIND_UNDELIVERED),
    ("bounce", pb.EVENT_KIND_UNDELIVERED), ("spam_complaint", pb.EVENT_KIND_COMPLAINED),
    ("list_unsubscribe", pb.EVENT_KIND_UNSUBSCRIBED), ("deleted", pb.EVENT_KIND_INFO),
    ("unknown", pb.EVENT_KIND_INFO), ("received", pb.EVENT_KIND_INFO),
    ("out_of_bounded", pb.EVENT_KIND_INFO), ("evaporated", pb.EVENT_KIND_UNKNOWN),
]  # fmt: skip


@pytest.mark.parametrize(("word", "kind"), WORDS)
def test_each_word_becomes_its_kind(word: str, kind: int) -> None:
    """The whole list of MessageBird's SDK, and a word of tomorrow."""
    (event,) = events(post(sent(word)))

    assert event.kind == kind
    assert event.message_key == message_key("demo", "messagebird", ID)
    assert event.address == f"+{PHONE}"
    assert event.occur_time_us == AT_US


def test_no_word_of_the_table_is_untested() -> None:
    """A row that nobody checks is a row that anybody can break."""
    assert set(KIND_BY_STATUS) == {word for word, _ in WORDS[:-1]}


@pytest.mark.parametrize("word", ["clicked", "spam_complaint", "list_unsubscribe"])
def test_an_act_told_twice_is_one_act(word: str) -> None:
    """MessageBird gives it no id; its message and time must do."""
    first, again = (events(post(sent(word)))[0].engagement.act_id for _ in range(2))
    later = events(post(sent(word, updatedDatetime="2026-08-05T03:19:30Z")))[0]

    assert first == again != ""
    assert later.engagement.act_id != first


@pytest.mark.parametrize(
    ("code", "kinds"),
    [
        (131026, [pb.EVENT_KIND_DROPPED]),
        (131050, [pb.EVENT_KIND_DROPPED, pb.EVENT_KIND_UNSUBSCRIBED]),
        ("103", [pb.EVENT_KIND_DROPPED, pb.EVENT_KIND_UNSUBSCRIBED]),
    ],
)
def test_whatsapps_own_codes_are_known(code: int | str, kinds: list[int]) -> None:
    """MessageBird passes them through, opt-outs among them."""
    found = events(post(sent("failed", error={"code": code, "description": "no"})))

    assert [event.kind for event in found] == kinds
    assert found[0].provider_code == str(code)
    assert found[0].reason not in (0, pb.FAILURE_REASON_UNMAPPED)


def test_a_received_message_is_a_reply_of_the_contact() -> None:
    """The contact says who wrote; ``from`` and ``to`` do not always."""
    (bare,) = events(post(received()))
    (named,) = events(post(received(replyTo={"id": ID})))

    assert bare.kind == named.kind == pb.EVENT_KIND_REPLIED
    assert bare.address == f"+{PHONE}"
    assert not bare.message_key
    assert named.message_key == message_key("demo", "messagebird", ID)
    assert bare.engagement.act_id == "in-1"
    assert bare.occur_time_us == AT_US


@pytest.mark.parametrize(
    ("word", "content"),
    [
        ("button", {"button": {"payload": "YES", "text": "Yes"}}),
        ("interactive", {"interactive": {"type": "button_reply",
                                         "reply": {"id": "YES", "text": "Yes"}}}),
    ],
)  # fmt: skip
def test_a_button_is_a_tap(word: str, content: dict[str, Any]) -> None:
    """Taps per button are what a marketer compares."""
    (event,) = events(post(received(word, content)))

    assert event.engagement.is_tap
    assert (event.engagement.button_id, event.engagement.button_title) == ("YES", "Yes")


def test_stop_is_an_opt_out_too() -> None:
    """By text and by button."""
    for content in ({"text": "STOP"}, {"button": {"text": "Stop promotions"}}):
        _, opt_out = events(post(received(content=content)))
        assert opt_out.kind == pb.EVENT_KIND_UNSUBSCRIBED


def test_what_we_did_with_a_received_message_is_no_reply() -> None:
    """Our own reading it is told by the same event."""
    (event,) = events(post(received(status="read")))

    assert event.kind == pb.EVENT_KIND_INFO


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("conversation.created", pb.EVENT_KIND_INFO),
        ("conversation.updated", pb.EVENT_KIND_INFO),
        ("contact.updated", pb.EVENT_KIND_INFO),
        ("invoice.created", pb.EVENT_KIND_UNKNOWN),
    ],
)
def test_other_events_move_no_message(word: str, kind: int) -> None:
    """Kept and counted."""
    (event,) = events(post({"type": word, "conversation": {"updatedDatetime": UPDATED}}))

    assert (event.kind, event.provider_word) == (kind, word)
    assert not event.message_key


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=6,
)


@given(
    st.sampled_from([sent("failed", error={"code": 1}), received("button")]),
    st.sampled_from(["id", "status", "error", "content", "to", "replyTo", "direction", "type",
                     "updatedDatetime"]),
    _ANY,
)  # fmt: skip
def test_whatever_stands_in_a_field_it_is_read_or_kept(
    body: dict[str, Any], name: str, value: Any
) -> None:
    """Types drift, and must cost one callback at most."""
    changed = {**body, "message": {**body["message"], name: value}}

    reading = MessageBird().parse(post(changed), ACCOUNT)

    assert isinstance(reading, Reading)
    assert len(reading.batch.events) + len(reading.batch.quarantined) >= 1
