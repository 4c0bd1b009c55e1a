import json
from typing import Any

import pytest
from bluetick.v1 import common_pb2 as pb

from services.ingest.providers.generic import Generic
from tests.ingest.provider_readings import AT, AT_US, NOW_US, Reader

AUTO = Reader(Generic())
ISO = "2026-08-05T03:19:00Z"


def receipt(stat: str = "DELIVRD", **fields: Any) -> dict[str, Any]:
    """An SMPP receipt as a bridge passes it on."""
    text = (
        f"id:00ff sub:001 dlvrd:001 submit date:2608050318 done date:2608050319 stat:{stat} "
        "err:00B text:stat:ENROUTE"
    )
    return {"provider_message_id": "s-1", "recipient": "491700000001", "receipt": text, **fields}


def telnyx(*recipients: dict[str, Any], **payload: Any) -> dict[str, Any]:
    """A Telnyx event."""
    inner = {"id": "t-1", "to": list(recipients), "errors": [], **payload}
    return {"data": {"event_type": "message.finalized", "occurred_at": ISO, "payload": inner}}


def bandwidth(word: str, to: str = "+15550101", **fields: Any) -> dict[str, Any]:
    """One item of a Bandwidth callback."""
    message = {"id": "b-1", "to": fields.pop("all_to", [to]), "tag": "ref-1"}
    return {"type": word, "time": ISO, "to": to, "message": message, **fields}


@pytest.mark.parametrize(
    ("stat", "kind"),
    [
        ("ENROUTE", pb.EVENT_KIND_SENT),
        ("ACCEPTD", pb.EVENT_KIND_SENT),
        ("DELIVRD", pb.EVENT_KIND_DELIVERED),
        ("EXPIRED", pb.EVENT_KIND_UNDELIVERED),
        ("UNDELIV", pb.EVENT_KIND_UNDELIVERED),
        ("REJECTD", pb.EVENT_KIND_UNDELIVERED),
        ("DELETED", pb.EVENT_KIND_CANCELED),
        ("UNKNOWN", pb.EVENT_KIND_INFO),
        ("HOLOGRM", pb.EVENT_KIND_UNKNOWN),
    ],
)
def test_smpp_each_state_has_its_meaning(stat: str, kind: int) -> None:
    """The message's own text may look like a receipt, and is none."""
    event = AUTO.event(receipt(stat))

    assert (event.kind, event.provider_word) == (kind, stat)
    assert (event.provider_message_id, event.address) == ("s-1", "+491700000001")
    assert (event.occur_time_us, event.is_time_clamped) == (AT_US, False)
    assert event.provider_code == ("00B" if kind == pb.EVENT_KIND_UNDELIVERED else "")


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"id": "00ff", "short_message": receipt()["receipt"]}).encode(),
        b"short_message=id%3A00ff+sub%3A001+done+date%3A2608050319+stat%3ADELIVRD&from=491700000001",
        receipt()["receipt"].encode(),
    ],
)
def test_smpp_receipts_are_known_under_any_name(body: bytes) -> None:
    """As JSON, as a form, or bare; then the receipt's own id is the message's."""
    event = AUTO.event(body)

    assert (event.kind, event.provider_message_id) == (pb.EVENT_KIND_DELIVERED, "00ff")


@pytest.mark.parametrize(
    ("date", "time_us"), [("2608050319", AT_US), ("260805031930", AT_US + 30_000_000)]
)
def test_smpp_times_are_in_the_centres_zone(date: str, time_us: int) -> None:
    """Minutes, and at some centres seconds; no zone is ever told."""
    body = {"id": "1", "receipt": f"id:1 done date:{date} stat:DELIVRD"}
    nairobi = AUTO.with_account(options={"preset": "smpp", "time_zone": "Africa/Nairobi"})
    offset = AUTO.with_account(options={"preset": "smpp", "time_zone": "+03:00"})

    assert AUTO.event(body).occur_time_us == time_us
    assert nairobi.event(body).occur_time_us == time_us - 3 * 3_600_000_000
    assert offset.event(body).occur_time_us == time_us - 3 * 3_600_000_000


