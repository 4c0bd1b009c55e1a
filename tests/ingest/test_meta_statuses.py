from typing import Any

import pytest
from bluetick.v1 import common_pb2 as pb

from libs.runtime.keys import message_key
from services.ingest.providers.meta_statuses import KIND_BY_STATUS
from tests.ingest.meta_bodies import (
    AT,
    NOW_US,
    PHONE,
    USER_ID,
    WAMID,
    change,
    dump,
    envelope,
    event,
    events,
    quarantined,
    read,
    status,
)


def _of(*statuses: dict[str, Any]) -> dict[str, Any]:
    return envelope(change(statuses=list(statuses)))


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("sent", pb.EVENT_KIND_SENT),
        ("delivered", pb.EVENT_KIND_DELIVERED),
        ("read", pb.EVENT_KIND_READ),
        ("played", pb.EVENT_KIND_PLAYED),
        ("failed", pb.EVENT_KIND_UNDELIVERED),
        ("deleted", pb.EVENT_KIND_INFO),
        ("warning", pb.EVENT_KIND_INFO),
    ],
)
def test_each_of_metas_words_becomes_one_of_ours(word: str, kind: int) -> None:
    """A word that slips from one kind to another changes every number after it."""
    found = event(_of(status(word)))

    assert found.kind == kind
    assert found.provider_word == word
    assert found.provider_message_id == WAMID
    assert found.message_key == message_key("demo", "meta", WAMID)
    assert found.occur_time_us == AT * 1_000_000
    assert found.receive_time_us == NOW_US
    assert (found.tenant_id, found.provider, found.account) == ("demo", "meta", "acct_1")
    assert found.address == "+" + PHONE


def test_the_table_above_names_every_word() -> None:
    """A word added to the dialect must be added to the test."""
    assert set(KIND_BY_STATUS) == {
        "sent", "delivered", "read", "played", "failed", "deleted", "warning",
    }  # fmt: skip


def test_a_word_of_tomorrow_is_kept_as_it_came() -> None:
    """Nothing is guessed: the message does not move, and the original is there to be read."""
    found = event(_of(status("teleported", distance=7)))

    assert found.kind == pb.EVENT_KIND_UNKNOWN
    assert found.provider_word == "teleported"
    assert found.provider_message_id == WAMID
    assert b'"distance"' in found.raw


def test_a_payment_is_no_state_of_the_message() -> None:
    """Payments share the list of statuses, with words of their own."""
    found = event(_of(status("captured", type="payment", payment={"reference_id": "order-1"})))

    assert found.kind == pb.EVENT_KIND_INFO
    assert found.detail == "payment"


def test_pricing_rides_along() -> None:
    """What Meta charges is told once, on whichever status it likes."""
    pricing = {
        "billable": True,
        "pricing_model": "PMP",
        "type": "regular",
        "category": "authentication-international",
    }

    found = event(_of(status("read", pricing=pricing))).pricing

    assert (found.model, found.type, found.category) == (
        "PMP",
        "regular",
        "authentication-international",
    )
    assert found.billable is True


def test_pricing_without_billable_does_not_say_that_it_is_free() -> None:
    """The field is to be withdrawn; absent is not false."""
    found = event(_of(status(pricing={"pricing_model": "PMP", "type": "regular"})))

    assert not found.pricing.HasField("billable")
    assert not event(_of(status())).HasField("pricing")


def test_the_senders_own_id_comes_back() -> None:
    """It finds the message when the callback is faster than the sender's record."""
    assert event(_of(status(biz_opaque_callback_data="ref-7"))).message_ref == "ref-7"


@pytest.mark.parametrize(
    ("fields", "address"),
    [
        ({"recipient_id": PHONE, "recipient_user_id": USER_ID}, "+" + PHONE),
        ({"recipient_id": None, "recipient_user_id": USER_ID}, USER_ID),
        ({"recipient_id": None, "parent_recipient_user_id": "DE.ENT.7"}, "DE.ENT.7"),
        ({"recipient_id": None, "recipient_parent_user_id": "DE.ENT.8"}, "DE.ENT.8"),
        ({"recipient_id": None}, ""),
        ({"recipient_id": "553188887777"}, "+553188887777"),
    ],
)
def test_the_recipient_is_a_phone_or_a_user_id_or_nobody(
    fields: dict[str, Any], address: str
) -> None:
    """Since 2026 the phone may be missing; messages are matched by id, so that does no harm."""
    assert event(_of(status(**fields))).address == address


