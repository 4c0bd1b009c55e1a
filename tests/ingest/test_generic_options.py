import json
from typing import Any

import pytest
from bluetick.v1 import common_pb2 as pb

from services.ingest.providers.generic import Generic
from services.ingest.providers.generic_dialect import KIND_BY_WORD
from services.ingest.providers.provider import Answer, Refused
from services.ingest.record_callback import answer_to
from tests.ingest.provider_readings import AT, AT_US, NOW_US, Reader, is_refused

AUTO = Reader(Generic())
ISO = "2026-08-05T03:19:00Z"
RECEIPT = {"id": "s-1", "receipt": "id:s-1 done date:2608050319 stat:DELIVRD err:000"}
OWN = {
    "format": "json",
    "id_field": "data.ids.1|id",
    "recipient_field": "data.to",
    "status_field": "data.state",
    "time_field": "data.at",
    "error_field": "data.error",
    "reference_field": "data.ref",
    "statuses": json.dumps({"OK": "delivered", "BAD": "undelivered", "NO": "failed"}),
    "time_zone": "Asia/Kolkata",
}
OWN_READER = AUTO.with_account(options=OWN)


def own(**data: Any) -> dict[str, Any]:
    """A body of an operator's own description."""
    given = {"ids": ["a", "o-1"], "to": "491700000001", "state": "OK", "at": AT, "ref": "ref-1"}
    return {"data": {**given, **data}}


def test_an_operators_own_fields_are_found_by_their_paths() -> None:
    """Dots go deeper, digits into lists, a bar tries the next place."""
    event = OWN_READER.event(own(state="BAD", error=7))

    assert (event.kind, event.provider_message_id) == (pb.EVENT_KIND_UNDELIVERED, "o-1")
    assert (event.address, event.message_ref) == ("+491700000001", "ref-1")
    assert (event.provider_code, event.occur_time_us) == ("7", AT_US)
    assert OWN_READER.event({**own(ids=[]), "id": 12}).provider_message_id == "12"


@pytest.mark.parametrize(
    ("written", "formats", "time_us"),
    [
        (AT, "s", AT_US),
        (str(AT), "s", AT_US),
        (AT + 0.5, "s", AT_US + 500_000),
        (AT * 1000, "ms", AT_US),
        (str(AT * 1000), "s,ms", AT_US),
        (ISO, "iso", AT_US),
        ("2026-08-05T03:19:00+0000", "iso", AT_US),
        ("2026-08-05T08:49:00", "iso", AT_US),
        ("2026-08-05 08:49:00", "YYYY-MM-DD HH:MM:SS", AT_US),
        ("2608050849", "YYMMDDhhmm", AT_US),
        (2608050849, "s,YYMMDDhhmm", AT_US),
        ("260805084930", "YYMMDDhhmm", AT_US + 30_000_000),
    ],
)
def test_times_are_read_in_each_format_with_the_default_zone(
    written: Any, formats: str, time_us: int
) -> None:
    """Of several readings, the one that can be true near the time of receipt counts."""
    reader = AUTO.with_account(options={**OWN, "time_formats": formats})

    event = reader.event(own(at=written))

    assert (event.occur_time_us, event.is_time_clamped) == (time_us, False)


@pytest.mark.parametrize("written", [None, "", "soon", 0, -1, 1e300, True, [], "9" * 40])
def test_a_time_that_was_promised_and_is_none_is_marked(written: Any) -> None:
    """The time of receipt stands for it."""
    event = OWN_READER.event(own(at=written))

    assert (event.occur_time_us, event.is_time_clamped) == (NOW_US, True)


@pytest.mark.parametrize(("word", "kind"), KIND_BY_WORD.items())
def test_a_status_table_may_say_each_of_our_words(word: str, kind: int) -> None:
    """Their words are compared without regard to case."""
    reader = AUTO.with_account(options={**OWN, "statuses": json.dumps({"Their Word": word})})

    event, again = reader.event(own(state="their word")), reader.event(own(state="THEIR WORD"))

    assert event.kind == again.kind == kind
    consent = (
        pb.EVENT_KIND_UNSUBSCRIBED, pb.EVENT_KIND_RESUBSCRIBED, pb.EVENT_KIND_COMPLAINED
    )  # fmt: skip
    assert bool(event.engagement.act_id) == (kind in consent)


def test_a_preset_can_be_bent_field_by_field() -> None:
    """Kannel's reports have the names that its operator gives them."""
    options = {"preset": "kannel", "id_field": "msg", "statuses": '{"2": "failed", "1": "read"}'}
    reader = AUTO.with_account(options=options)

    assert reader.query({"msg": "k-1", "status": "3"}).kind == pb.EVENT_KIND_DROPPED


