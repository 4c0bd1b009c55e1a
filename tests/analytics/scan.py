"""Looks at single messages, in the plainest way. Shares no code with the product."""

from bluetick.v1 import common_pb2, message_service_pb2

from tests.analytics.building import Step
from tests.analytics.oracle import _counted


def matches(step: Step, where: message_service_pb2.MessageFilter, campaign_id: str) -> bool:
    """Return whether a message as it stands is behind a filter."""
    one, scope = step.image, step.image.scope
    if not one.is_counted or scope.campaign_id != campaign_id:
        return False
    counts: dict[str, int] = {}
    for name, n, _ in _counted(step):
        counts[name] = counts.get(name, 0) + n
    state = one.state or common_pb2.MESSAGE_STATE_QUEUED
    is_failed = bool(counts.get("dropped") or counts.get("undelivered"))
    is_about_failure = bool(where.reasons or where.provider_code)
    values = {
        "channel": common_pb2.Channel.Name(scope.channel),
        **{n: getattr(scope, n) for n in ("template", "language", "market")},
    }
    clicks = [f.engagement for f in step.acts if f.kind == common_pb2.EVENT_KIND_CLICKED]
    taps = [f.engagement for f in step.acts if f.engagement.is_tap]
    acts = [f.engagement for f in step.acts]
    card = where.card_index
    return all((
        not where.states or state in where.states,
        not where.metric or _metric(where.metric.lower(), counts, one) > 0,
        not where.reasons or one.failure_reason in where.reasons,
        not where.provider_code or one.failure_code == where.provider_code,
        not is_about_failure or bool(where.states or where.metric) or is_failed,
        not where.link_id
        or any(e.link_id == where.link_id and card in (0, e.card_index) for e in clicks),
        not where.button_id
        or any(e.button_id == where.button_id and card in (0, e.card_index) for e in taps),
        not card
        or bool(where.link_id or where.button_id)
        or any(e.card_index == card for e in acts),
        *(
            not getattr(where, name) or getattr(scope, name) == getattr(where, name)
            for name in ("variant", "step_id", "segment", "country", "provider")
        ),
        not where.HasField("attribute")
        or one.attributes.get(where.attribute.name, "") == where.attribute.value,
        not where.contact_id or one.contact_id == where.contact_id,
        not where.channels or scope.channel in where.channels,
        one.attempt_count >= where.attempt_count_min,
        *(values[f.dimension] in f.values for f in where.dimensions),
    ))  # fmt: skip


_SAME = {
    "people_targeted": "targeted", "people_sent": "sent", "people_reached": "delivered",
    "people_read": "read", "repliers": "replied", "people_clicked": "clicked",
    "unique_link_clicks": "clicks",
}  # fmt: skip


def _metric(name: str, counts: dict[str, int], one: object) -> int:
    def of(counter: str) -> int:
        return counts.get(counter, 0)

    if name in ("converted", "conversions", "people_converted"):
        return len(one.reached_goals)  # type: ignore[attr-defined]
    failed = of("dropped") + of("undelivered")
    derived = {
        "failed": failed,
        "addressable": of("targeted") - of("dropped_unaddressable"),
        "failed_addressable": failed - of("dropped_unaddressable"),
        "human_clicks": of("clicks") - of("machine_clicks"),
    }
    return derived[name] if name in derived else of(_SAME.get(name, name))
