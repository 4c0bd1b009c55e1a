from typing import Any

import pytest
from bluetick.v1 import common_pb2 as pb

from services.ingest.providers.infobip import Infobip
from services.ingest.providers.provider import Refused
from tests.ingest.provider_readings import AT, AT_US, NOW_US, Reader, is_refused, without

OPEN = Reader(Infobip())
LOCKED = Reader(Infobip(), secrets={"basic_user": ["hook"], "basic_pass": ["old", "new"]})
HEADERS = {"authorization": "Basic aG9vazpuZXc="}
# 2026-08-05T03:19:00Z
DONE = "2026-08-05T00:19:00.000-0300"
NO_ERROR = {"groupId": 0, "groupName": "OK", "id": 0, "name": "NO_ERROR", "permanent": False}


def report(group: str = "DELIVERED", name: str = "", **fields: Any) -> dict[str, Any]:
    """One delivery report; a field that is None is left out."""
    item = {
        "bulkId": "",
        "messageId": "m-1",
        "to": "491700000001",
        "sentAt": "2026-08-05T03:18:00.000+0000",
        "doneAt": DONE,
        "messageCount": 1,
        "status": {"groupName": group, "id": 9, "name": name, "description": "as it says"},
        "error": NO_ERROR,
        **fields,
    }
    return {name: value for name, value in item.items() if value is not None}


def results(*items: Any) -> dict[str, Any]:
    """A batch."""
    return {"results": list(items)}


@pytest.mark.parametrize(
    ("group", "name", "kind"),
    [
        ("ACCEPTED", "", pb.EVENT_KIND_ACCEPTED),
        ("PENDING", "PENDING_ACCEPTED", pb.EVENT_KIND_QUEUED),
        ("PENDING", "PENDING_WAITING_DELIVERY", pb.EVENT_KIND_SENT),
        ("PENDING", "PENDING_ENROUTE", pb.EVENT_KIND_SENT),
        ("UNDELIVERABLE", "", pb.EVENT_KIND_UNDELIVERED),
        ("DELIVERED", "DELIVERED_TO_HANDSET", pb.EVENT_KIND_DELIVERED),
        ("EXPIRED", "", pb.EVENT_KIND_UNDELIVERED),
        ("REJECTED", "", pb.EVENT_KIND_DROPPED),
        ("TOMORROW", "", pb.EVENT_KIND_UNKNOWN),
    ],
)
def test_each_group_has_its_meaning(group: str, name: str, kind: int) -> None:
    """Expired is not sent, and rejected never left."""
    event = OPEN.event(results(report(group, name)))

    assert (event.kind, event.provider_word) == (kind, group)
    assert (event.provider_message_id, event.address) == ("m-1", "+491700000001")
    assert event.occur_time_us == AT_US
    assert bool(event.raw) == (kind == pb.EVENT_KIND_UNKNOWN)


@pytest.mark.parametrize(
    ("group_id", "kind"),
    [
        (0, pb.EVENT_KIND_ACCEPTED),
        (1, pb.EVENT_KIND_QUEUED),
        (2, pb.EVENT_KIND_UNDELIVERED),
        (3, pb.EVENT_KIND_DELIVERED),
        ("4", pb.EVENT_KIND_UNDELIVERED),
        (5, pb.EVENT_KIND_DROPPED),
        (6, pb.EVENT_KIND_UNKNOWN),
    ],
)
def test_a_group_without_its_name_is_known_by_its_number(group_id: int | str, kind: int) -> None:
    """Number or text."""
    assert OPEN.event(results(report(status={"groupId": group_id}))).kind == kind


@pytest.mark.parametrize(
    ("written", "time_us"),
    [
        ("2026-08-05T03:19:00.000+0000", AT_US),
        ("2026-08-05T00:19:00.250-0300", AT_US + 250_000),
        ("2026-08-05T08:49:00+05:30", AT_US),
        ("2026-08-05T03:19:00Z", AT_US),
    ],
)
def test_dates_are_read_in_any_zone_with_and_without_a_colon(written: str, time_us: int) -> None:
    """Infobip writes none, its documentation both."""
    event = OPEN.event(results(report(doneAt=written)))

    assert (event.occur_time_us, event.is_time_clamped) == (time_us, False)


