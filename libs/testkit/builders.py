"""Messages of the contract with good defaults: a test names only what it is about.

All belong to tenant ``demo``, provider ``meta``, account ``acct_1``. A builder is deterministic:
the same call gives the same bytes.
"""

from __future__ import annotations

from typing import Any

from bluetick.v1 import change_pb2, common_pb2, event_pb2, ingest_service_pb2

from libs.runtime.keys import message_key, person_key, ref_key

TENANT = "demo"
PROVIDER = "meta"
ACCOUNT = "acct_1"
PROVIDER_MESSAGE_ID = "wamid.TEST1"
ADDRESS = "+14155550101"
# 2026-08-05T03:20:00Z
TIME_US = 1_785_900_000_000_000


def an_event(
    kind: common_pb2.EventKind.ValueType = common_pb2.EVENT_KIND_DELIVERED,
    *,
    provider_message_id: str = PROVIDER_MESSAGE_ID,
    occur_time_us: int = TIME_US,
    tenant_id: str = TENANT,
    provider: str = PROVIDER,
    **fields: Any,
) -> event_pb2.Event:
    """A provider's event about one message; ``message_key`` follows from its provider id."""
    if "message_key" not in fields:
        fields["message_key"] = message_key(tenant_id, provider, provider_message_id)
    fields.setdefault("account", ACCOUNT)
    fields.setdefault("receive_time_us", occur_time_us + 1_000_000)
    return event_pb2.Event(
        kind=kind,
        provider_message_id=provider_message_id,
        occur_time_us=occur_time_us,
        tenant_id=tenant_id,
        provider=provider,
        **fields,
    )


def a_failure(code: str = "131026", **fields: Any) -> event_pb2.Event:
    """An event that reports a failure after hand-over."""
    fields.setdefault("reason", common_pb2.FAILURE_REASON_RECIPIENT_RELATED_ERRORS)
    return an_event(
        common_pb2.EVENT_KIND_UNDELIVERED, provider_code=code, provider_word="failed", **fields
    )


def an_engagement(act_id: str = "act-1", **fields: Any) -> event_pb2.Engagement:
    """An act of a person, without its event."""
    return event_pb2.Engagement(act_id=act_id, **fields)


def a_click(act_id: str = "click-1", *, link_id: str = "link-1", **fields: Any) -> event_pb2.Event:
    """A click on a link of the message."""
    engagement = an_engagement(act_id, link_id=link_id, url="https://example.com/")
    return an_event(common_pb2.EVENT_KIND_CLICKED, engagement=engagement, **fields)


def a_reply(act_id: str = "reply-1", *, is_tap: bool = False, **fields: Any) -> event_pb2.Event:
    """An answer to the message; with ``is_tap``, a tap on a button."""
    engagement = an_engagement(act_id, is_tap=is_tap, inbound_type="button" if is_tap else "text")
    return an_event(common_pb2.EVENT_KIND_REPLIED, engagement=engagement, **fields)


def a_registration(campaign_id: str = "campaign-1", **fields: Any) -> event_pb2.Registration:
    """What a sender said about a message: its campaign and dimensions."""
    fields.setdefault("contact_id", "contact-1")
    fields.setdefault("channel", common_pb2.CHANNEL_WHATSAPP)
    fields.setdefault("sender", "+14155550100")
    fields.setdefault("template", "spring_sale")
    fields.setdefault("language", "en")
    fields.setdefault("category", "marketing")
    fields.setdefault("country", "US")
    fields.setdefault("person_key", person_key(TENANT, fields["contact_id"]))
    return event_pb2.Registration(campaign_id=campaign_id, **fields)


def a_registered(
    kind: common_pb2.EventKind.ValueType = common_pb2.EVENT_KIND_ACCEPTED,
    *,
    message_ref: str = "ref-1",
    registration: event_pb2.Registration | None = None,
    **fields: Any,
) -> event_pb2.Event:
    """A sender's record as it travels on EVENTS.

    ACCEPTED carries a provider id and is keyed by it; QUEUED and DROPPED have none unless given,
    and are keyed by ``message_ref``.
    """
    fields.setdefault("address", ADDRESS)
    if kind != common_pb2.EVENT_KIND_ACCEPTED:
        fields.setdefault("provider_message_id", "")
    if fields.get("provider_message_id") == "":
        tenant_id = fields.get("tenant_id", TENANT)
        fields.setdefault("message_key", ref_key(tenant_id, message_ref))
    return an_event(
        kind, message_ref=message_ref, registration=registration or a_registration(), **fields
    )


