"""The merge, proven without a database."""

import itertools
from pathlib import Path

import msgspec
import pytest
from bluetick.v1 import common_pb2 as words
from bluetick.v1.change_pb2 import MessageImage
from bluetick.v1.event_pb2 import Event
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.testkit import builders
from services.status.domain.changes import moved_by
from services.status.domain.fields import Merge
from services.status.domain.gather import gather
from services.status.domain.image import image
from services.status.domain.merge_rules import FAILURE_CODES_MAX
from services.status.domain.message import FIELDS, Message, Record, state_of
from services.status.domain.packing import UnknownPacking, pack, pack_record, unpack
from services.status.domain.states import ORDER_OF_PARTS, ORDERS, word
from tests.status.merged import merged, merged_one_by_one

T = builders.TIME_US
DOCS = Path(__file__).parents[2] / "docs" / "states.md"

KINDS = {
    words.MESSAGE_STATE_ACCEPTED: words.EVENT_KIND_ACCEPTED,
    words.MESSAGE_STATE_SENT: words.EVENT_KIND_SENT,
    words.MESSAGE_STATE_UNDELIVERED: words.EVENT_KIND_UNDELIVERED,
    words.MESSAGE_STATE_DELIVERED: words.EVENT_KIND_DELIVERED,
    words.MESSAGE_STATE_READ: words.EVENT_KIND_READ,
}


def a_story() -> list[Event]:
    """Everything that can be told about one message."""
    return [
        builders.a_registered(occur_time_us=T),
        builders.a_registered(occur_time_us=T + 5, registration=builders.a_registration("other")),
        builders.an_event(words.EVENT_KIND_QUEUED, occur_time_us=T - 1),
        builders.an_event(words.EVENT_KIND_SENT, occur_time_us=T + 10),
        builders.an_event(words.EVENT_KIND_DELIVERED, occur_time_us=T + 30),
        builders.an_event(words.EVENT_KIND_DELIVERED, occur_time_us=T + 31),
        builders.an_event(words.EVENT_KIND_READ, occur_time_us=T + 40),
        builders.an_event(words.EVENT_KIND_PLAYED, occur_time_us=T + 45),
        builders.a_failure(occur_time_us=T + 20),
        builders.a_failure("", occur_time_us=T + 19, reason=words.FAILURE_REASON_META_ERRORS),
        builders.a_failure("131047", occur_time_us=T + 20),
        builders.a_failure("21610", occur_time_us=T + 22, topic=words.FAILURE_TOPIC_OPT_OUT),
        builders.an_event(
            words.EVENT_KIND_DROPPED,
            provider_code="9",
            topic=words.FAILURE_TOPIC_COMPLAINT,
            occur_time_us=T + 21,
        ),
        builders.an_event(words.EVENT_KIND_CANCELED, occur_time_us=T + 3),
        builders.a_click(occur_time_us=T + 50),
        builders.a_click("click-2", occur_time_us=T + 49),
        builders.a_reply(occur_time_us=T + 60),
        builders.a_reply("tap-1", is_tap=True, occur_time_us=T + 61),
        builders.an_event(
            words.EVENT_KIND_UNSUBSCRIBED,
            engagement=builders.an_engagement("stop-1", by_failure=True),
            occur_time_us=T + 2,
        ),
        builders.an_event(
            words.EVENT_KIND_COMPLAINED,
            engagement=builders.an_engagement("spam-1"),
            occur_time_us=T + 70,
        ),
        _priced("marketing", T + 10),
        _priced("utility", T + 10),
    ]


def _priced(category: str, time_us: int) -> Event:
    event = builders.an_event(words.EVENT_KIND_PRICED, occur_time_us=time_us)
    event.pricing.category = category
    return event


def test_every_pair_of_states_ends_in_the_higher_one_in_both_orders() -> None:
    """Examples teach, exhaustion proves: no order of two reports can move a message back."""
    for (one, first), (other, second) in itertools.product(KINDS.items(), repeat=2):
        events = [builders.an_event(first), builders.an_event(second, occur_time_us=T + 1)]

        forward, backward = merged_one_by_one(*events), merged_one_by_one(*events[::-1])

        assert forward == backward
        assert state_of(forward) == max(one, other)


