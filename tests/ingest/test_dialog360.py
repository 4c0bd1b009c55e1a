from typing import Any

import pytest
from bluetick.v1 import common_pb2 as pb

from libs.runtime.keys import message_key
from services.ingest.providers.dialog360 import Dialog360
from services.ingest.providers.meta_statuses import KIND_BY_STATUS
from services.ingest.providers.provider import Refused
from tests.ingest.meta_bodies import change, envelope, inbound, status
from tests.ingest.provider_readings import AT_US, Reader, is_refused

HEADER = {"x-hook-token": "chosen-by-the-operator"}
OPEN = Reader(Dialog360())
LOCKED = Reader(
    Dialog360(),
    secrets={"header": ["X-Hook-Token: chosen-by-the-operator", "X-Hook-Token: the-next-one"]},
)


def flat(word: str = "delivered", **fields: Any) -> dict[str, Any]:
    """A body of the old On-Premises hosting."""
    item = {"id": "gBGGF1", "recipient_id": "14155550101", "timestamp": str(AT_US // 1_000_000)}
    item |= {"status": word, **fields}
    return {"statuses": [{name: value for name, value in item.items() if value is not None}]}


@pytest.mark.parametrize(("word", "kind"), KIND_BY_STATUS.items())
def test_each_of_metas_words_means_the_same_in_both_hostings(word: str, kind: int) -> None:
    """The object is Meta's; only the envelope and the proof differ."""
    for body in (envelope(change(statuses=[status(word)])), flat(word)):
        event = OPEN.event(body)
        assert (event.kind, event.provider_word, event.occur_time_us) == (kind, word, AT_US)
        assert (event.provider, event.address) == ("dialog360", "+14155550101")


def test_a_message_is_keyed_under_360dialog() -> None:
    """The sender records it with the provider whose door its callbacks come through."""
    event = OPEN.event(envelope(change(statuses=[status(id="wamid.A")])))

    assert event.message_key == message_key("demo", "dialog360", "wamid.A")


@pytest.mark.parametrize(("code", "hosting"), [(131026, "cloud"), (1026, "on-premises")])
def test_a_failure_has_a_reason_in_the_codes_of_either_hosting(code: int, hosting: str) -> None:
    """1026 is the old name of 131026."""
    failed = {"errors": [{"code": code, "title": "Receiver incapable"}]}
    body = flat("failed", **failed)
    if hosting == "cloud":
        body = envelope(change(statuses=[status("failed", **failed)]))

    event = OPEN.event(body)

    assert event.kind == pb.EVENT_KIND_UNDELIVERED
    assert event.provider_code == str(code)
    assert event.reason == pb.FAILURE_REASON_RECIPIENT_RELATED_ERRORS
    assert event.detail == "Receiver incapable"


def test_the_recipient_may_stand_in_the_message_only() -> None:
    """On-Premises documents it there, with a plus sign."""
    event = OPEN.event(flat(recipient_id=None, message={"recipient_id": "+14155550102"}))

    assert event.address == "+14155550102"


def test_a_flat_body_of_everything_is_read_part_by_part() -> None:
    """One status without its id must not cost the reply beside it."""
    body = {
        "contacts": [{"wa_id": "14155550101"}],
        "meta": {"api_status": "stable", "version": "2.53"},
        "messages": [inbound("text", context={"id": "gBGGF9", "from": "14155550100"})],
        "errors": [{"code": 1011, "title": "Service not ready"}],
        "statuses": [status(id=None), status("read", id="gBGGF1")],
    }

    reading = OPEN.reading(body)

    kinds = {event.kind for event in reading.batch.events}
    assert kinds == {pb.EVENT_KIND_REPLIED, pb.EVENT_KIND_INFO, pb.EVENT_KIND_READ}
    assert [part.reason for part in reading.batch.quarantined] == ["STATUS_WITHOUT_ID"]
    assert reading.batch.quarantined[0].is_part


def test_a_reply_names_the_message_that_it_answers() -> None:
    """The same object as Meta's."""
    event = OPEN.event(envelope(change(messages=[inbound("text", context={"id": "wamid.1"})])))

    assert (event.kind, event.provider_message_id) == (pb.EVENT_KIND_REPLIED, "wamid.1")
    assert event.engagement.act_id == "wamid.IN1"


@pytest.mark.parametrize("value", ["chosen-by-the-operator", "the-next-one"])
def test_any_live_header_proves_a_callback(value: str) -> None:
    """While it is changed, both come."""
    assert LOCKED.events(flat(), headers={"x-hook-token": value})


@pytest.mark.parametrize(
    ("headers", "reason"),
    [({}, "CREDENTIAL_MISSING"), ({"x-hook-token": "no"}, "CREDENTIAL_WRONG")],
)
def test_a_callback_without_the_header_is_refused(headers: dict[str, str], reason: str) -> None:
    """The header is all that proves it: Meta's signature needs a secret that 360dialog keeps."""
    assert LOCKED.outcome(flat(), headers=headers) == Refused(reason, 401)


def test_a_body_of_no_form_is_kept_if_proven_and_refused_if_not() -> None:
    """Quarantine is for what the provider sent; a stranger must not be able to fill it."""
    for body in (b"no json", b"[]", b"{}"):
        (part,) = LOCKED.reading(body, headers=HEADER).batch.quarantined
        assert part.body == body
        assert is_refused(OPEN.outcome(body), 400)
