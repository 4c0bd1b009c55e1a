"""What holds for every interface of every provider, over the bodies of `spelled_ids`."""

import json
from random import Random
from typing import Any
from urllib.parse import urlencode

import pytest
from bluetick.v1.event_pb2 import Event

from services.ingest.domain.reading import Reading
from services.ingest.providers.registry import BY_NAME
from services.ingest.record_callback import read_authentic
from tests.ingest import spelled_ids
from tests.ingest.provider_readings import NOW_S, NOW_US, Reader
from tests.ingest.spelled_ids import SOURCES, Source

PHONE = "+4915112345678"
MAILBOX = "kim.doe@mail.example"
AHEAD_S = 7_200
MARK = b"\xef\xbb\xbf"


def bodies_of(source: Source) -> list[Any]:
    """What the source tells of one message, by each of its bodies."""
    chance = Random(1)
    own_id = source.new_id(chance)
    return [body(chance, own_id, MAILBOX if source.is_email else PHONE) for body in source.bodies]


def told(source: Source, body: Any) -> list[Event]:
    """The events of a body that is readable to the last item."""
    reader = Reader(BY_NAME[source.provider], secrets={}, options=dict(source.options))
    if source.is_query:
        callback = reader.callback(method="GET", query=urlencode(body))
    else:
        callback = reader.callback(body)
    reading = read_authentic(callback, reader.account, reader.provider)
    assert isinstance(reading, Reading), reading
    assert not reading.batch.quarantined, reading.batch.quarantined
    return list(reading.batch.events)


@pytest.mark.parametrize("name", SOURCES)
def test_a_time_ahead_of_its_receipt_is_replaced_and_marked(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clocks go wrong everywhere; a number of the present hour must not wait for the next one."""
    monkeypatch.setattr(spelled_ids, "AT", NOW_S + AHEAD_S)
    monkeypatch.setattr(spelled_ids, "ISO", "2026-08-05T05:20:00.000Z")
    monkeypatch.setattr(spelled_ids, "MINUTE", "2608050520")
    monkeypatch.setattr(spelled_ids, "DATE", "Wed, 5 Aug 2026 05:20:00 +0000")

    for body in bodies_of(SOURCES[name]):
        events = told(SOURCES[name], body)
        assert events
        for event in events:
            assert event.occur_time_us == NOW_US, body
            assert event.is_time_clamped or event.is_time_untold, body


@pytest.mark.parametrize("name", [name for name, source in SOURCES.items() if not source.is_query])
def test_a_byte_order_mark_changes_nothing(name: str) -> None:
    """RFC 8259 lets a reader ignore it, and some proxies and libraries write one."""
    for body in bodies_of(SOURCES[name]):
        if isinstance(body, bytes):
            continue  # a form
        plain = json.dumps(body).encode()

        assert told(SOURCES[name], MARK + plain) == told(SOURCES[name], plain)


@pytest.mark.parametrize("name", SOURCES)
def test_a_repeat_is_the_same_events(name: str) -> None:
    """Providers tell again whatever they got no answer to; each act has one identity."""
    for body in bodies_of(SOURCES[name]):
        assert told(SOURCES[name], body) == told(SOURCES[name], body)
