"""A message as the merge of everything told about it, and the table of its fields.

Pure: no clock, no I/O. Every field is the answer of a rule that does not depend on order: a
minimum, a union, a logical or, or a sum over the acts that stand. So order, repeats and batching
cannot matter.
"""

from typing import Annotated, Final

import msgspec
from bluetick.v1.common_pb2 import (
    CHANNEL_EMAIL,
    EVENT_KIND_ACCEPTED,
    EVENT_KIND_CANCELED,
    EVENT_KIND_DELIVERED,
    EVENT_KIND_DROPPED,
    EVENT_KIND_PLAYED,
    EVENT_KIND_PRICED,
    EVENT_KIND_QUEUED,
    EVENT_KIND_READ,
    EVENT_KIND_SENT,
    EVENT_KIND_UNDELIVERED,
    MESSAGE_STATE_ACCEPTED,
    MESSAGE_STATE_DELIVERED,
    MESSAGE_STATE_DROPPED,
    MESSAGE_STATE_QUEUED,
    MESSAGE_STATE_READ,
    MESSAGE_STATE_SENT,
    MESSAGE_STATE_UNDELIVERED,
    MESSAGE_STATE_UNSPECIFIED,
    MessageState,
)

from services.status.domain.fields import Field, Merge, by_kind, fields_of, named

# Whose act proves that a message arrived, from the weakest proof to the strongest.
NOBODY: Final = 0
MACHINE: Final = 1
PERSON: Final = 2


