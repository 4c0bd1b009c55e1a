"""Whether a message failed, and whether it arrived in spite of that."""

from bluetick.v1.common_pb2 import FAILURE_REASON_DELIVERY_REPORT_MISSING

from services.status.domain.message import Message, is_email


def has_failed(message: Message) -> bool:
    """Return whether its own reports say that it failed; an act attributed to it proves nothing."""
    if message.part_loss_time_us:
        return not (message.read_time_us or message.proof_time_us)
    if not (message.undeliver_time_us or message.drop_time_us):
        return False
    if is_email(message):
        if message.human_read_time_us or message.evidence_time_us:
            return False
        if message.bounce_time_us or message.drop_time_us:
            return True
    return not (message.read_time_us or message.report_time_us or message.proof_time_us)


def has_recovered(message: Message) -> bool:
    """Return whether a message that arrived had failed before.

    Silence that the clock told is no failure once a report came. Mail: a bounce that passes, told
    of a time after the delivery, is the answer of a mailbox.
    """
    if message.parts:
        return message.failure_time_us != 0
    if not (message.undeliver_time_us or message.drop_time_us):
        return False
    if message.failure_reason == FAILURE_REASON_DELIVERY_REPORT_MISSING and not (
        message.failure_codes
    ):
        return False
    if not is_email(message) or message.bounce_time_us or message.drop_time_us:
        return True
    return not message.report_time_us or message.undeliver_time_us < message.report_time_us