def test_each_participant_of_a_group_has_a_message_of_their_own() -> None:
    """One wamid covers them all: keyed by it alone, two readers would be one."""
    group = {"recipient_id": "1203630@g.us", "recipient_type": "group"}
    found = events(
        _of(
            status("read", **group, recipient_participant_id="14155550102"),
            status("read", **group, recipient_participant_user_id=USER_ID),
            status("sent", **group),
        )
    )

    assert [one.provider_message_id for one in found] == [
        f"{WAMID}/14155550102",
        f"{WAMID}/{USER_ID}",
        WAMID,
    ]
    assert [one.address for one in found] == ["+14155550102", USER_ID, "1203630@g.us"]
    assert len({one.message_key for one in found}) == 3


def test_a_failure_carries_code_reason_and_the_most_exact_words() -> None:
    """Titles are to be retired; the code and its details stay."""
    error = {
        "code": 131049,
        "title": "short",
        "message": "longer",
        "error_data": {"details": "exact"},
    }

    found = event(_of(status("failed", errors=[error])))

    assert found.provider_code == "131049"
    assert found.reason == pb.FAILURE_REASON_META_RECIPIENT_LIMIT
    assert found.detail == "exact"


@pytest.mark.parametrize(
    ("errors", "code", "detail"),
    [
        ([{"code": 131026, "title": "only a title"}], "131026", "only a title"),
        ([{"code": "131026"}], "131026", ""),
        ([{"title": "no code"}], "", "no code"),
        ([], "", ""),
        (None, "", ""),
    ],
)
def test_a_failure_with_little_said_is_still_a_failure(errors: Any, code: str, detail: str) -> None:
    """An undelivered message must not look pending because its error is thin."""
    found = event(_of(status("failed", errors=errors)))

    assert found.kind == pb.EVENT_KIND_UNDELIVERED
    assert (found.provider_code, found.detail) == (code, detail)
    assert found.reason != pb.FAILURE_REASON_UNSPECIFIED


def test_a_code_nobody_knows_says_so() -> None:
    """Unknown is a value: it must not hide in a reason that it is not."""
    found = event(_of(status("failed", errors=[{"code": 999_999}])))

    assert found.reason == pb.FAILURE_REASON_UNMAPPED
    assert found.provider_code == "999999"


def test_all_codes_of_one_failure_are_kept() -> None:
    """The second code may be the one that explains the first."""
    found = events(_of(status("failed", errors=[{"code": 131026}, {"code": 130472}])))

    assert [one.provider_code for one in found] == ["131026", "130472"]
    assert {one.kind for one in found} == {pb.EVENT_KIND_UNDELIVERED}
    assert len({(one.message_key, one.occur_time_us) for one in found}) == 1


def test_a_person_who_stopped_marketing_is_unsubscribed_by_the_failure() -> None:
    """The opt-out is real, and proves no delivery."""
    failed, opt_out = events(_of(status("failed", errors=[{"code": 131050}])))

    assert failed.kind == pb.EVENT_KIND_UNDELIVERED
    assert opt_out.kind == pb.EVENT_KIND_UNSUBSCRIBED
    assert opt_out.engagement.by_failure
    assert opt_out.engagement.act_id
    assert opt_out.message_key == failed.message_key
    assert opt_out.address == failed.address
    assert opt_out.provider_code == ""


@pytest.mark.parametrize(
    "timestamp",
    [str(AT), AT, float(AT), f"{AT}.0"],
)
def test_a_time_is_read_as_text_and_as_a_number(timestamp: Any) -> None:
    """Meta writes statuses with text and preferences with numbers."""
    found = event(_of(status(timestamp=timestamp)))

    assert found.occur_time_us == AT * 1_000_000
    assert not found.is_time_clamped


