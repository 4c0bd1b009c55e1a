"""Scenario to gRPC: what the sender's own systems would record. Pure."""

from __future__ import annotations

from dataclasses import replace

from bluetick.v1 import common_pb2, ingest_service_pb2

from libs.simulator.chaos import Emission
from libs.simulator.facts import Channel, FactKind, Outcome, SimulatedMessage

_ENGAGEMENTS = {
    FactKind.CLICK: ingest_service_pb2.ENGAGEMENT_KIND_CLICK,
    FactKind.OPT_OUT: ingest_service_pb2.ENGAGEMENT_KIND_UNSUBSCRIBE,
}


_CHANNELS = {
    Channel.WHATSAPP: common_pb2.CHANNEL_WHATSAPP,
    Channel.SMS: common_pb2.CHANNEL_SMS,
    Channel.EMAIL: common_pb2.CHANNEL_EMAIL,
}
_SENDERS = {
    Channel.WHATSAPP: "+15550100200",
    Channel.SMS: "+15550100200",
    Channel.EMAIL: "news@example.com",
}


def earlier_record(message: SimulatedMessage) -> SimulatedMessage | None:
    """What was recorded of the message before, under the same reference; usually nothing.

    It was queued, or refused at the first attempt; either way without a provider's id.
    """
    if message.earlier_outcome is None:
        return None
    refused = message.earlier_outcome is Outcome.DROPPED
    return replace(
        message,
        outcome=message.earlier_outcome,
        outcome_time_s=message.outcome_time_s - 30,
        provider_message_id="",
        drop_code="130429" if refused else "",
        earlier_outcome=None,
    )


def message_record(
    message: SimulatedMessage, *, provider: str, account: str
) -> ingest_service_pb2.MessageRecord:
    """The sender's record of one message."""
    record = ingest_service_pb2.MessageRecord(
        message_ref=message.message_ref,
        campaign_id=message.campaign_id,
        contact_id=message.contact_id,
        address=message.address,
        channel=_CHANNELS[message.channel],
        provider=provider,
        account=account,
        provider_message_id=message.provider_message_id,
        sender=_SENDERS[message.channel],
        template=message.template,
        language=message.language,
        category="marketing",
        variant=message.variant,
        segment=message.segment,
    )
    if message.outcome is Outcome.ACCEPTED:
        record.accepted.accept_time.FromSeconds(message.outcome_time_s)
    elif message.outcome is Outcome.DROPPED:
        record.dropped.drop_time.FromSeconds(message.outcome_time_s)
        record.dropped.provider_code = message.drop_code
        if message.drop_reason:
            name = f"FAILURE_REASON_{message.drop_reason}"
            record.dropped.reason = common_pb2.FailureReason.Value(name)
    return record


def engagement_record(
    emission: Emission, *, provider: str, account: str = ""
) -> ingest_service_pb2.EngagementRecord:
    """One act that the sender's systems saw; by reference or by the provider's id, as either
    must do."""
    fact = emission.fact
    record = ingest_service_pb2.EngagementRecord(
        engagement_id=fact.fact_id, kind=_ENGAGEMENTS[fact.kind], link_id=fact.link_id
    )
    record.occur_time.FromSeconds(emission.occur_time_s)
    if fact.link_id:
        record.url = f"https://example.com/{fact.link_id}"
    # Strangers are known to the provider alone; and half of the rest goes by the provider's id.
    # Of several attempts, it is this one's act.
    is_known_by_id = fact.fact_id.endswith(("2", "4", "6", "8")) or fact.message.attempt > 0
    if not fact.message.is_recorded or is_known_by_id:
        record.provider = provider
        record.account = account
        record.provider_message_id = fact.message.provider_message_id
        record.address = fact.message.address  # the id of an email may cover many
    else:
        record.message_ref = fact.message.message_ref
    return record
