"""A sender's record is told its country and market, and its phone in one form."""

import time
from typing import Any

import pytest
from bluetick.v1 import common_pb2 as pb
from bluetick.v1.event_pb2 import Event
from bluetick.v1.ingest_service_pb2 import MessageRecord, RecordMessagesRequest
from google.protobuf.timestamp_pb2 import Timestamp

from libs.catalogue.countries import country_of
from libs.catalogue.markets import market_of
from libs.runtime.addresses import canonical_address
from libs.runtime.keys import person_key
from services.ingest.record_messages import record_messages
from tests.ingest.record_builders import NOW_US, KeptEvents, a_dropped, an_accepted


async def _event(record: MessageRecord) -> Event:
    events = KeptEvents()
    answer = await record_messages(
        RecordMessagesRequest(messages=[record]), tenant_id="demo", now_us=NOW_US, events=events
    )
    assert not answer.rejections
    return events.batch.events[0]


@pytest.mark.parametrize(
    ("address", "country", "market"),
    [
        ("+491711234567", "DE", "Germany"),
        ("+16135550101", "CA", "North America"),
        ("+77011234567", "KZ", "Other"),
        ("BR.1234567890", "BR", "Brazil"),
        ("+9991234567", "", "Other"),
    ],
)
async def test_a_whatsapp_message_has_the_country_and_the_market_of_its_address(
    address: str, country: str, market: str
) -> None:
    """Delivery differs by country, and WhatsApp charges by market."""
    registration = (await _event(an_accepted(address=address))).registration

    assert (registration.country, registration.market) == (country, market)


async def test_the_market_is_the_one_of_the_day_of_the_message() -> None:
    """Poland left its group on the first of July 2026."""
    record = an_accepted(address="+48601234567")
    record.accepted.accept_time.CopyFrom(Timestamp(seconds=1_782_777_600))  # 30 June 2026

    event = await _event(record)

    assert event.registration.market == "Rest of Central & Eastern Europe"
    now = (await _event(an_accepted(address="+48601234567"))).registration
    assert now.market == "Poland"


@pytest.mark.parametrize(
    ("fields", "country"),
    [
        ({"channel": pb.CHANNEL_SMS, "address": "+491711234567"}, "DE"),
        ({"channel": pb.CHANNEL_EMAIL, "address": "ann@example.com"}, ""),
        ({"address": "", "contact_id": "contact-1"}, ""),
    ],
)
async def test_other_channels_have_no_market_and_mailboxes_no_country(
    fields: dict[str, Any], country: str
) -> None:
    """What does not exist is empty, never a guess."""
    registration = (await _event(an_accepted(**fields))).registration

    assert (registration.country, registration.market) == (country, "")


@pytest.mark.parametrize(
    "written", ["+49 (171) 123-4567", "0049 171 1234567", "whatsapp:+491711234567", "491711234567"]
)
async def test_a_phone_is_kept_in_one_form_however_it_was_written(written: str) -> None:
    """Replies come by E.164, and must find the message."""
    for record in (an_accepted(address=written), a_dropped(address=written)):
        event = await _event(record)
        assert event.address == "+491711234567"
        assert event.registration.country == "DE"


@pytest.mark.parametrize("address", ["+4917", "+491", "+999123456789"])
async def test_what_the_provider_took_is_recorded_though_no_such_number_may_exist(
    address: str,
) -> None:
    """The message is out; turning its record away would only lose it."""
    address = address.ljust(8, "0")

    assert (await _event(an_accepted(address=address))).address == address


@pytest.mark.parametrize("address", ["0049 17", "00 999 123456", "(0171) 123", "12-34"])
async def test_a_dropped_message_keeps_an_address_that_is_no_number_as_it_was(
    address: str,
) -> None:
    """The address is the reason, and has to be seen as it is."""
    event = await _event(a_dropped(address=address))

    assert event.address == address
    assert event.registration.country == ""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("+5511987654321", "+551187654321"),
        ("+5215512345678", "+525512345678"),
        ("+5491123456789", "+54 11 2345-6789"),
    ],
)
async def test_two_forms_of_one_phone_are_one_person(one: str, other: str) -> None:
    """Counts of people would else count some Brazilians twice."""
    first = await _event(an_accepted(address=one, contact_id=""))
    second = await _event(an_accepted(address=other, contact_id=""))

    assert first.registration.person_key == second.registration.person_key
    assert first.address != second.address


async def test_a_contact_stands_for_all_its_addresses() -> None:
    """A person with a phone and a mailbox is one person."""
    phone = await _event(an_accepted(contact_id="ann"))
    mailbox = await _event(
        an_accepted(contact_id="ann", channel=pb.CHANNEL_EMAIL, address="ann@example.com")
    )

    assert phone.registration.person_key == person_key("demo", "ann")
    assert mailbox.registration.person_key == person_key("demo", "ann")


def test_what_an_address_tells_costs_little_beside_storing_it() -> None:
    """A thousand records come in one call. The bound is loose: machines differ."""
    numbers = [f"+1415{number:07d}" for number in range(2_000_000, 2_020_000)]
    numbers += [f"+44740{number:07d}" for number in range(20_000)]
    for number in numbers[::500]:
        country_of(number)

    before = time.process_time()
    for number in numbers:
        country_of(number)
        market_of(number, NOW_US)
        canonical_address(number)
    each_us = (time.process_time() - before) / len(numbers) * 1_000_000

    assert each_us < 30