@pytest.mark.parametrize(
    "timestamp",
    ["0", 0, -5, "1230767999", NOW_US, str(10**19), 1e300, AT + 86_400 * 3],
)
def test_a_time_beyond_belief_is_replaced_by_the_receipt_and_marked(timestamp: Any) -> None:
    """A zero would be the earliest delivery ever; a far future would never be overtaken."""
    found = event(_of(status(timestamp=timestamp)))

    assert found.occur_time_us == NOW_US
    assert found.is_time_clamped


def test_a_clock_that_runs_ahead_by_two_minutes_is_believed_and_no_further() -> None:
    """Two clocks never agree; but nothing is told before it happens, so an hour is a wrong zone."""
    near, far = (
        event(_of(status(timestamp=str(NOW_US // 1_000_000 + ahead)))) for ahead in (120, 121)
    )

    assert (near.occur_time_us, near.is_time_clamped) == (
        (NOW_US // 1_000_000 + 120) * 1_000_000,
        False,
    )
    assert (far.occur_time_us, far.is_time_clamped) == (NOW_US, True)
    assert not far.is_time_untold


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (status(id=None), "STATUS_WITHOUT_ID"),
        (status(id=""), "STATUS_WITHOUT_ID"),
        (status(timestamp=None), "STATUS_WITHOUT_TIMESTAMP"),
        (status(timestamp="soon"), "STATUS_WITHOUT_TIMESTAMP"),
        (status(timestamp=""), "STATUS_WITHOUT_TIMESTAMP"),
        (status(timestamp={}), "STATUS_WITHOUT_TIMESTAMP"),
        (status(timestamp=True), "STATUS_WITHOUT_TIMESTAMP"),
        (status(id="x" * 600), "STATUS_ID_TOO_LONG"),
        (status(id="a\x00b"), "INVALID_TEXT"),
        (status(recipient_id="\x00"), "INVALID_TEXT"),
        (status(id="\ud800"), "INVALID_TEXT"),
        (7, "ITEM_NOT_AN_OBJECT"),
        (None, "ITEM_NOT_AN_OBJECT"),
    ],
)
def test_one_poisonous_status_leaves_its_neighbours_alone(broken: Any, reason: str) -> None:
    """One broken item must not cost the rest of a thousand."""
    before, after = status("sent", id="wamid.A"), status("read", id="wamid.B")

    reading = read(_of(before, broken, after))

    assert [one.provider_message_id for one in reading.batch.events] == ["wamid.A", "wamid.B"]
    (part,) = reading.batch.quarantined
    assert part.reason == reason
    assert "statuses[1]" in part.detail
    assert part.is_part
    assert part.body == dump(broken)


@pytest.mark.parametrize(
    "drifted",
    [
        {"id": 12345},
        {"recipient_id": 14155550101},
        {"biz_opaque_callback_data": 7},
        {"pricing": "free"},
        {"pricing": {"billable": "yes", "category": 3}},
        {"errors": {"code": 1}},
        {"errors": [1, "two", {"code": {"x": 1}}]},
        {"conversation": None},
        {"pricing": None, "errors": None},
        {"type": 5},
    ],
)
def test_types_that_drift_lose_nothing_that_can_be_read(drifted: dict[str, Any]) -> None:
    """A number where a text was is no reason to lose a delivery."""
    item = {"id": WAMID, "status": "delivered", "timestamp": str(AT), **drifted}

    found = event(_of(item))

    assert found.kind == pb.EVENT_KIND_DELIVERED
    assert found.provider_message_id == str(item["id"])


def test_several_numbers_statuses_and_messages_share_one_post() -> None:
    """Meta batches whatever it has: up to a thousand updates."""
    body = envelope(
        change(statuses=[status("read"), status("delivered"), status("sent")]),
        change(statuses=[status("sent", id="wamid.OTHER")]),
    )

    assert len(events(body)) == 4
    assert not quarantined(body)