@pytest.mark.parametrize(
    ("mask", "kind"),
    [
        (1, pb.EVENT_KIND_DELIVERED),
        (2, pb.EVENT_KIND_UNDELIVERED),
        (4, pb.EVENT_KIND_SENT),
        (8, pb.EVENT_KIND_SENT),
        (12, pb.EVENT_KIND_SENT),
        (16, pb.EVENT_KIND_DROPPED),
        (9, pb.EVENT_KIND_DELIVERED),
        (10, pb.EVENT_KIND_UNDELIVERED),
        (24, pb.EVENT_KIND_DROPPED),
        (31, pb.EVENT_KIND_DELIVERED),
        (0, pb.EVENT_KIND_UNKNOWN),
        (32, pb.EVENT_KIND_UNKNOWN),
    ],
)
def test_kannel_says_all_that_is_true_at_once(mask: int, kind: int) -> None:
    """Bits are added up; the strongest evidence among them counts."""
    event = AUTO.query({"id": "k-1", "status": str(mask), "ts": str(AT), "answer": "NACK/11"})

    assert (event.kind, event.provider_message_id) == (kind, "k-1")
    assert event.occur_time_us == AT_US
    is_failure = kind in (pb.EVENT_KIND_DROPPED, pb.EVENT_KIND_UNDELIVERED)
    assert event.detail == ("NACK/11" if is_failure else "")


@pytest.mark.parametrize("word", ["one", "-1", "1.5", "9" * 30, "²"])
def test_kannel_a_mask_that_is_no_number_is_unknown(word: str) -> None:
    """Never an error, never a guess."""
    kannel = AUTO.with_account(options={"preset": "kannel"})

    assert kannel.query({"id": "k-1", "status": word}).kind == pb.EVENT_KIND_UNKNOWN


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (1, pb.EVENT_KIND_INFO),
        (2, pb.EVENT_KIND_QUEUED),
        (3, pb.EVENT_KIND_SENT),
        (4, pb.EVENT_KIND_DELIVERED),
        (5, pb.EVENT_KIND_DROPPED),
        (6, pb.EVENT_KIND_CANCELED),
        (7, pb.EVENT_KIND_DROPPED),
        (8, pb.EVENT_KIND_QUEUED),
        (9, pb.EVENT_KIND_DROPPED),
        (10, pb.EVENT_KIND_UNDELIVERED),
        (11, pb.EVENT_KIND_QUEUED),
        (12, pb.EVENT_KIND_DROPPED),
        (14, pb.EVENT_KIND_DROPPED),
        (99, pb.EVENT_KIND_UNKNOWN),
        ("004", pb.EVENT_KIND_DELIVERED),
    ],
)
def test_clickatell_each_number_has_its_meaning(code: int | str, kind: int) -> None:
    """Times are in milliseconds."""
    event = AUTO.event({"messageId": "c-1", "statusCode": code, "timestamp": AT * 1000})

    assert (event.kind, event.provider_message_id) == (kind, "c-1")
    assert event.occur_time_us == AT_US
    assert event.provider_code == (str(code) if kind in (9, 10) else "")


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("Success", pb.EVENT_KIND_DELIVERED),
        ("Sent", pb.EVENT_KIND_SENT),
        ("Buffered", pb.EVENT_KIND_SENT),
        ("Rejected", pb.EVENT_KIND_DROPPED),
        ("Failed", pb.EVENT_KIND_UNDELIVERED),
        ("Expired", pb.EVENT_KIND_UNDELIVERED),
        ("Hologram", pb.EVENT_KIND_UNKNOWN),
    ],
)
@pytest.mark.parametrize("date", ["", ISO, ISO[:-1]])
def test_africas_talking_each_word_has_its_meaning(word: str, kind: int, date: str) -> None:
    """Times come with a Z, without one, or not at all, and then nothing was promised."""
    event = AUTO.form(
        {"id": "a-1", "status": word, "phoneNumber": "+254700000001", "failureReason": "Why",
         "date": date}
    )  # fmt: skip

    assert (event.kind, event.address) == (kind, "+254700000001")
    assert event.occur_time_us == (AT_US if date else NOW_US)
    assert not event.is_time_clamped
    is_failure = kind in (pb.EVENT_KIND_DROPPED, pb.EVENT_KIND_UNDELIVERED)
    assert event.provider_code == ("Why" if is_failure else "")


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("queued", pb.EVENT_KIND_QUEUED),
        ("sent", pb.EVENT_KIND_SENT),
        ("delivered", pb.EVENT_KIND_DELIVERED),
        ("undelivered", pb.EVENT_KIND_UNDELIVERED),
        ("rejected", pb.EVENT_KIND_DROPPED),
        ("failed", pb.EVENT_KIND_DROPPED),
        ("hologram", pb.EVENT_KIND_UNKNOWN),
    ],
)
@pytest.mark.parametrize("field", ["Status", "status"])
def test_plivo_parts_are_counted_under_their_parent(word: str, kind: int, field: str) -> None:
    """The send answered the parent's id; each part of a long message has one of its own."""
    whole = AUTO.form({"MessageUUID": "p-1", field: word, "To": "+60120000001", "ErrorCode": "40"})
    part = AUTO.form({"MessageUUID": "p-2", "ParentMessageUUID": "p-1", field: word})

    assert (whole.kind, whole.address) == (kind, "+60120000001")
    assert whole.message_key == part.message_key


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("queued", pb.EVENT_KIND_QUEUED),
        ("sending", pb.EVENT_KIND_QUEUED),
        ("sent", pb.EVENT_KIND_SENT),
        ("delivered", pb.EVENT_KIND_DELIVERED),
        ("sending_failed", pb.EVENT_KIND_DROPPED),
        ("delivery_failed", pb.EVENT_KIND_UNDELIVERED),
        ("delivery_unconfirmed", pb.EVENT_KIND_SENT),
        ("hologram", pb.EVENT_KIND_UNKNOWN),
    ],
)
def test_telnyx_the_status_is_the_recipients(word: str, kind: int) -> None:
    """`event_type` says finalized for a failure, too."""
    body = telnyx({"phone_number": "+15550101", "status": word}, errors=[{"code": "40001"}])

    event = AUTO.event(body)

    assert (event.kind, event.provider_message_id) == (kind, "t-1")
    assert (event.address, event.occur_time_us) == ("+15550101", AT_US)
    is_failure = kind in (pb.EVENT_KIND_DROPPED, pb.EVENT_KIND_UNDELIVERED)
    assert event.provider_code == ("40001" if is_failure else "")