def test_a_report_without_its_time_is_taken_and_marked() -> None:
    """The time of sending is no time of delivery."""
    event = OPEN.event(results(report(doneAt=None)))
    pending = OPEN.event(results(report("PENDING", doneAt=None)))

    assert (event.occur_time_us, event.is_time_clamped) == (NOW_US, True)
    assert (pending.occur_time_us, pending.is_time_clamped) == (AT_US - 60_000_000, False)


def test_the_smallest_report_is_an_id_and_a_group() -> None:
    """Everything else was seen missing."""
    event = OPEN.event(results({"messageId": "m-1", "status": {"groupName": "DELIVERED"}}))

    assert event.kind == pb.EVENT_KIND_DELIVERED


def test_an_error_is_the_code_and_without_one_the_status_is() -> None:
    """Error 9 is an illegal subscriber and status 9 an undelivered message: not one list."""
    error = {"id": 9, "name": "EC_ILLEGAL_SUBSCRIBER", "description": "x", "permanent": True}

    by_error = OPEN.event(results(report("UNDELIVERABLE", error=error)))
    by_status = OPEN.event(results(report("REJECTED", status={"groupName": "REJECTED", "id": 6})))

    assert (by_error.provider_code, by_error.detail) == ("9", "EC_ILLEGAL_SUBSCRIBER: x")
    assert by_error.reason == pb.FAILURE_REASON_RECIPIENT_RELATED_ERRORS
    assert by_status.provider_code == "6"
    assert by_status.reason == pb.FAILURE_REASON_COUNTRY_CODE_DROPS


def test_an_unknown_code_is_unmapped_and_kept() -> None:
    """So that the catalogue can learn it."""
    error = {"id": 999_999, "name": "EC_NEW"}
    event = OPEN.event(results(report("UNDELIVERABLE", error=error)))

    assert event.reason == pb.FAILURE_REASON_UNMAPPED
    assert event.provider_code == "999999"


@pytest.mark.parametrize(
    ("price", "count", "units", "nanos"),
    [
        (0.01, 1, 0, 10_000_000),
        (0.21, 3, 0, 630_000_000),
        ("1.5", 2, 3, 0),
        (1e-05, 1, 0, 10_000),
        (0, 1, 0, 0),
    ],
)
def test_the_price_is_that_of_all_parts(
    price: float | str, count: int, units: int, nanos: int
) -> None:
    """Infobip tells it for one part of a long message; amounts are exact."""
    item = report(price={"pricePerMessage": price, "currency": "EUR"}, messageCount=count)

    money = OPEN.event(results(item)).pricing.price

    assert (money.currency_code, money.units, money.nanos) == ("EUR", units, nanos)


@pytest.mark.parametrize(
    "price", [None, {}, {"pricePerMessage": "dear"}, {"pricePerMessage": "NaN", "currency": "EUR"}]
)
def test_no_price_is_made_up(price: Any) -> None:
    """A price that is none is left out."""
    assert not OPEN.event(results(report(price=price))).HasField("pricing")


def test_what_the_sender_attached_comes_back_as_its_reference() -> None:
    """It ties a report to a record that is not stored yet."""
    assert OPEN.event(results(report(callbackData="ref-1"))).message_ref == "ref-1"


@pytest.mark.parametrize(
    "item",
    [
        {"from": "491700000001", "to": "4930000", "messageId": "m-1", "seenAt": DONE},
        {"event": "SEEN", "sender": "491700000001", "messageId": "m-1", "seenAt": DONE},
    ],
)
def test_a_seen_report_is_a_read_by_the_person_it_comes_from(item: dict[str, Any]) -> None:
    """The ends are turned: `to` is the business."""
    event = OPEN.event(results(item))

    assert (event.kind, event.provider_message_id) == (pb.EVENT_KIND_READ, "m-1")
    assert (event.address, event.occur_time_us) == ("+491700000001", AT_US)


def test_the_messages_api_says_which_of_them_it_is() -> None:
    """One list may hold all of them."""
    delivery = without(report(event="DELIVERY", destination="491700000001"), "to")
    typing = {"event": "TYPING_STARTED", "sender": "491700000001"}
    new = {"event": "HOLOGRAM", "sender": "491700000001"}

    events = OPEN.events(results(delivery, typing, new))

    assert [event.kind for event in events] == [
        pb.EVENT_KIND_DELIVERED,
        pb.EVENT_KIND_INFO,
        pb.EVENT_KIND_UNKNOWN,
    ]
    assert {event.address for event in events} == {"+491700000001"}
    assert events[2].raw