def test_lists_and_forms_are_described_as_well() -> None:
    """A list on top, a list inside, a form, a query."""
    base = {"id_field": "id", "status_field": "st", "statuses": '{"ok": "delivered"}'}
    item = {"id": "1", "st": "ok"}

    array = AUTO.with_account(options={**base, "format": "array"}).events([item, item])
    inside = AUTO.with_account(options={**base, "items_field": "a.b"}).events({"a": {"b": [item]}})
    form = AUTO.with_account(options={**base, "format": "form"}).form(item)
    query = AUTO.with_account(options={**base, "format": "query"}).event(query="id=1&st=ok")

    assert [*array, *inside, form, query] == [form] * 5


@pytest.mark.parametrize(
    "options",
    [
        {"preset": "pigeon"},
        {"id_field": "id"},
        {"id_field": "id", "status_field": "st"},
        {"id_field": "|", "status_field": "st", "statuses": "{}"},
        {**OWN, "statuses": "no json"},
        {**OWN, "statuses": '{"OK": "fine"}'},
        {**OWN, "statuses": '{"OK": 1}'},
        {**OWN, "format": "xml"},
        {**OWN, "method": "PUT"},
        {**OWN, "items_field": "|"},
        {**OWN, "time_formats": "s,never"},
        {**OWN, "time_zone": "Mars/Olympus"},
        {**OWN, "time_zone": "../../etc/passwd"},
        {**OWN, "time_zone": "+99:99"},
    ],
)
def test_options_that_make_no_dialect_ask_to_try_again(options: dict[str, str]) -> None:
    """It is our own trouble: what comes in meanwhile must not be lost."""
    outcome = AUTO.with_account(options=options).outcome(own())

    assert outcome == Refused("OPTIONS_NOT_USABLE", 503)


@pytest.mark.parametrize(
    ("method", "given", "http_status"), [("GET", "POST", 405), ("post", "GET", 405)]
)
def test_another_method_than_the_configured_one_is_refused(
    method: str, given: str, http_status: int
) -> None:
    """A link that somebody opens in a browser must not deliver a message."""
    reader = AUTO.with_account(options={**OWN, "method": method})

    assert is_refused(reader.outcome(own(), method=given), http_status)


TOKENS = {"token": ["old", "new"]}


@pytest.mark.parametrize(
    ("options", "fields"),
    [
        ({}, {"headers": {"authorization": "Bearer new"}}),
        ({"token_header": "X-Token"}, {"headers": {"x-token": "old"}}),
        ({"token_query": "key"}, {"query": "a=b&key=new"}),
    ],
)
def test_any_live_token_proves_a_callback_where_it_was_agreed(
    options: dict[str, str], fields: dict[str, Any]
) -> None:
    """In a header or in the address."""
    reader = AUTO.with_account(secrets=TOKENS, options={**OWN, **options})

    assert reader.events(own(), **fields)
    assert reader.outcome(own()) == Refused("CREDENTIAL_MISSING", 401)
    wrong = {"headers": {"authorization": "x", "x-token": "x"}, "query": "key=x"}
    assert reader.outcome(own(), **wrong) == Refused("CREDENTIAL_WRONG", 401)


def test_user_and_password_prove_a_callback_too() -> None:
    """Beside a token, either is enough."""
    basic = {"basic_user": ["hook"], "basic_pass": ["pass"]}
    headers = {"authorization": "Basic aG9vazpwYXNz"}

    for secrets in (basic, {**basic, **TOKENS}):
        reader = AUTO.with_account(secrets=secrets)
        assert reader.events(RECEIPT, headers=headers)
        assert is_refused(reader.outcome(RECEIPT), 401)


def test_a_source_hears_the_answer_that_it_wants() -> None:
    """Some repeat a report until they read "OK"."""
    reader = AUTO.with_account(options={"answer": "OK"})

    assert answer_to(reader.reading(RECEIPT), Generic()) == Answer(200, b"OK")
    assert answer_to(AUTO.reading(RECEIPT), Generic()) is Generic.answer


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"{}", b"[]", b"hello", b"[1]", b'{"id":"1"}', b'{"status":"x"}',
        b'{"data":{"event_type":""}}', b'{"id":"","status":"Sent"}', b"id=1&status=",
        b'{"messageId":"a\\u0000","statusCode":4}', b"&" * 5_000,
        b'{"messageId":"' + b"a" * 600 + b'","statusCode":4}',
    ],
)  # fmt: skip
def test_a_body_of_no_form_is_kept_if_proven_and_refused_if_not(body: bytes) -> None:
    """An address alone is no proof."""
    locked = AUTO.with_account(secrets=TOKENS)

    (part,) = locked.reading(body, headers={"authorization": "Bearer old"}).batch.quarantined

    assert not part.is_part
    assert is_refused(AUTO.outcome(body), 400)


def test_a_get_without_a_report_is_refused() -> None:
    """Somebody who opens the address in a browser reports nothing."""
    assert is_refused(AUTO.outcome(method="GET"), 400)
    assert is_refused(AUTO.outcome(method="GET", query="a=b"), 400)
