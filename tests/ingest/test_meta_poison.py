import json
from typing import Any

import pytest

from services.ingest.providers.mended_json import DEPTH_MAX, mend
from services.ingest.providers.meta_body import PARTS_MAX
from tests.ingest.meta_bodies import change, dump, envelope, quarantined, read, status

GOOD = [status("sent", id="wamid.A"), status("read", id="wamid.B")]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "BODY_NOT_JSON"),
        (b"not json", "BODY_NOT_JSON"),
        (b'{"object": "whatsapp_business_account"', "BODY_NOT_JSON"),
        (b"\x00\x00", "BODY_NOT_JSON"),
        (b"\xff\xfe{}", "BODY_NOT_JSON"),
        (b"[1, 2]", "BODY_NOT_AN_OBJECT"),
        (b'"text"', "BODY_NOT_AN_OBJECT"),
        (b"7", "BODY_NOT_AN_OBJECT"),
        (b"null", "BODY_NOT_AN_OBJECT"),
        (b"{}", "OBJECT_MISSING"),
        (b'{"object": 7}', "OBJECT_MISSING"),
        (b'{"object": "whatsapp_business_account"}', "LIST_MISSING"),
        (b'{"object": "whatsapp_business_account", "entry": {"a": 1}}', "NOT_A_LIST"),
        (b'{"object": "whatsapp_business_account", "entry": [7]}', "NOT_AN_OBJECT"),
        (b'{"object": "whatsapp_business_account", "entry": [{}]}', "LIST_MISSING"),
        (b'{"object": "whatsapp_business_account", "entry": [{"changes": [[]]}]}', "NOT_AN_OBJECT"),
        (dump(envelope({"field": "messages", "value": [1]})), "NOT_AN_OBJECT"),
        (dump(envelope(change(statuses={"id": 1}))), "NOT_A_LIST"),
        (b"[" * 10_000 + b"]" * 10_000, "BODY_NOT_AN_OBJECT"),
        (b"[" * 10_000, "BODY_NOT_JSON"),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "OBJECT_MISSING"),
    ],
)
def test_a_body_of_the_wrong_shape_is_kept_with_its_reason(body: bytes, reason: str) -> None:
    """It is authentic, so it is evidence: of a change at Meta, or of a bug."""
    reading = read(body)

    assert [part.reason for part in reading.batch.quarantined] == [reason]
    assert not reading.batch.events
    assert body.find(reading.batch.quarantined[0].body) >= 0


DEEP = b'{"a":' * 10_000 + b"1" + b"}" * 10_000


@pytest.mark.parametrize(
    "poison",
    [
        b'{"id": NaN, "status": "read", "timestamp": "1785899940"}',
        b'{"id": "x", "status": "read", "timestamp": -Infinity}',
        b'{"id": "\\ud800", "status": "read", "timestamp": "1785899940"}',
        b'{"id": "\\udc00\\ud800", "status": "read", "timestamp": "1785899940"}',
        b'{"id": "\\u0000", "status": "read", "timestamp": "1785899940"}',
        b'{"id": "\xff", "status": "read", "timestamp": "1785899940"}',
        b'{"id": "x", "status": "read", "timestamp": ' + b"9" * 5_000 + b"}",
        DEEP,
        b"[" * 5_000 + b"]" * 5_000,
    ],
)
def test_bytes_that_no_decoder_takes_cost_only_the_item_they_are_in(poison: bytes) -> None:
    """One half of an emoji would otherwise lose a thousand statuses."""
    first, last = (dump(item) for item in GOOD)
    body = dump(envelope(change(statuses=["?"]))).replace(b'"?"', b", ".join([first, poison, last]))

    reading = read(body)

    names = [event.provider_message_id for event in reading.batch.events]
    assert names == ["wamid.A", "wamid.B"]
    (part,) = reading.batch.quarantined
    assert part.body == poison


@pytest.mark.parametrize("extra", [DEEP, b"NaN", b'"\\ud800"', b'"\\u0000"', b"1e999"])
def test_poison_in_a_field_that_nobody_needs_costs_nothing(extra: bytes) -> None:
    """What is not read cannot hurt."""
    item = dump(status("read")).replace(b"{", b'{"extra": ' + extra + b", ", 1)
    body = dump(envelope(change(statuses=["?"]))).replace(b'"?"', item)

    reading = read(body)

    assert len(reading.batch.events) == 1
    assert not reading.batch.quarantined


def test_a_key_told_twice_means_its_last_value() -> None:
    """As every decoder has it; and nothing crashes."""
    item = b'{"id": "a", "id": "b", "status": "read", "timestamp": "1785899940"}'
    body = dump(envelope(change(statuses=["?"]))).replace(b'"?"', item)

    assert [event.provider_message_id for event in read(body).batch.events] == ["b"]


def test_a_body_of_countless_broken_parts_is_kept_as_one() -> None:
    """One callback must not fill the quarantine with its crumbs."""
    reading = read(envelope(change(statuses=[{}] * (PARTS_MAX + 1) + GOOD)))

    (part,) = reading.batch.quarantined
    assert part.reason == "PARTS_TOO_MANY"
    assert not part.is_part
    assert len(reading.batch.events) == 2


def test_details_never_hold_a_value_of_the_body() -> None:
    """They are read by people who may not see what the body says."""
    secret = "4915123456789"
    for broken in ({"id": secret}, {"status": secret}, secret, [secret], {"timestamp": secret}):
        ((_, detail),) = quarantined(envelope(change(statuses=[broken])))
        assert secret not in detail


@pytest.mark.parametrize(
    "text",
    [
        '{"a": "\\ud83d\\ude00", "b": "\\\\ud800", "c": "say \\"NaN\\" [[["}',
        '{"a": [1, {"b": []}], "c": "\\u0000"}',
    ],
)
def test_mending_leaves_sound_json_as_it_is(text: str) -> None:
    """Pairs of surrogates, escaped backslashes and words inside texts are no defects."""
    assert mend(text.encode()) == text.encode()


@pytest.mark.parametrize(
    "text",
    [
        '{"a": "\\ud800"}',
        "[NaN, -Infinity, Infinity]",
        "[" * 90 + "1" + "]" * 90,
        '{"a": "\\uDFFF\\ud83d"}',
    ],
)
def test_mending_keeps_every_byte_in_its_place(text: str) -> None:
    """The original of an item is cut out by its place."""
    mended = mend(text.encode())

    assert len(mended) == len(text)
    found: Any = json.loads(mended)
    depth = 0
    while isinstance(found, list) and found:
        found, depth = found[0], depth + 1
    assert depth <= DEPTH_MAX