class Record(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What the sender said about the message. Of two, the smaller ``order`` stands."""

    record_time_us: int
    registration: bytes  # bluetick.v1.Registration, serialized deterministically
    message_ref: str
    address: str
    campaign_id: str
    contact_id: str
    person_key: bytes
    kind: int  # EventKind of the record: ACCEPTED, DROPPED or QUEUED
    channel: int = 0  # bluetick.v1.Channel, as in the registration
    sender: str = ""  # as in the registration

    @property
    def order(self) -> tuple[int, bytes, str, str, int]:
        """What decides between two records of one message."""
        return (self.record_time_us, self.registration, self.message_ref, self.address, self.kind)


class Message(msgspec.Struct, gc=False, array_like=True):
    """The field table: name, type, rule. Times: microseconds since 1970 UTC; 0: never.

    Merging, image, packing, ``moved_by``, the order of states and the tables of docs/states.md are
    made from it, or compared with it by a test. It is stored as an array in this order: a new field
    goes to the end of the part before ``record``, with a default; none is ever taken away.
    """

    provider: Annotated[str, Field(Merge.SMALLEST)] = ""
    account: Annotated[str, Field(Merge.SMALLEST)] = ""
    provider_message_id: Annotated[str, Field(Merge.SMALLEST)] = ""
    # As echoed by callbacks; the record's own wins over it.
    message_ref: Annotated[str, Field(Merge.SMALLEST)] = ""
    queue_time_us: Annotated[
        int,
        Field(Merge.EARLIEST, (EVENT_KIND_QUEUED,), is_shown=True, proves=MESSAGE_STATE_QUEUED),
    ] = 0
    drop_time_us: Annotated[
        int,
        Field(
            Merge.EARLIEST,
            (EVENT_KIND_DROPPED,),
            proves=MESSAGE_STATE_DROPPED,
            proves_with_id=MESSAGE_STATE_UNDELIVERED,
        ),
    ] = 0
    accept_time_us: Annotated[
        int,
        Field(Merge.EARLIEST, (EVENT_KIND_ACCEPTED,), is_shown=True, proves=MESSAGE_STATE_ACCEPTED),
    ] = 0
    send_time_us: Annotated[
        int, Field(Merge.EARLIEST, (EVENT_KIND_SENT,), is_shown=True, proves=MESSAGE_STATE_SENT)
    ] = 0
    undeliver_time_us: Annotated[
        int, Field(Merge.EARLIEST, (EVENT_KIND_UNDELIVERED,), proves=MESSAGE_STATE_UNDELIVERED)
    ] = 0
    # A delivery report came.
    report_time_us: Annotated[
        int, Field(Merge.EARLIEST, (EVENT_KIND_DELIVERED,), proves=MESSAGE_STATE_DELIVERED)
    ] = 0
    # An act of the person that is possible only after the delivery.
    proof_time_us: Annotated[int, Field(Merge.ACTS, proves=MESSAGE_STATE_DELIVERED)] = 0
    read_time_us: Annotated[
        int,
        Field(
            Merge.EARLIEST,
            (EVENT_KIND_READ, EVENT_KIND_PLAYED),
            is_shown=True,
            proves=MESSAGE_STATE_READ,
        ),
    ] = 0
    play_time_us: Annotated[int, Field(Merge.EARLIEST, (EVENT_KIND_PLAYED,), is_shown=True)] = 0
    cancel_time_us: Annotated[int, Field(Merge.EARLIEST, (EVENT_KIND_CANCELED,), is_shown=True)] = 0
    # An act shows that a person saw it; a receipt shows it too.
    evidence_time_us: Annotated[int, Field(Merge.ACTS)] = 0
    click_count: Annotated[int, Field(Merge.ACTS, is_shown=True)] = 0
    click_time_us: Annotated[int, Field(Merge.ACTS, is_shown=True)] = 0
    reply_count: Annotated[int, Field(Merge.ACTS, is_shown=True)] = 0
    reply_time_us: Annotated[int, Field(Merge.ACTS, is_shown=True)] = 0
    tap_count: Annotated[int, Field(Merge.ACTS, is_shown=True)] = 0
    tap_time_us: Annotated[int, Field(Merge.ACTS, is_shown=True)] = 0
    unsubscribe_time_us: Annotated[int, Field(Merge.ACTS, is_shown=True)] = 0
    complain_time_us: Annotated[int, Field(Merge.ACTS, is_shown=True)] = 0
    failure_time_us: Annotated[int, Field(Merge.FAILURE)] = 0
    failure_code: Annotated[str, Field(Merge.FAILURE)] = ""
    failure_reason: Annotated[int, Field(Merge.FAILURE)] = 0
    failure_codes: Annotated[str, Field(Merge.CODES)] = ""  # sorted, separated by U+001F
    pricing_time_us: Annotated[int, Field(Merge.PRICE, (EVENT_KIND_PRICED,))] = 0
    pricing: Annotated[bytes, Field(Merge.PRICE)] = b""  # bluetick.v1.Pricing
    # Another message stands for the same reference.
    is_superseded: Annotated[bool, Field(Merge.ATTEMPTS)] = False
    # As proof_time_us, by an act that named no message.
    attributed_proof_time_us: Annotated[
        int, Field(Merge.ADDRESS_ACTS, proves=MESSAGE_STATE_DELIVERED)
    ] = 0
    # Sums of such acts; see domain.attributed.
    attributed: Annotated[bytes, Field(Merge.ADDRESS_ACTS)] = b""
    machine_click_count: Annotated[int, Field(Merge.ACTS, is_shown=True)] = 0
    human_click_time_us: Annotated[int, Field(Merge.ACTS, is_shown=True)] = 0
    # Acts counted, of whatever kind.
    act_count: Annotated[int, Field(Merge.ACTS)] = 0
    tapped_buttons: Annotated[str, Field(Merge.ACTS)] = ""  # sorted, separated by U+001F
    human_read_time_us: Annotated[
        int, Field(Merge.EARLIEST_HUMAN, (EVENT_KIND_READ, EVENT_KIND_PLAYED), is_shown=True)
    ] = 0
    machine_read_count: Annotated[int, Field(Merge.ACTS, is_shown=True)] = 0
    # A failure told that the person had said no before: no effect of this message.
    opted_out_before_time_us: Annotated[int, Field(Merge.ACTS, is_shown=True)] = 0
    complained_before_time_us: Annotated[int, Field(Merge.ACTS, is_shown=True)] = 0
    # A failure for good. Mail that was taken may still bounce, and then it never arrived.
    bounce_time_us: Annotated[
        int,
        Field(Merge.EARLIEST_FINAL, (EVENT_KIND_UNDELIVERED,), is_shown=False),
    ] = 0
    # bluetick.v1.Channel as told by reports; the record's own wins over it.
    told_channel: Annotated[int, Field(Merge.SMALLEST)] = 0
    # What was told of each part, see domain.parts; empty: the message is reported as a whole.
    parts: Annotated[bytes, Field(Merge.PARTS)] = b""
    # First loss of a part; a part is on its way; all have arrived, the last one then.
    part_loss_time_us: Annotated[int, Field(Merge.PARTS)] = 0
    is_part_awaited: Annotated[bool, Field(Merge.PARTS)] = False
    parts_report_time_us: Annotated[int, Field(Merge.PARTS)] = 0
    # 0: nobody else claims its reference. Else, of the one that stands, how many do; of others, 1.
    attempt_count: Annotated[int, Field(Merge.ATTEMPTS)] = 0
    # Whose acts that name the message itself prove that it arrived.
    proven_by: Annotated[int, Field(Merge.STRONGEST)] = NOBODY
    # What was told of it under a recipient that nobody recorded; see domain.recipients.
    forwarded: Annotated[bytes, Field(Merge.RECIPIENTS)] = b""
    # It has no record, and what was told of it counts for another message.
    is_forwarded: Annotated[bool, Field(Merge.RECIPIENTS)] = False
    # What its records say differently, see ``contradictions``; 0: there is one, or they agree.
    contradictions: Annotated[int, Field(Merge.CONTRADICTIONS)] = 0
    # Key of the person whose names are joined with its address; empty: as its record says.
    joined_person: Annotated[bytes, Field(Merge.PERSON)] = b""
    # A failure whose code says that the person had left, or complained, before.
    opt_out_refusal_time_us: Annotated[int, Field(Merge.EARLIEST_REFUSAL)] = 0
    complaint_refusal_time_us: Annotated[int, Field(Merge.EARLIEST_REFUSAL)] = 0
    record: Annotated[Record | None, Field(Merge.RECORD)] = None

    @property
    def is_counted(self) -> bool:
        """Whether it counts in its campaign."""
        return self.record is not None and not self.is_superseded


FIELDS: Final = fields_of(Message)
# What each kind of event tells the time of.
TIMES_OF: Final = by_kind(FIELDS, Merge.EARLIEST)
HUMAN_TIMES_OF: Final = by_kind(FIELDS, Merge.EARLIEST_HUMAN)
ACT_FIELDS: Final = named(FIELDS, Merge.ACTS)


def channel_of(message: Message) -> int:
    """Return the channel (bluetick.v1.Channel) by the record, else by the reports."""
    record = message.record
    return (record is not None and record.channel) or message.told_channel


def is_email(message: Message) -> bool:
    """Return whether the message goes by email, by its record, else by its reports."""
    return channel_of(message) == CHANNEL_EMAIL


def state_of(message: Message) -> MessageState.ValueType:
    """Return the state of the strongest proof; ``states.ORDERS`` says the same as data."""
    is_mail = is_email(message)
    if is_mail and (found := _end_of_mail(message)):
        return found
    if message.parts and (found := _end_of_parts(message)):
        return found
    if message.read_time_us:
        return MESSAGE_STATE_READ
    if message.report_time_us or message.proof_time_us or message.attributed_proof_time_us:
        return MESSAGE_STATE_DELIVERED
    if message.undeliver_time_us or (message.drop_time_us and message.provider_message_id):
        return MESSAGE_STATE_UNDELIVERED
    if message.send_time_us:
        return MESSAGE_STATE_SENT
    if message.accept_time_us:
        return MESSAGE_STATE_ACCEPTED
    if message.drop_time_us:
        return MESSAGE_STATE_DROPPED
    if message.queue_time_us:
        return MESSAGE_STATE_QUEUED
    return MESSAGE_STATE_UNSPECIFIED


def _end_of_parts(message: Message) -> MessageState.ValueType:
    """Return what the parts say together; UNSPECIFIED: what people did outranks it."""
    if message.read_time_us or message.proof_time_us or message.attributed_proof_time_us:
        return MESSAGE_STATE_UNSPECIFIED
    if message.part_loss_time_us or message.bounce_time_us:
        return MESSAGE_STATE_UNDELIVERED
    if message.is_part_awaited:
        # Of a part that is never told of, the clock says so.
        return MESSAGE_STATE_UNDELIVERED if message.undeliver_time_us else MESSAGE_STATE_SENT
    return MESSAGE_STATE_DELIVERED


def _end_of_mail(message: Message) -> MessageState.ValueType:
    """Return what outranks the mail server's word that it took the message; UNSPECIFIED: nothing.

    Only what people do proves that mail arrived which bounced for good.
    """
    if message.human_read_time_us:
        return MESSAGE_STATE_READ
    if message.evidence_time_us or message.attributed_proof_time_us:
        return MESSAGE_STATE_READ if message.read_time_us else MESSAGE_STATE_DELIVERED
    if message.bounce_time_us or (message.drop_time_us and message.provider_message_id):
        return MESSAGE_STATE_UNDELIVERED
    return MESSAGE_STATE_UNSPECIFIED