def test_all_720_orders_of_a_messages_reports_leave_one_message() -> None:
    """Providers promise no order; the same reports must give one row whatever they do."""
    events = [
        builders.an_event(words.EVENT_KIND_ACCEPTED, occur_time_us=T),
        builders.an_event(words.EVENT_KIND_SENT, occur_time_us=T + 1),
        builders.a_failure(occur_time_us=T + 2),
        builders.an_event(words.EVENT_KIND_DELIVERED, occur_time_us=T + 3),
        builders.an_event(words.EVENT_KIND_READ, occur_time_us=T + 4),
        builders.an_event(words.EVENT_KIND_DELIVERED, occur_time_us=T + 3),
    ]

    outcomes = {
        image(merged_one_by_one(*order)).SerializeToString(deterministic=True)
        for order in itertools.permutations(events)
    }

    assert len(outcomes) == 1
    seen = MessageImage.FromString(outcomes.pop())
    assert (seen.state, seen.is_recovered) == (words.MESSAGE_STATE_READ, True)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_order_repeats_and_batching_change_nothing(data: st.DataObject) -> None:
    """Law 1, over everything that can be told about one message."""
    story = a_story()
    chosen = data.draw(st.lists(st.sampled_from(range(len(story))), min_size=1, unique=True))
    repeats = data.draw(st.lists(st.sampled_from(chosen), max_size=6))
    order = data.draw(st.permutations(chosen + repeats))
    cut = data.draw(st.integers(0, len(order)))

    straight = merged(*(story[n] for n in chosen))
    crooked = merged_one_by_one(*(story[n] for n in order))
    halves = (story[n].__deepcopy__({}) for part in (order[cut:], order[:cut]) for n in part)

    assert crooked == straight
    assert merged(*halves) == straight


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_says_how_it_is_merged_and_what_is_shown(name: str) -> None:
    """One row a field: merge, image, packing and documents are made from it."""
    row = FIELDS[name]

    assert not row.is_shown or name in MessageImage.DESCRIPTOR.fields_by_name
    assert (row.merge in (Merge.EARLIEST, Merge.EARLIEST_HUMAN)) <= bool(row.kinds)
    assert not row.proves or name.endswith("_time_us")


@pytest.mark.parametrize("name", [n for n, row in FIELDS.items() if row.merge is Merge.EARLIEST])
def test_every_time_is_moved_by_its_kind_and_shown_where_its_row_says_so(name: str) -> None:
    """What the table says is what the code does, for fields of today and of tomorrow."""
    kind = FIELDS[name].kinds[0]

    message = merged_one_by_one(
        builders.an_event(kind, occur_time_us=T + 1), builders.an_event(kind, occur_time_us=T)
    )

    assert getattr(message, name) == T
    assert kind in moved_by(None, message, [kind])
    if FIELDS[name].is_shown:
        assert getattr(image(message), name) == T


def test_a_message_is_unpacked_as_it_was_packed() -> None:
    """Whatever a row keeps comes back, and what no release here has packed is refused."""
    message = merged(*a_story())
    assert message.record is not None

    packed, record = pack(message), pack_record(message.record)

    assert unpack(packed, record) == message
    # A field that was added later has its default in rows of before.
    older = packed[:1] + msgspec.msgpack.encode(msgspec.msgpack.decode(packed[1:])[:-2])
    assert unpack(older, record).provider == message.provider
    for damaged in (b"", b"\x09" + packed[1:], packed[:-3]):
        with pytest.raises(UnknownPacking):
            unpack(damaged, record)


def test_a_read_alone_implies_the_delivery() -> None:
    """In an open chat Meta sends `read` without `delivered`."""
    message = merged(builders.an_event(words.EVENT_KIND_READ, occur_time_us=T))

    seen = image(message)

    assert (seen.deliver_time_us, seen.is_deliver_inferred) == (T, True)


def test_a_report_replaces_the_inferred_delivery_even_if_it_names_a_later_time() -> None:
    """What was reported is better than what was inferred."""
    message = merged(
        builders.an_event(words.EVENT_KIND_READ, occur_time_us=T),
        builders.an_event(words.EVENT_KIND_DELIVERED, occur_time_us=T + 9),
    )

    seen = image(message)

    assert (seen.deliver_time_us, seen.is_deliver_inferred) == (T + 9, False)


def test_a_click_proves_delivery_and_evidence_but_never_a_read_receipt() -> None:
    """Readers with receipts switched off click too; `read` counts receipts only."""
    seen = image(merged(builders.a_click(occur_time_us=T)))

    assert (seen.state, seen.evidence_time_us, seen.read_time_us) == (
        words.MESSAGE_STATE_DELIVERED,
        T,
        0,
    )


def test_a_link_scanners_click_counts_and_proves_delivery_but_nobody_saw_it() -> None:
    """Machines are flagged, never dropped; and they do not read."""
    click = builders.a_click()
    click.engagement.is_machine = True

    seen = image(merged(click))

    assert (seen.click_count, seen.state) == (1, words.MESSAGE_STATE_DELIVERED)
    assert seen.evidence_time_us == 0
    assert (seen.machine_click_count, seen.human_click_time_us) == (1, 0)


