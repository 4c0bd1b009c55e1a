from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.domain.reading import Reading
from services.ingest.providers.infobip import Infobip
from tests.ingest.packed_readings import check_same
from tests.ingest.provider_readings import Reader

OPEN = Reader(Infobip())
ID = "11111111-2222-4333-8444-555555555abc"
PLAIN: dict[str, Any] = {
    "messageId": ID,
    "to": "4915155681537",
    "sentAt": "2026-08-05T03:18:00.000+0000",
    "doneAt": "2026-08-05T03:19:00.000+0000",
    "messageCount": 2,
    "price": {"pricePerMessage": 0.01, "currency": "EUR"},
    "status": {"groupId": 3, "groupName": "DELIVERED", "id": 5, "name": "DELIVERED_TO_HANDSET"},
    "error": {"groupId": 0, "groupName": "OK", "id": 0, "name": "NO_ERROR"},
}
TEXTS = st.sampled_from(["", " ", "a", "x" * 512, "y" * 513, "\u00e9", "a\x00b", None, 7, True])
TIMES = st.sampled_from(
    [
        "2026-08-05T00:19:00.000-0300",
        "2026-08-05T03:19:00Z",
        "2096-08-05T03:19:00Z",
        "",
        "x",
        None,
        5,
    ]
)
GROUPS = st.sampled_from(
    [
        "ACCEPTED",
        "pending",
        "PENDING",
        "DELIVERED",
        "UNDELIVERABLE",
        "EXPIRED",
        "REJECTED",
        "NEW",
        "",
        "Z" * 70,
        None,
        3,
    ]
)
RESULTS = st.fixed_dictionaries(
    {},
    optional={
        "messageId": st.one_of(
            TEXTS, st.sampled_from([ID] * 4 + [ID.upper(), "12345", f"{ID}/1", "ab" + ID])
        ),
        "to": st.one_of(
            TEXTS, st.sampled_from(["4915155681537", " 491 ", "1" * 16, "kim@mail.example"])
        ),
        "destination": TEXTS,
        "from": TEXTS,
        "sender": TEXTS,
        "sentAt": TIMES,
        "doneAt": TIMES,
        "seenAt": TIMES,
        "messageCount": st.sampled_from([1, 3, 0, -1, "2", "x", 1.5, True, None]),
        "price": st.one_of(
            st.none(),
            st.fixed_dictionaries(
                {},
                optional={
                    "pricePerMessage": st.sampled_from([0, 0.01, 1, 1.0, "0.5", "x", True, None]),
                    "currency": st.sampled_from(["EUR", "eur", "", None]),
                },
            ),
        ),
        "status": st.one_of(
            st.sampled_from([None, {}, "x"]),
            st.fixed_dictionaries(
                {},
                optional={
                    "groupName": GROUPS,
                    "groupId": st.sampled_from([0, 1, 3, 5, "1", 9, None, True]),
                    "name": st.sampled_from(
                        ["PENDING_ENROUTE", "PENDING_ACCEPTED", "", "n" * 70, None]
                    ),
                    "id": st.integers(0, 9),
                },
            ),
        ),
        "error": st.sampled_from(
            [{"id": 27, "name": "EC_27"}, {"id": 0, "name": "NO_ERROR"}, None]
        ),
        "callbackData": TEXTS,
        "integrationType": st.sampled_from(["WHATSAPP", "sms", "x", "", None]),
        "channel": st.sampled_from(["SMS", "EMAIL", None]),
        "event": st.sampled_from(
            ["DELIVERY", "SEEN", "MO", "TYPING_STARTED", "", None, {"type": "DELIVERY"}]
        ),
        "smsCount": st.sampled_from([1, None]),
        "message": st.sampled_from([{}, [], {"text": "STOP"}, None]),
    },
)


@settings(deadline=None, max_examples=300)
@given(
    st.lists(st.tuples(st.just(PLAIN), RESULTS, st.integers(0, 3)), max_size=5),
    st.sampled_from([{}, {"more": 1}]),
)
def test_packed_reports_are_the_events_that_reading_gives(
    drawn: list[tuple[dict[str, Any], dict[str, Any], int]], more: dict[str, Any]
) -> None:
    """A few fields odd, or all of them at random."""
    results = [
        {**plain, **dict(list(odd.items())[:count])} if count < 3 else odd
        for plain, odd, count in drawn
    ]

    check_same(Infobip(), OPEN.account, OPEN.callback({"results": results, **more}))


def test_plain_reports_are_bytes_and_an_odd_one_among_them_is_kept() -> None:
    """What is compared above must have been packed."""
    odd = {**PLAIN, "messageId": ""}

    reading = Infobip().parse_packed(OPEN.callback({"results": [PLAIN, odd, PLAIN]}), OPEN.account)

    assert isinstance(reading, Reading)
    assert reading.packed is not None
    assert reading.packed.count == 2
    assert [part.reason for part in reading.batch.quarantined] == ["REPORT_WITHOUT_ID"]
