from typing import Any

import pytest
from bluetick.v1 import common_pb2 as pb

from libs.runtime.keys import message_key
from tests.ingest.meta_bodies import (
    AT,
    PHONE,
    USER_ID,
    WAMID,
    change,
    envelope,
    event,
    inbound,
    read,
)

OURS = {"context": {"from": "14155550100", "id": WAMID}}


def _of(*messages: Any) -> dict[str, Any]:
    contacts = [{"profile": {"name": "A Person"}, "wa_id": PHONE}]
    return envelope(change(messages=list(messages), contacts=contacts))


@pytest.mark.parametrize(
    "word",
    [
        "text", "image", "video", "audio", "document", "sticker", "location", "contacts",
        "order", "button", "interactive", "reaction",
    ],
)  # fmt: skip
def test_whatever_answers_our_message_is_a_reply_to_it(word: str) -> None:
    """A picture is an answer as good as a text."""
    found = event(_of(inbound(word, **OURS)))

    assert found.kind == pb.EVENT_KIND_REPLIED
    assert found.provider_message_id == WAMID
    assert found.message_key == message_key("demo", "meta", WAMID)
    # A reaction is known by whose it is to what: changed, it is still the same.
    assert (found.engagement.act_id == "wamid.IN1") == (word != "reaction")
    assert found.engagement.inbound_type == word
    assert found.address == "+" + PHONE
    assert found.occur_time_us == AT * 1_000_000


@pytest.mark.parametrize(
    ("message", "button_id", "title", "word"),
    [
        (
            inbound("button", button={"payload": "YES", "text": "Yes, please"}, **OURS),
            "YES",
            "Yes, please",
            "button",
        ),
        (
            inbound(
                "interactive",
                interactive={"type": "button_reply", "button_reply": {"id": "b1", "title": "Buy"}},
                **OURS,
            ),
            "b1",
            "Buy",
            "button_reply",
        ),
        (
            inbound(
                "interactive",
                interactive={
                    "type": "list_reply",
                    "list_reply": {"id": "row-2", "title": "Two", "description": "second"},
                },
                **OURS,
            ),
            "row-2",
            "Two",
            "list_reply",
        ),
    ],
)
def test_a_tap_says_which_button(
    message: dict[str, Any], button_id: str, title: str, word: str
) -> None:
    """Answers per button are a report of their own."""
    engagement = event(_of(message)).engagement

    assert engagement.is_tap
    assert (engagement.button_id, engagement.button_title) == (button_id, title)
    assert engagement.inbound_type == word


@pytest.mark.parametrize("word", ["nfm_reply", "call_permission_reply", "tomorrows_reply"])
def test_a_filled_form_is_a_reply_and_no_tap(word: str) -> None:
    """A form is answered by writing, not by one touch."""
    interactive = {"type": word, word: {"name": "flow", "response_json": "{}"}}

    engagement = event(_of(inbound("interactive", interactive=interactive, **OURS))).engagement

    assert not engagement.is_tap
    assert engagement.inbound_type == word


def test_a_reaction_points_at_our_message_without_context() -> None:
    """Reactions carry the id in a place of their own."""
    found = event(_of(inbound("reaction", reaction={"message_id": WAMID, "emoji": "\U0001f44d"})))

    assert found.provider_message_id == WAMID
    assert not found.engagement.is_withdrawn


@pytest.mark.parametrize("reaction", [{"message_id": WAMID}, {"message_id": WAMID, "emoji": ""}])
def test_a_reaction_taken_back_is_marked(reaction: dict[str, str]) -> None:
    """It is history, and no second reply."""
    assert event(_of(inbound("reaction", reaction=reaction))).engagement.is_withdrawn