def a_batch(
    *events: event_pb2.Event,
    batch_id: str = "batch-1",
    quarantined: tuple[event_pb2.Quarantined, ...] = (),
) -> event_pb2.EventBatch:
    """One broker message on EVENTS."""
    return event_pb2.EventBatch(batch_id=batch_id, events=events, quarantined=quarantined)


def a_quarantined(reason: str = "STATUS_WITHOUT_ID", **fields: Any) -> event_pb2.Quarantined:
    """A part of an authentic callback that could not be read."""
    fields.setdefault("quarantine_key", b"quarantined-0001")
    fields.setdefault("tenant_id", TENANT)
    fields.setdefault("provider", PROVIDER)
    fields.setdefault("account", ACCOUNT)
    fields.setdefault("detail", "statuses[0].id is missing")
    fields.setdefault("method", "POST")
    fields.setdefault("content_type", "application/json")
    fields.setdefault("body", b"{}")
    fields.setdefault("receive_time_us", TIME_US)
    return event_pb2.Quarantined(reason=reason, **fields)


def a_record(message_ref: str = "ref-1", **fields: Any) -> ingest_service_pb2.MessageRecord:
    """A sender's record as an RPC takes it: accepted by Meta unless an outcome is given."""
    fields.setdefault("campaign_id", "campaign-1")
    fields.setdefault("contact_id", "contact-1")
    fields.setdefault("address", ADDRESS)
    fields.setdefault("channel", common_pb2.CHANNEL_WHATSAPP)
    if "dropped" not in fields:
        fields.setdefault("provider", PROVIDER)
        fields.setdefault("account", ACCOUNT)
        fields.setdefault("provider_message_id", PROVIDER_MESSAGE_ID)
        fields.setdefault("accepted", ingest_service_pb2.Accepted())
    return ingest_service_pb2.MessageRecord(message_ref=message_ref, **fields)


def an_image(
    state: common_pb2.MessageState.ValueType = common_pb2.MESSAGE_STATE_DELIVERED, **fields: Any
) -> change_pb2.MessageImage:
    """A message as it stands; counted, with the milestones that ``state`` needs at the least."""
    fields.setdefault("is_counted", True)
    told = a_registration()
    scope = change_pb2.Scope(provider=PROVIDER, account=ACCOUNT)
    for name in ("campaign_id", "channel", "sender", "template", "language", "category", "country"):
        setattr(scope, name, getattr(told, name))
    fields.setdefault("scope", scope)
    fields.setdefault("person_key", told.person_key)
    if state in _MILESTONE_OF:
        fields.setdefault(_MILESTONE_OF[state], TIME_US)
    return change_pb2.MessageImage(state=state, **fields)


def a_change(
    new_image: change_pb2.MessageImage | None = None,
    *,
    version: int = 1,
    provider_message_id: str = PROVIDER_MESSAGE_ID,
    **fields: Any,
) -> change_pb2.MessageChanged:
    """One move of one message; counted in ``campaign-1``, seen for the first time."""
    fields.setdefault("message_key", message_key(TENANT, PROVIDER, provider_message_id))
    fields.setdefault("tenant_id", TENANT)
    fields.setdefault("message_ref", "ref-1")
    fields.setdefault("provider", PROVIDER)
    fields.setdefault("account", ACCOUNT)
    fields.setdefault("change_time_us", TIME_US)
    return change_pb2.MessageChanged(
        new_image=new_image or an_image(),
        version=version,
        provider_message_id=provider_message_id,
        **fields,
    )


def a_change_batch(
    *changes: change_pb2.MessageChanged, batch_id: str = "changes-1", **fields: Any
) -> change_pb2.MessageChangedBatch:
    """One broker message on CHANGES; the tenant and state are those of the first change."""
    if changes:
        fields.setdefault("tenant_id", changes[0].tenant_id)
        fields.setdefault("state", changes[0].new_image.state)
        fields.setdefault("oldest_event_time_us", changes[0].change_time_us)
    return change_pb2.MessageChangedBatch(batch_id=batch_id, changes=changes, **fields)


_MILESTONE_OF = {
    common_pb2.MESSAGE_STATE_QUEUED: "queue_time_us",
    common_pb2.MESSAGE_STATE_DROPPED: "drop_time_us",
    common_pb2.MESSAGE_STATE_ACCEPTED: "accept_time_us",
    common_pb2.MESSAGE_STATE_SENT: "send_time_us",
    common_pb2.MESSAGE_STATE_UNDELIVERED: "undeliver_time_us",
    common_pb2.MESSAGE_STATE_DELIVERED: "deliver_time_us",
    common_pb2.MESSAGE_STATE_READ: "read_time_us",
}