def test_telnyx_several_recipients_are_several_messages() -> None:
    """One id covers them all, so the recipient belongs to the key."""
    body = telnyx(
        {"phone_number": "+15550101", "status": "delivered"},
        "odd",  # type: ignore[arg-type]
        {"phone_number": "+15550102", "status": "delivery_failed"},
    )

    reading = AUTO.reading(body)

    ids = [event.provider_message_id for event in reading.batch.events]
    assert ids == ["t-1/+15550101", "t-1/+15550102"]
    assert [part.reason for part in reading.batch.quarantined] == ["ITEM_NOT_AN_OBJECT"]


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("message-sending", pb.EVENT_KIND_QUEUED),
        ("message-delivered", pb.EVENT_KIND_DELIVERED),
        ("message-failed", pb.EVENT_KIND_UNDELIVERED),
        ("message-hologram", pb.EVENT_KIND_UNKNOWN),
    ],
)
def test_bandwidth_each_word_of_its_list_has_its_meaning(word: str, kind: int) -> None:
    """A list, though nearly always of one."""
    body = [bandwidth(word, errorCode=4720, description="invalid destination")]

    event = AUTO.event(body)

    assert (event.kind, event.provider_message_id) == (kind, "b-1")
    assert (event.message_ref, event.occur_time_us) == ("ref-1", AT_US)
    is_failure = kind == pb.EVENT_KIND_UNDELIVERED
    assert event.provider_code == ("4720" if is_failure else "")


def test_bandwidth_one_odd_item_costs_no_neighbour() -> None:
    """And a group message is counted by recipient."""
    group = ["+15550101", "+15550102"]
    body = [7, bandwidth("message-delivered", all_to=group), {"type": "message-failed"}]

    reading = AUTO.reading(body)

    (event,) = reading.batch.events
    assert event.provider_message_id == "b-1/+15550101"
    assert [part.is_part for part in reading.batch.quarantined] == [True, True]