def inbound(**fields: Any) -> dict[str, Any]:
    """An inbound message of an older API."""
    return {"messageId": "in-1", "from": "491700000001", "to": "4930000", "receivedAt": DONE,
            **fields}  # fmt: skip


@pytest.mark.parametrize(
    ("item", "answered_id"),
    [
        (inbound(text="Hello"), ""),
        (inbound(pairedMessageId="m-1", message={"type": "TEXT", "text": "Hello"}), "m-1"),
        (inbound(message={"type": "TEXT", "text": "Hello", "context": {"id": "m-1"}}), "m-1"),
        (inbound(event="MO", content=[{"type": "TEXT", "text": "x"}], pairedMessageId="m-1"),
         "m-1"),
    ],
)  # fmt: skip
def test_an_inbound_message_answers_what_it_is_paired_with(
    item: dict[str, Any], answered_id: str
) -> None:
    """Without a pair, the address has to tell."""
    event = OPEN.event(results(item))

    assert (event.kind, event.provider_message_id) == (pb.EVENT_KIND_REPLIED, answered_id)
    assert (event.address, event.engagement.act_id) == ("+491700000001", "in-1")
    assert (bool(event.message_key), event.occur_time_us) == (bool(answered_id), AT_US)


@pytest.mark.parametrize(
    ("content", "button"),
    [
        ({"type": "BUTTON", "text": "More", "payload": "P"}, ("P", "More")),
        ({"type": "BUTTON_REPLY", "text": "More", "payload": "P"}, ("P", "More")),
        ({"type": "INTERACTIVE_BUTTON_REPLY", "id": "P", "title": "More"}, ("P", "More")),
        ({"type": "INTERACTIVE_LIST_REPLY", "id": "P", "title": "More"}, ("P", "More")),
    ],
)
def test_taps_name_their_button(content: dict[str, Any], button: tuple[str, str]) -> None:
    """Each channel in its own words."""
    older = OPEN.event(results(inbound(message=content)))
    newer = OPEN.event(results(inbound(event="MO", content=[content])))

    for event in (older, newer):
        assert event.engagement.is_tap
        assert (event.engagement.button_id, event.engagement.button_title) == button


@pytest.mark.parametrize(
    "item",
    [
        inbound(text="STOP", cleanText="", keyword="STOP"),
        inbound(message={"type": "TEXT", "text": "stop"}),
        inbound(message={"type": "BUTTON", "text": "Stop promotions", "payload": "x"}),
    ],
)
def test_stop_is_an_opt_out_beside_the_reply(item: dict[str, Any]) -> None:
    """Typed or tapped."""
    answered, left = OPEN.events(results(item))

    assert (answered.kind, left.kind) == (pb.EVENT_KIND_REPLIED, pb.EVENT_KIND_UNSUBSCRIBED)
    assert left.engagement.act_id == "in-1/stop"


def preference(word: str) -> dict[str, Any]:
    """WhatsApp's marketing opt-out: no list around it."""
    content = {"sender": "4930000", "from": "491700000001", "notificationMessagesStatus": word}
    return {"from": "4930000", "content": content, "createdAt": DONE}


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("STOP", pb.EVENT_KIND_UNSUBSCRIBED),
        ("stop", pb.EVENT_KIND_UNSUBSCRIBED),
        ("RESUME", pb.EVENT_KIND_RESUBSCRIBED),
        ("TOMORROW", pb.EVENT_KIND_UNKNOWN),
    ],
)
def test_a_marketing_choice_is_the_persons_and_not_the_businesss(word: str, kind: int) -> None:
    """Both stand under the name `from`."""
    event, again = OPEN.event(preference(word)), OPEN.event(preference(word))

    assert (event.kind, event.address) == (kind, "+491700000001")
    assert (event.occur_time_us, event.message_key) == (AT_US, b"")
    assert event.engagement.act_id == again.engagement.act_id


