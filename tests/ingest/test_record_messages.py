from typing import Any

import pytest
from bluetick.v1 import common_pb2 as pb
from bluetick.v1.event_pb2 import Event
from bluetick.v1.ingest_service_pb2 import (
    Accepted,
    Dropped,
    MessageRecord,
    RecordMessagesRequest,
    RecordMessagesResponse,
)
from google.protobuf.timestamp_pb2 import Timestamp

from libs.runtime.broker import BrokerUnavailable
from libs.runtime.keys import message_key, person_key, ref_key
from libs.runtime.rpc_errors import InvalidArgument
from services.ingest.record_messages import TEXT_LIMITS, record_messages
from tests.ingest.record_builders import (
    AT,
    NOW_US,
    KeptEvents,
    a_dropped,
    a_record,
    an_accepted,
)


async def _record(
    *records: MessageRecord, events: KeptEvents | None = None
) -> RecordMessagesResponse:
    return await record_messages(
        RecordMessagesRequest(messages=records),
        tenant_id="demo",
        now_us=NOW_US,
        events=events or KeptEvents(),
    )


async def _event(record: MessageRecord) -> Event:
    kept = KeptEvents()
    response = await _record(record, events=kept)
    assert not response.rejections
    (event,) = kept.batch.events
    return event


async def test_an_accepted_message_is_keyed_by_the_providers_id() -> None:
    """Callbacks name it by that id, and may come first."""
    event = await _event(an_accepted())

    assert event.kind == pb.EVENT_KIND_ACCEPTED
    assert event.message_key == message_key("demo", "meta", "wamid.1")
    assert event.occur_time_us == AT.seconds * 1_000_000
    assert (event.message_ref, event.provider, event.account) == ("ref-1", "meta", "acct_1")


async def test_a_dropped_message_is_keyed_by_the_senders_id() -> None:
    """No provider ever gave it one."""
    event = await _event(a_dropped(provider_code="130429"))

    assert event.kind == pb.EVENT_KIND_DROPPED
    assert event.message_key == ref_key("demo", "ref-1")
    assert event.provider_code == "130429"
    assert event.reason == pb.FAILURE_REASON_RATE_LIMITS


async def test_a_message_without_an_outcome_is_queued_now() -> None:
    """The sender says that it will be sent; no time comes with it."""
    event = await _event(a_record())

    assert event.kind == pb.EVENT_KIND_QUEUED
    assert event.message_key == ref_key("demo", "ref-1")
    assert event.occur_time_us == NOW_US


async def test_a_drop_with_a_providers_id_is_keyed_by_it_and_failed_after_hand_over() -> None:
    """The id proves that the provider had it."""
    event = await _event(a_dropped(provider_code="131049", provider_message_id="wamid.1"))

    assert event.message_key == message_key("demo", "meta", "wamid.1")
    assert event.reason == pb.FAILURE_REASON_META_RECIPIENT_LIMIT


@pytest.mark.parametrize(
    ("dropped", "reason"),
    [
        (Dropped(reason=pb.FAILURE_REASON_DUPLICATES), pb.FAILURE_REASON_DUPLICATES),
        (
            Dropped(reason=pb.FAILURE_REASON_DUPLICATES, provider_code="130429"),
            pb.FAILURE_REASON_DUPLICATES,
        ),
        (Dropped(), pb.FAILURE_REASON_UNMAPPED),
        (Dropped(provider_code="no-such-code"), pb.FAILURE_REASON_UNMAPPED),
    ],
)
async def test_the_reason_is_the_senders_or_the_codes_or_said_to_be_unknown(
    dropped: Dropped, reason: int
) -> None:
    """A drop without any reason must not be put down to one."""
    assert (await _event(a_dropped(dropped=dropped))).reason == reason


async def test_the_registration_carries_every_dimension() -> None:
    """Numbers are broken down by what the sender said here, and by nothing else."""
    names = ("sender", "template", "language", "category", "variant", "flow_id", "step_id",
             "segment", "branch_id")  # fmt: skip
    fields: dict[str, Any] = {name: f"a {name}" for name in names}

    event = await _event(
        an_accepted(**fields, attributes={"city": "Ulm"}, time_zone="Asia/Kathmandu")
    )

    said = event.registration
    assert {name: getattr(said, name) for name in names} == fields
    assert (said.campaign_id, said.contact_id) == ("camp-1", "contact-1")
    assert said.channel == pb.CHANNEL_WHATSAPP
    assert said.time_zone == "Asia/Kathmandu"
    assert dict(said.attributes) == {"city": "Ulm"}


@pytest.mark.parametrize(
    ("fields", "person"),
    [
        ({}, "contact-1"),
        ({"contact_id": ""}, "+14155550101"),
        ({"contact_id": "", "address": "14155550101"}, "+14155550101"),
    ],
)
async def test_the_person_is_the_contact_or_else_the_address(
    fields: dict[str, str], person: str
) -> None:
    """One person with two numbers is two messages and one reader."""
    event = await _event(an_accepted(**fields))

    assert event.registration.person_key == person_key("demo", person)


async def test_a_time_left_out_is_now() -> None:
    """The call is made when it happens."""
    assert (await _event(an_accepted(accepted=Accepted()))).occur_time_us == NOW_US


async def test_the_providers_name_is_taken_in_any_case_and_need_not_be_one_of_ours() -> None:
    """Messages of a provider without a dialect still count."""
    assert (await _event(an_accepted(provider="META"))).provider == "meta"
    assert (await _event(an_accepted(provider="acme_sms2"))).provider == "acme_sms2"


@pytest.mark.parametrize(
    "address", ["+14155550101", "14155550101", "a@example.com", "DE.1234567890", "US.ENT.12ab"]
)
async def test_an_address_is_a_number_a_mailbox_or_a_user_id(address: str) -> None:
    """Whatever a provider can reach."""
    assert (await _event(an_accepted(address=address))).address


