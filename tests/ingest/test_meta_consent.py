from typing import Any

import pytest
from bluetick.v1 import common_pb2 as pb

from tests.ingest.meta_bodies import PHONE, WAMID, change, envelope, events, inbound

OURS = {"context": {"from": "14155550100", "id": WAMID}}


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (inbound(text={"body": "STOP"}), pb.EVENT_KIND_UNSUBSCRIBED),
        (inbound(text={"body": "start"}), pb.EVENT_KIND_RESUBSCRIBED),
        (inbound("button", button={"payload": "x", "text": "Stop promotions"}, **OURS),
         pb.EVENT_KIND_UNSUBSCRIBED),
        (inbound("button", button={"payload": "STOP", "text": "No more"}, **OURS),
         pb.EVENT_KIND_UNSUBSCRIBED),
        (inbound(text={"body": "please stop by"}), None),
        (inbound("image", image={"caption": "STOP"}), pb.EVENT_KIND_UNSUBSCRIBED),
        (inbound("image", image={"caption": "please stop by"}), None),
    ],
)  # fmt: skip
def test_a_stop_word_is_a_reply_and_an_opt_out(message: dict[str, Any], kind: int | None) -> None:
    """Meta tells of its own opt-out button apart; a typed STOP comes as any other text."""
    reply, *consents = events(envelope(change(messages=[message])))

    assert reply.kind == pb.EVENT_KIND_REPLIED
    assert [event.kind for event in consents] == ([kind] if kind else [])
    for event in consents:
        assert event.address == f"+{PHONE}"
        assert event.message_key == reply.message_key
        assert event.engagement.act_id.startswith(reply.engagement.act_id + "/st")
