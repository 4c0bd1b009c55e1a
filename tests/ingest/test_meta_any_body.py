import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ingest.meta_bodies import (
    AT,
    change,
    dump,
    envelope,
    inbound,
    read,
    status,
)
from tests.ingest.mutations import places, with_value

_TEXTS = st.text(st.characters(), max_size=20)
_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | _TEXTS
    | st.sampled_from(["sent", "read", "failed", "messages", "text", str(AT), "\ud800"])
)
_NAMES = _TEXTS | st.sampled_from(
    ["id", "status", "timestamp", "errors", "code", "pricing", "context", "type", "statuses",
     "messages", "field", "value", "entry", "changes", "object", "from", "button", "reaction"]
)  # fmt: skip
_ANYTHING = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_NAMES, inner, max_size=4),
    max_leaves=12,
)
_WORDS = st.sampled_from(["sent", "delivered", "read", "played", "failed", "odd"])
_STATUSES = st.builds(
    lambda word, number, code: status(
        word, id=f"wamid.{number}", errors=[{"code": code}] if code else None
    ),
    _WORDS,
    st.integers(0, 5),
    st.sampled_from([0, 131026, 131050]),
)
_BODY = envelope(
    change(
        statuses=[
            status("failed", errors=[{"code": 131050}]),
            status("read", pricing={"type": "x"}),
        ],
        messages=[inbound("button", context={"id": "wamid.1"}, button={"payload": "p"})],
        errors=[{"code": 1}],
        user_actions=[{"action_type": "marketing_messages_link_click", "timestamp": str(AT)}],
    ),
    change("user_preferences", user_preferences=[{"wa_id": "1", "value": "stop", "timestamp": AT}]),
    {"field": "account_update", "value": {"event": "X"}},
)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(places(_BODY)), _ANYTHING)
def test_whatever_stands_in_any_place_of_a_body_it_is_read_or_kept(
    place: tuple[Any, ...], new: Any
) -> None:
    """Tomorrow's bodies are not known; today's code must take them without losing a neighbour."""
    reading = read(with_value(_BODY, place, new))

    for event in reading.batch.events:
        assert event.tenant_id == "demo"
        assert event.kind
        assert event.occur_time_us > 0
        assert len(event.message_key) in (0, 16)
        # What PostgreSQL cannot hold must not come this far.
        assert not _has_nul(event)
    if len(place) >= len(("entry", 0, "changes", 0, "value", "statuses", 0)):
        # Seven items; the one that was changed is read or kept, the others are read.
        assert len(reading.batch.events) + len(reading.batch.quarantined) >= 7
        assert len(reading.batch.quarantined) <= 1


def _has_nul(event: Any) -> bool:
    texts = [value for _, value in event.ListFields() if isinstance(value, str)]
    texts += [value for _, value in event.engagement.ListFields() if isinstance(value, str)]
    texts += [value for _, value in event.pricing.ListFields() if isinstance(value, str)]
    return any("\x00" in text for text in texts)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 1_000), st.integers(0, 40))
def test_bytes_of_any_kind_inside_a_body_never_raise(junk: bytes, start: int, removed: int) -> None:
    """A parser that raises would ask Meta to send the same body for seven days."""
    body = dump(_BODY)
    start %= len(body)

    reading = read(body[:start] + junk + body[start + removed :])

    assert reading.batch.events or reading.batch.quarantined


@settings(max_examples=200, deadline=None)
@given(st.lists(_STATUSES, max_size=12), st.data())
def test_splitting_a_body_anywhere_changes_nothing(
    statuses: list[dict[str, Any]], data: st.DataObject
) -> None:
    """Meta batches as it likes; how it does must not show in a number."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(statuses)), max_size=3)))
    parts = [
        statuses[start:end] for start, end in zip([0, *cuts], [*cuts, len(statuses)], strict=True)
    ]

    together = _multiset(envelope(change(statuses=statuses)))
    apart = sorted(event for part in parts for event in _multiset(envelope(change(statuses=part))))
    mixed = _multiset(envelope(*[change(statuses=part) for part in parts]))

    assert together == apart == mixed


@settings(max_examples=200, deadline=None)
@given(st.lists(_STATUSES, min_size=1, max_size=6))
def test_the_quick_pass_and_the_careful_one_read_the_same(statuses: list[dict[str, Any]]) -> None:
    """An unknown key in one change must not change what is read from the others."""
    quick = envelope(change(statuses=statuses))
    careful = json.loads(json.dumps(quick))
    careful["added_by_a_partner"] = True

    assert _multiset(quick) == _multiset(careful)


def _multiset(body: Any) -> list[bytes]:
    return sorted(event.SerializeToString(deterministic=True) for event in read(body).batch.events)
