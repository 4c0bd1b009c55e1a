"""What people write and tap, as Twilio tells it."""

import pytest
from bluetick.v1 import common_pb2 as pb

from libs.runtime.keys import message_key
from tests.ingest.test_twilio import INBOUND, SID, events, inbound


def test_an_inbound_message_is_a_reply_to_the_address_or_to_the_message_it_names() -> None:
    """Most SMS name none; then the address must do."""
    (bare,) = events(inbound())
    (named,) = events(inbound(OriginalRepliedMessageSid=SID))

    assert bare.kind == named.kind == pb.EVENT_KIND_REPLIED
    assert not bare.message_key
    assert named.message_key == message_key("demo", "twilio", SID)
    assert bare.engagement.act_id == named.engagement.act_id == INBOUND


def test_an_answer_to_a_message_of_ones_own_answers_none_of_ours() -> None:
    """WhatsApp lets people quote themselves."""
    own = {"OriginalRepliedMessageSid": SID, "OriginalRepliedMessageSender": inbound()["From"]}

    (event,) = events(inbound(**own))

    assert not event.message_key


@pytest.mark.parametrize(
    ("fields", "button_id", "label"),
    [
        ({"ButtonPayload": "yes-1", "ButtonText": "Yes"}, "yes-1", "Yes"),
        ({"ListId": "row-2", "ListTitle": "Two"}, "row-2", "Two"),
    ],
)
def test_a_button_or_a_list_choice_is_a_tap(
    fields: dict[str, str], button_id: str, label: str
) -> None:
    """Taps per button are what a marketer compares."""
    (event,) = events(inbound(MessageType="interactive", **fields))

    engagement = event.engagement
    assert engagement.is_tap
    assert (engagement.button_id, engagement.button_title) == (button_id, label)
    assert engagement.inbound_type == "interactive"


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"Body": "STOP"}, pb.EVENT_KIND_UNSUBSCRIBED),
        ({"Body": " stop. "}, pb.EVENT_KIND_UNSUBSCRIBED),
        ({"Body": "START"}, pb.EVENT_KIND_RESUBSCRIBED),
        ({"Body": "bye", "OptOutType": "STOP"}, pb.EVENT_KIND_UNSUBSCRIBED),
        ({"Body": "yes", "OptOutType": "START"}, pb.EVENT_KIND_RESUBSCRIBED),
        ({"ButtonText": "Stop promotions", "Body": "Stop promotions"}, pb.EVENT_KIND_UNSUBSCRIBED),
        ({"Body": "STOP", "OptOutType": "HELP"}, None),
        ({"Body": "please stop by"}, None),
        ({"Body": "Yes"}, None),
    ],
)
def test_a_stop_word_is_a_reply_and_an_opt_out(fields: dict[str, str], kind: int | None) -> None:
    """What Twilio made of the text counts most; without it, the whole text."""
    reply, *consents = events(inbound(**fields))

    assert reply.kind == pb.EVENT_KIND_REPLIED
    assert [event.kind for event in consents] == ([kind] if kind else [])
    for event in consents:
        assert event.engagement.act_id.startswith(f"{INBOUND}/st")
        assert event.address == "+14155550101"
