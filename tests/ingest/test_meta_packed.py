import hmac
from typing import Any

import pytest
from bluetick.v1.event_pb2 import EventBatch
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.runtime.accounts import Account
from services.ingest.adapters.message_pieces import PieceLimits, pieces_of
from services.ingest.domain.keyed_hash import hmac_sha256_hex
from services.ingest.domain.reading import Reading
from services.ingest.providers.dialog360 import Dialog360
from services.ingest.providers.gupshup import Gupshup
from services.ingest.providers.meta import Meta
from tests.ingest.meta_bodies import ACCOUNT, AT, NOW_S, callback, change, envelope, status
from tests.ingest.packed_readings import check_same

TEXTS = st.sampled_from(["", "a", "é😀", "x" * 64, "y" * 65, "z" * 512, "w" * 513, None])
IDS = [
    "wamid.1",
    "wamid.a/b/c==",
    "wamid.a/b/cdEF",
    " wamid.a/b=",
    "wamid.a/123456",
    "wamid.a/DE.x1",
    "v" * 127,
    "u" * 128,
]
TIMES = st.sampled_from(
    [str(AT), AT, AT + 0.5, str(NOW_S), str(NOW_S + 1), "0", "-5", "9" * 16, "9" * 30, "x", None]
)
PHONES = [
    "14155550101",
    "12345",
    "123456",
    "1" * 15,
    "1" * 16,
    "\u0661" * 8,
    "+14155550101",
    "DE.1",
]
CONTACTS: list[dict[str, Any]] = [
    {},
    {"contacts": []},
    {"contacts": [{"wa_id": "14155550101"}]},
    {"contacts": [{"wa_id": "14155550101", "user_id": "DE.9"}, {"wa_id": "DE.1", "user_id": "a"}]},
]
STATUSES = st.fixed_dictionaries(
    {},
    optional={
        "id": st.one_of(TEXTS, st.sampled_from(IDS)),
        "status": st.sampled_from(["sent", "delivered", "read", "played", "failed", "new", None]),
        "timestamp": TIMES,
        "recipient_id": st.one_of(TEXTS, st.sampled_from(PHONES)),
        "recipient_user_id": TEXTS,
        "recipient_participant_id": TEXTS,
        "biz_opaque_callback_data": TEXTS,
        "pricing": st.fixed_dictionaries(
            {}, optional={"pricing_model": TEXTS, "type": TEXTS, "category": TEXTS,
                          "billable": st.sampled_from([True, False, None])}
        ),
        "errors": st.sampled_from([None, [], [{"code": 131050}], [{"code": 1}, {"code": 2}]]),
        "type": st.sampled_from(["payment", None]),
    },
)  # fmt: skip


GUPSHUP_ID = "11111111-2222-4333-8444-555555555abc"
GUPSHUP_IDS = st.sampled_from(
    [GUPSHUP_ID] * 6 + [GUPSHUP_ID.upper(), f"AB{GUPSHUP_ID}", f"<{GUPSHUP_ID}>", "g-1", "", None]
)
OTHERS = {
    provider.name: (provider, Account(provider=provider.name, account="acct_1", tenant="demo"))
    for provider in (Dialog360(), Gupshup())
}


@settings(deadline=None)
@given(st.lists(STATUSES, max_size=6), st.sampled_from(CONTACTS))
def test_packed_statuses_are_the_events_that_reading_gives(
    drawn: list[dict[str, Any]], contacts: dict[str, Any]
) -> None:
    """Bytes put together by hand must not say one thing more, or less, than the messages do."""
    statuses = [{**status(), **fields} for fields in drawn]

    check_same(Meta(), ACCOUNT, callback(envelope(change(statuses=statuses, **contacts))))


@pytest.mark.parametrize("name", OTHERS)
@settings(deadline=None)
@given(
    drawn=st.lists(st.tuples(STATUSES, GUPSHUP_IDS, st.booleans()), max_size=6),
    contacts=st.sampled_from(CONTACTS),
    more=st.sampled_from([{}, {"gs_app_id": "a"}, {"gs_app_id": 7}, {"app": "x"}]),
)
def test_so_are_those_that_partners_pass_on(
    name: str,
    drawn: list[tuple[dict[str, Any], str | None, bool]],
    contacts: dict[str, Any],
    more: dict[str, Any],
) -> None:
    """With ids of their own, which have canonical forms, and words of their own."""
    statuses = [
        {**status(), **fields, "gs_id": own} | ({"status": "enqueued"} if is_own else {})
        for fields, own, is_own in drawn
    ]

    body = {**envelope(change(statuses=statuses, **contacts)), **more}
    check_same(*OTHERS[name], callback(body))


@pytest.mark.parametrize("name", OTHERS)
def test_plain_ones_of_partners_are_bytes(name: str) -> None:
    """What is compared above must have been packed."""
    provider, account = OTHERS[name]
    more = {"gs_id": GUPSHUP_ID} if name == "gupshup" else {}
    body = envelope(change(statuses=[{**status("read"), **more}]))

    reading = provider.parse_packed(callback(body), account)

    assert isinstance(reading, Reading)
    assert reading.is_all_packed
    assert reading.event_count == 1


def test_a_callback_of_plain_statuses_is_packed_and_cut_like_any_other() -> None:
    """What is compared above must have been bytes."""
    statuses = [status("read", id=f"wamid.{n}") for n in range(30)]

    reading = Meta().parse_packed(callback(envelope(change(statuses=statuses))), ACCOUNT)

    assert isinstance(reading, Reading)
    assert reading.packed is not None
    assert (reading.packed.count, len(reading.batch.events)) == (30, 0)
    pieces = pieces_of(reading.batch, PieceLimits(batch_events_max=7), reading.packed)
    assert [count for _, count in pieces] == [7, 7, 7, 7, 2]
    names = [
        event.provider_message_id
        for piece, _ in pieces
        for event in EventBatch.FromString(piece).events
    ]
    assert names == [item["id"] for item in statuses]


@settings(deadline=None)
@given(st.text(max_size=200), st.binary(max_size=300))
def test_a_hash_with_the_key_worked_in_is_the_standard_one(secret: str, message: bytes) -> None:
    """The provider computes it in the ordinary way."""
    assert (
        hmac_sha256_hex(secret, message) == hmac.new(secret.encode(), message, "sha256").hexdigest()
    )