def test_an_opt_out_told_by_a_failure_proves_no_delivery() -> None:
    """ "Recipient has opted out" is why it failed, not a sign that it arrived."""
    stop = builders.an_event(
        words.EVENT_KIND_UNSUBSCRIBED,
        engagement=builders.an_engagement(by_failure=True),
    )

    seen = image(merged(builders.a_failure(), stop))

    assert seen.state == words.MESSAGE_STATE_UNDELIVERED
    assert (seen.opted_out_before_time_us, seen.evidence_time_us) == (T, 0)


def test_a_withdrawn_reaction_is_history_only() -> None:
    """Taking a reaction back is no answer."""
    reaction = builders.a_reply()
    reaction.engagement.is_withdrawn = True

    gathered = gather([builders.a_batch(reaction)])

    assert (len(gathered.acts), len(gathered.told)) == (0, 1)
    assert state_of(merged(reaction)) == words.MESSAGE_STATE_UNSPECIFIED


def test_an_empty_code_never_replaces_a_known_one() -> None:
    """A repeat without a code must not wipe the reason, even if it names an earlier time."""
    known = builders.a_failure("131026", occur_time_us=T + 5)
    bare = builders.a_failure("", occur_time_us=T, reason=words.FAILURE_REASON_META_ERRORS)

    for order in ((known, bare), (bare, known)):
        seen = image(merged_one_by_one(*order))
        assert seen.failure_code == "131026"
        assert seen.failure_reason == words.FAILURE_REASON_RECIPIENT_RELATED_ERRORS
        assert seen.undeliver_time_us == T


def test_the_failure_stays_told_after_a_recovery_but_its_stage_goes() -> None:
    """A delivered message did not fail; that it was reported as failed is still worth knowing."""
    seen = image(merged(builders.a_failure(), builders.an_event()))

    assert seen.is_recovered
    assert seen.failure_code == "131026"
    assert seen.failure_stage == words.FAILURE_STAGE_UNSPECIFIED


def test_a_drop_of_a_message_with_a_providers_id_counts_as_undelivered() -> None:
    """The id proves that it was handed over."""
    drop = builders.an_event(words.EVENT_KIND_DROPPED, provider_code="7")

    seen = image(merged(drop))

    assert seen.state == words.MESSAGE_STATE_UNDELIVERED
    assert (seen.drop_time_us, seen.undeliver_time_us) == (0, T)
    assert seen.failure_stage == words.FAILURE_STAGE_UNDELIVERED


def test_the_list_of_failure_codes_is_bounded_and_still_order_free() -> None:
    """A provider gone mad must not grow a row without end."""
    failures = [builders.a_failure(f"{n:05}", occur_time_us=T + n) for n in range(50)]

    forward, backward = merged_one_by_one(*failures), merged_one_by_one(*failures[::-1])

    assert forward == backward
    assert len(image(forward).failure_codes) == FAILURE_CODES_MAX


def test_history_only_kinds_leave_no_state() -> None:
    """Deferrals, notices and words never seen are kept, and move nothing."""
    for kind in (
        words.EVENT_KIND_DEFERRED,
        words.EVENT_KIND_INFO,
        words.EVENT_KIND_UNKNOWN,
        words.EVENT_KIND_CANCELED,
        words.EVENT_KIND_PRICED,
        99,
    ):
        assert state_of(merged(builders.an_event(kind))) == words.MESSAGE_STATE_UNSPECIFIED


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_two_records_the_earlier_one_stands(order: tuple[int, int]) -> None:
    """A contradiction of the sender must not depend on which record came first."""
    records = [
        builders.a_registered(occur_time_us=T, registration=builders.a_registration("first")),
        builders.a_registered(occur_time_us=T + 1, registration=builders.a_registration("second")),
    ]

    message = merged_one_by_one(*(records[n] for n in order))

    assert message.record is not None
    assert message.record.campaign_id == "first"


@pytest.mark.parametrize("channel", [0, *words.Channel.values()[1:]])
def test_the_rule_as_data_says_what_the_code_does(channel: int) -> None:
    """The table of proofs is what documents are compared with, whoever tells the channel."""
    order = ORDERS.get(channel, ORDERS[0])
    names = sorted({part for _, proofs in order for proof in proofs for part in proof.split()})
    times = [name for name in names if name.endswith("_time_us")]
    record = a_record(channel)
    for present in itertools.product((0, T), repeat=len(times)):
        for provider_message_id in ("", "id"):
            message = Message(provider_message_id=provider_message_id, told_channel=channel)
            for name, time_us in zip(times, present, strict=True):
                setattr(message, name, time_us)

            expected = by_table(order, message)

            assert state_of(message) == expected
            message.told_channel, message.record = 0, record
            assert state_of(message) == expected