def tracking(word: str, **fields: Any) -> dict[str, Any]:
    """An email event."""
    return {"notificationType": word, "eventId": "e-1", "recipient": "ann@example.net",
            "sendDateTime": AT * 1000.0, "messageId": 12, **fields}  # fmt: skip


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("OPENED", pb.EVENT_KIND_READ),
        ("CLICKED", pb.EVENT_KIND_CLICKED),
        ("COMPLAINED", pb.EVENT_KIND_COMPLAINED),
        ("LATE_BOUNCE", pb.EVENT_KIND_UNDELIVERED),
        ("UNSUBSCRIBED", pb.EVENT_KIND_UNSUBSCRIBED),
        ("TOMORROW", pb.EVENT_KIND_UNKNOWN),
    ],
)
def test_each_word_of_email_tracking_has_its_meaning(word: str, kind: int) -> None:
    """The message id is a number in some of them; the time is in milliseconds."""
    event = OPEN.event(tracking(word))

    assert (event.kind, event.provider_message_id) == (kind, "12")
    assert (event.address, event.occur_time_us) == ("ann@example.net", AT_US)
    acts = (pb.EVENT_KIND_CLICKED, pb.EVENT_KIND_COMPLAINED, pb.EVENT_KIND_UNSUBSCRIBED)
    assert bool(event.engagement.act_id) == (kind in acts)


def test_a_click_without_an_event_id_counts_once() -> None:
    """Told twice, it is the same click; another link is another one."""
    body = without(tracking("CLICKED", url="https://example.com/a"), "eventId")

    first, again = OPEN.event(body), OPEN.event(body)
    other = OPEN.event({**body, "url": "https://example.com/b"})

    assert first.engagement.act_id == again.engagement.act_id != other.engagement.act_id
    assert first.engagement.url == "https://example.com/a"


def test_a_machine_that_opens_is_flagged_and_kept() -> None:
    """Raw and human counts are both asked for."""
    event = OPEN.event(tracking("OPENED", userAgent="curl/8.0"))

    assert event.kind == pb.EVENT_KIND_READ
    assert event.engagement.is_machine
    assert event.engagement.machine_rule == "program/1"


def test_one_odd_item_costs_no_neighbour() -> None:
    """A batch is not all or nothing."""
    odd = [report(messageId=None), report(messageId="a\x00"), 7, {"messageId": "m-2"}]
    seen_nothing = {"seenAt": DONE}
    reading = OPEN.reading(results(report(), *odd, seen_nothing, inbound(messageId=""), report()))

    assert len(reading.batch.events) == 2
    assert [part.reason for part in reading.batch.quarantined] == [
        "REPORT_WITHOUT_ID",
        "INVALID_TEXT",
        "ITEM_NOT_AN_OBJECT",
        "RESULT_NOT_KNOWN",
        "SEEN_WITHOUT_ID",
        "MESSAGE_WITHOUT_ID",
    ]
    assert all(part.is_part for part in reading.batch.quarantined)


def test_an_empty_batch_is_an_answer() -> None:
    """Nothing happened, and nothing is wrong."""
    assert OPEN.events(results()) == []


def test_half_a_character_in_one_text_costs_nothing_else() -> None:
    """Strict decoders refuse the whole body for it."""
    body = b'{"results":[{"messageId":"m-1","status":{"groupName":"DELIVERED"},"x":"\\ud800"}]}'

    assert OPEN.event(body).kind == pb.EVENT_KIND_DELIVERED


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"results": 1}', b"\xff\xfe"])
def test_a_body_of_no_form_is_kept_if_proven_and_refused_if_not(body: bytes) -> None:
    """Quarantine is for what the provider sent."""
    (part,) = LOCKED.reading(body, headers=HEADERS).batch.quarantined

    assert not part.is_part
    assert is_refused(OPEN.outcome(body), 400)


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, "CREDENTIAL_MISSING"),
        ({"authorization": "Basic aG9vazpubw=="}, "CREDENTIAL_WRONG"),
        ({"authorization": "Basic !"}, "CREDENTIAL_WRONG"),
        ({"authorization": "Bearer hook:new"}, "CREDENTIAL_MISSING"),
    ],
)
def test_without_user_and_password_a_callback_is_refused(
    headers: dict[str, str], reason: str
) -> None:
    """Nothing else proves an Infobip callback."""
    assert LOCKED.outcome(results(report()), headers=headers) == Refused(reason, 401)


@pytest.mark.parametrize("encoded", ["aG9vazpvbGQ=", "aG9vazpuZXc="])
def test_any_live_password_proves_a_callback(encoded: str) -> None:
    """While it is changed, both come."""
    headers = {"authorization": f"Basic {encoded}"}

    assert LOCKED.events(results(report()), headers=headers)