@pytest.mark.parametrize("address", ["0171 123", "", "not a number", "+0"])
async def test_a_dropped_message_may_have_any_address(address: str) -> None:
    """The address may be the very reason."""
    assert (await _event(a_dropped(address=address))).address == address


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (a_record(message_ref=""), "MESSAGE_REF_MISSING"),
        (an_accepted(provider_message_id=""), "PROVIDER_MESSAGE_ID_MISSING"),
        (an_accepted(provider=""), "PROVIDER_MISSING"),
        (an_accepted(provider="ref"), "PROVIDER_MALFORMED"),
        (an_accepted(provider="me ta"), "PROVIDER_MALFORMED"),
        (an_accepted(channel=pb.CHANNEL_UNSPECIFIED), "CHANNEL_MISSING"),
        (an_accepted(channel=99), "CHANNEL_UNKNOWN"),
        (an_accepted(address="0171 123"), "ADDRESS_MALFORMED"),
        (an_accepted(address="+0123456"), "ADDRESS_MALFORMED"),
        (an_accepted(address="", contact_id=""), "ADDRESS_MISSING"),
        (a_dropped(dropped=Dropped(reason=999)), "REASON_UNKNOWN"),
        (a_dropped(dropped=Dropped(detail="x" * 1_001)), "DETAIL_TOO_LONG"),
        (a_dropped(dropped=Dropped(provider_code="a\x00")), "INVALID_TEXT"),
        (an_accepted(message_ref="a\x00b"), "INVALID_TEXT"),
        (an_accepted(attributes={"": "x"}), "ATTRIBUTE_NAME_MISSING"),
        (an_accepted(attributes={"n" * 65: "x"}), "ATTRIBUTES_NAME_TOO_LONG"),
        (an_accepted(attributes={"n": "x" * 257}), "ATTRIBUTES_VALUE_TOO_LONG"),
        (an_accepted(attributes={f"n{i}": "" for i in range(33)}), "ATTRIBUTES_TOO_MANY"),
        (an_accepted(time_zone="Mars/Olympus"), "TIME_ZONE_UNKNOWN"),
        (
            an_accepted(accepted=Accepted(accept_time=Timestamp(seconds=1))),
            "TIME_OUT_OF_RANGE",
        ),
        (
            an_accepted(accepted=Accepted(accept_time=Timestamp(seconds=4_000_000_000))),
            "TIME_OUT_OF_RANGE",
        ),
    ],
)
async def test_a_record_that_cannot_work_is_rejected_with_the_cure_and_the_others_stored(
    record: MessageRecord, reason: str
) -> None:
    """One bad row of an import must not stop the rest of it."""
    kept = KeptEvents()

    response = await _record(
        an_accepted(message_ref="a", provider_message_id="a"),
        record,
        an_accepted(message_ref="b", provider_message_id="b"),
        events=kept,
    )

    (rejection,) = response.rejections
    assert (rejection.index, rejection.reason) == (1, reason)
    assert ":" in rejection.detail
    assert response.recorded_count == 2
    assert [event.message_ref for event in kept.batch.events] == ["a", "b"]


@pytest.mark.parametrize(("name", "limit"), TEXT_LIMITS)
async def test_each_text_has_a_limit_that_is_said(name: str, limit: int) -> None:
    """A limit that nobody names is found in production."""
    response = await _record(an_accepted(**{name: "x" * (limit + 1)}))

    (rejection,) = response.rejections
    assert rejection.reason == f"{name.upper()}_TOO_LONG"
    assert str(limit) in rejection.detail


@pytest.mark.parametrize("count", [0, 1_001])
async def test_a_request_without_records_or_with_too_many_is_refused_as_a_whole(
    count: int,
) -> None:
    """Half a request that looks whole would be worse."""
    kept = KeptEvents()
    with pytest.raises(InvalidArgument) as refused:
        await _record(*[an_accepted()] * count, events=kept)

    assert refused.value.violations[0][0] == "messages"
    assert not kept.batch.events


async def test_records_that_are_not_on_disk_are_not_called_recorded() -> None:
    """OK means durable; anything else is to be sent again."""
    with pytest.raises(BrokerUnavailable):
        await _record(an_accepted(), events=KeptEvents(is_away=True))


async def test_rejections_alone_need_no_broker() -> None:
    """There is nothing to store."""
    response = await _record(a_record(message_ref=""), events=KeptEvents(is_away=True))

    assert response.recorded_count == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [("message_ref", "ref-2"), ("campaign_id", "camp-2"), ("contact_id", "contact-2")],
)
async def test_a_record_that_contradicts_an_earlier_one_is_rejected_by_field(
    field: str, value: str
) -> None:
    """It would be swallowed: the earlier one stands, and nobody is told."""
    kept = KeptEvents()

    response = await _record(
        an_accepted(), an_accepted(**{field: value}), an_accepted(), events=kept
    )

    (rejection,) = response.rejections
    assert (rejection.index, rejection.reason) == (1, "RECORD_CONFLICT")
    assert rejection.detail.startswith(f"{field}: ")
    assert response.recorded_count == len(kept.batch.events) == 2


async def test_one_request_to_many_mailboxes_contradicts_nothing() -> None:
    """An email is keyed by its id and its recipient."""
    response = await _record(
        *(
            an_accepted(
                provider="sendgrid",
                channel=pb.CHANNEL_EMAIL,
                provider_message_id="x-1",
                message_ref=f"ref-{n}",
                contact_id=f"contact-{n}",
                address=f"p{n}@mail.example",
            )
            for n in range(3)
        )
    )

    assert (response.recorded_count, len(response.rejections)) == (3, 0)