def test_the_order_of_parts_says_what_the_code_does() -> None:
    """A message in parts has an order of its own, on every channel that has parts."""
    proofs = {part for _, proofs in ORDER_OF_PARTS for proof in proofs for part in proof.split()}
    others = {"report_time_us", "send_time_us", "accept_time_us"}
    names = sorted((proofs | others) - {"with", "parts"})
    for present in itertools.product((False, True), repeat=len(names)):
        message = Message(provider_message_id="id", parts=b"\x90")
        for name, is_there in zip(names, present, strict=True):
            setattr(message, name, is_there if name == "is_part_awaited" else is_there * T)

        assert state_of(message) == by_table(ORDER_OF_PARTS, message)


def test_the_tables_in_the_documentation_are_the_rule() -> None:
    """Whoever reads docs/states.md must be able to trust it."""
    rows = [
        [cell.strip(" `") for cell in line.strip("|").split("|")]
        for line in DOCS.read_text().splitlines()
        if line.startswith("| ") and line.split("|")[1].strip().isdigit()
    ]
    usual, mail = ORDERS[0], ORDERS[words.CHANNEL_EMAIL]

    documented = [(int(row[0]), row[1], row[2].replace("`", "")) for row in rows]

    assert mail[-len(usual) :] == usual
    ranked = [*zip(range(len(usual), 0, -1), usual, strict=True)]
    ranked += zip(range(len(mail), len(usual), -1), mail[: -len(usual)], strict=True)
    parts = zip(range(len(ORDER_OF_PARTS), 0, -1), ORDER_OF_PARTS, strict=True)
    ranked += [(rank, (state, tuple(proofs))) for rank, (state, proofs) in parts]
    assert documented == [
        (rank, word(state).upper(), " or ".join(proofs)) for rank, (state, proofs) in ranked
    ]


def a_record(channel: int) -> Record:
    (telling,) = gather(
        [
            builders.a_batch(
                builders.a_registered(registration=builders.a_registration(channel=channel))
            )
        ]
    ).told.values()
    record = telling[0][7]
    assert record is not None
    return record


def by_table(order: tuple[tuple[int, tuple[str, ...]], ...], message: Message) -> int:
    for state, proofs in order:
        for proof in proofs:
            if all(getattr(message, name) for name in proof.split(" with ")):
                return state
    return words.MESSAGE_STATE_UNSPECIFIED


@pytest.mark.parametrize(
    ("code", "reason", "expected"),
    [
        ("", words.FAILURE_REASON_TEMPLATE_FAILURES, words.FAILURE_REASON_INVALID_MESSAGES),
        ("", words.FAILURE_REASON_PAUSED_TEMPLATES, words.FAILURE_REASON_HELD_MESSAGES),
        ("", words.FAILURE_REASON_META_ERRORS, words.FAILURE_REASON_META_ERRORS),
        ("no-such-code", words.FAILURE_REASON_UNMAPPED, words.FAILURE_REASON_UNMAPPED),
        ("131026", words.FAILURE_REASON_DUPLICATES, words.FAILURE_REASON_RECIPIENT_RELATED_ERRORS),
    ],
)
def test_a_drop_after_the_hand_over_has_an_undelivered_reason(
    code: str, reason: words.FailureReason.ValueType, expected: int
) -> None:
    """Reports list reasons by stage; one of the other stage would be a row that cannot be."""
    drop = builders.an_event(words.EVENT_KIND_DROPPED, provider_code=code, reason=reason)

    seen = image(merged(drop))

    assert seen.failure_reason == expected


def test_a_drop_before_the_hand_over_keeps_its_reason() -> None:
    """Without a provider's id nobody took the message."""
    drop = builders.a_registered(
        words.EVENT_KIND_DROPPED, reason=words.FAILURE_REASON_PAUSED_TEMPLATES
    )

    assert image(merged(drop)).failure_reason == words.FAILURE_REASON_PAUSED_TEMPLATES


def test_a_senders_own_reason_is_translated_and_not_looked_up() -> None:
    """The sender may know better than the code."""
    drop = builders.a_registered(
        words.EVENT_KIND_DROPPED,
        provider_message_id=builders.PROVIDER_MESSAGE_ID,
        message_key=b"k" * 16,
        provider_code="131026",
        reason=words.FAILURE_REASON_PAUSED_TEMPLATES,
    )

    assert image(merged(drop)).failure_reason == words.FAILURE_REASON_HELD_MESSAGES


def test_the_table_of_fields_in_the_documentation_is_the_one_in_the_code() -> None:
    """Whoever reads which field is merged how must be able to trust it."""
    from tools.write_fields import with_table

    page = DOCS.read_text()

    assert with_table(page) == page, "run python tools/write_fields.py"