@pytest.mark.parametrize(
    "message",
    [
        inbound("text"),
        inbound("button", button={"payload": "YES", "text": "Yes"}),
        inbound("text", context={"forwarded": True}),
        inbound("text", context={"from": PHONE, "id": "wamid.THEIR-OWN"}),
        inbound("text", context=None, referral={"source_type": "ad", "ctwa_clid": "c"}),
    ],
)
def test_an_answer_to_nothing_of_ours_is_kept_with_its_sender(message: dict[str, Any]) -> None:
    """Meta may leave the context out; the address is what it can be attributed by."""
    found = event(_of(message))

    assert found.kind == pb.EVENT_KIND_REPLIED
    assert found.message_key == b""
    assert found.provider_message_id == ""
    assert found.address == "+" + PHONE


def test_a_person_without_a_phone_number_is_known_by_their_user_id() -> None:
    """Since 2026 people may hide their number."""
    message = inbound("text", **OURS) | {"from_user_id": USER_ID}
    del message["from"]

    assert event(_of(message)).address == USER_ID


def test_an_answer_in_a_group_belongs_to_its_authors_own_message() -> None:
    """The group's message is counted per participant, and so are its answers."""
    found = event(_of(inbound("text", group_id="1203630", **OURS)))

    assert found.provider_message_id == f"{WAMID}/{PHONE}"


@pytest.mark.parametrize("word", ["edit", "revoke", "system", "unsupported", "request_welcome"])
def test_what_answers_nothing_is_a_notice(word: str) -> None:
    """Edits, withdrawals and changes of number are kept, and no reply is counted."""
    found = event(_of(inbound(word, **{word: {"type": "detail", "original_message_id": WAMID}})))

    assert found.kind == pb.EVENT_KIND_INFO
    assert found.message_key == b""
    assert not found.HasField("engagement")


def test_an_unsupported_message_tells_its_code() -> None:
    """The code says that Meta could not show it to us."""
    errors = [{"code": 131051, "title": "t", "error_data": {"details": "not supported"}}]

    found = event(_of(inbound("unsupported", errors=errors)))

    assert (found.provider_code, found.detail) == ("131051", "not supported")


def test_a_kind_of_message_nobody_has_seen_is_kept_as_it_came() -> None:
    """It may be a reply, and it may not: nothing is guessed."""
    found = event(_of(inbound("hologram", hologram={"x": 1}, **OURS)))

    assert found.kind == pb.EVENT_KIND_UNKNOWN
    assert b"hologram" in found.raw


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (inbound(id=None), "MESSAGE_WITHOUT_ID"),
        (inbound(timestamp=None), "MESSAGE_WITHOUT_TIMESTAMP"),
        (inbound(timestamp=[1]), "MESSAGE_WITHOUT_TIMESTAMP"),
        (inbound(id="i" * 600), "MESSAGE_ID_TOO_LONG"),
        (inbound(**{"from": "\x00"}), "INVALID_TEXT"),
        ("text", "ITEM_NOT_AN_OBJECT"),
    ],
)
def test_one_poisonous_message_leaves_its_neighbours_alone(broken: Any, reason: str) -> None:
    """One broken item must not cost the others."""
    reading = read(_of(inbound(id="wamid.A"), broken, inbound(id="wamid.B")))

    assert [one.engagement.act_id for one in reading.batch.events] == ["wamid.A", "wamid.B"]
    assert [part.reason for part in reading.batch.quarantined] == [reason]


@pytest.mark.parametrize(
    "message",
    [
        inbound("text", text={"body": "a\x00b"}, **OURS),
        inbound("text", text={"body": "half \ud83d"}, **OURS),
        inbound("button", button="Yes", **OURS),
        inbound("text", text=[["nested"]], **OURS),
        inbound("interactive", interactive={"type": "list_reply", "list_reply": "x"}, **OURS),
    ],
)
def test_oddities_in_what_is_not_needed_do_not_lose_a_reply(message: dict[str, Any]) -> None:
    """The words that a person wrote are not kept, so they cannot hurt."""
    assert event(_of(message)).provider_message_id == WAMID
