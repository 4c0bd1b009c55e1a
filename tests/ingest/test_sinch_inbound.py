"""What people write, choose and react with, as Sinch's Conversation API tells it."""

import pytest
from bluetick.v1 import common_pb2 as pb

from libs.runtime.keys import message_key
from tests.ingest.test_sinch import ID, PHONE, envelope, events, identity, inbound


def test_a_choice_is_a_tap_on_the_message_that_offered_it() -> None:
    """The choice names its message."""
    choice = {"message_id": ID, "postback_data": "YES"}

    (event,) = events(inbound({"choice_response_message": choice}, contact_id=""))

    assert event.kind == pb.EVENT_KIND_REPLIED
    assert event.message_key == message_key("demo", "sinch", ID)
    assert event.engagement.is_tap
    assert (event.engagement.button_id, event.engagement.act_id) == ("YES", "01IN")


def test_a_text_answers_the_message_it_quotes_or_the_address() -> None:
    """Most texts quote nothing."""
    written = {"text_message": {"text": "Yes"}}
    (bare,) = events(inbound(written))
    (quoting,) = events(inbound({**written, "reply_to": {"message_id": ID}}))

    assert not bare.message_key
    assert quoting.message_key == message_key("demo", "sinch", ID)
    assert bare.address == f"+{PHONE}"
    assert bare.engagement.inbound_type == "text_message"


def test_a_typed_stop_is_an_opt_out_since_no_notice_follows() -> None:
    """By SMS and WhatsApp it comes as any other text."""
    reply, opt_out = events(inbound({"text_message": {"text": "Stop"}}))

    assert (reply.kind, opt_out.kind) == (pb.EVENT_KIND_REPLIED, pb.EVENT_KIND_UNSUBSCRIBED)


@pytest.mark.parametrize(
    ("name", "status", "kind"),
    [
        ("opt_out_notification", "OPT_OUT_SUCCEEDED", pb.EVENT_KIND_UNSUBSCRIBED),
        ("opt_in_notification", "OPT_IN_SUCCEEDED", pb.EVENT_KIND_RESUBSCRIBED),
        ("opt_out_notification", "OPT_OUT_FAILED", pb.EVENT_KIND_INFO),
        ("opt_in_notification", "OPT_IN_FAILED", pb.EVENT_KIND_INFO),
        ("opt_out_notification", "", pb.EVENT_KIND_UNKNOWN),
    ],
)
def test_only_a_success_changes_consent(name: str, status: str, kind: int) -> None:
    """A failed opt-out that unsubscribes would silence a customer."""
    notice = {"contact_id": "01C", "channel": "VIBERBM", "identity": PHONE, "status": status}

    (event,) = events(envelope(**{name: notice}))
    (again,) = events(envelope(**{name: notice}))

    assert event.kind == kind
    assert event.address == f"+{PHONE}"
    assert event.engagement.act_id == again.engagement.act_id
    is_choice = kind in (pb.EVENT_KIND_UNSUBSCRIBED, pb.EVENT_KIND_RESUBSCRIBED)
    assert bool(event.engagement.act_id) == is_choice


def test_a_reaction_is_a_reply_until_it_is_taken_back() -> None:
    """It names the message it is put on."""
    for action, is_withdrawn in (
        ("REACTION_ACTION_REACT", False),
        ("REACTION_ACTION_UNREACT", True),
    ):
        reaction = {"emoji": "+1", "action": action, "message_id": ID}
        happened = {"id": "01EV", "contact_event": {"reaction_event": reaction}}
        (event,) = events(envelope(event={**happened, "channel_identity": identity()}))
        assert event.kind == pb.EVENT_KIND_REPLIED
        assert event.message_key == message_key("demo", "sinch", ID)
        assert event.engagement.is_withdrawn == is_withdrawn
