"""The columns of exports, and how a message fills them."""

import json
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from operator import attrgetter
from typing import Any, Final, NamedTuple

from bluetick.v1 import common_pb2
from bluetick.v1.change_pb2 import MessageImage, Scope

# Written into each Parquet file; a new one whenever a column changes its name, type or meaning.
SCHEMA_VERSION: Final = "1"


class Kind(Enum):
    """What a column holds; None is no value in each."""

    TEXT = "text, UTF-8"
    WORD = "text of our own, letters and underscores only"
    TIME = "microseconds since 1970, UTC"
    COUNT = "whole number"
    MONEY = "millionths of a unit of the currency"
    FLAG = "true or false"
    REAL = "double"


class Column(NamedTuple):
    """One column."""

    name: str
    kind: Kind


# A value a column.
Row = tuple[Any, ...]

_SCOPE: Final = (
    "campaign_id", "provider", "account", "sender", "template", "language", "category", "variant",
    "flow_id", "branch_id", "step_id", "segment", "country",
)  # fmt: skip
_TIMES: Final = (
    "queue_time", "drop_time", "accept_time", "send_time", "undeliver_time", "deliver_time",
    "read_time", "play_time", "click_time", "reply_time", "tap_time", "unsubscribe_time",
    "complain_time", "cancel_time",
)  # fmt: skip
_COUNTS: Final = ("click_count", "machine_click_count", "reply_count", "tap_count", "attempt_count")
_FLAGS: Final = ("is_recovered", "is_deliver_inferred")

DETAILED: Final = (
    Column("message_id", Kind.WORD),
    Column("message_ref", Kind.TEXT),
    Column("provider_message_id", Kind.TEXT),
    Column("contact_id", Kind.TEXT),
    Column("address", Kind.TEXT),
    Column("channel", Kind.WORD),
    Column("state", Kind.WORD),
    Column("failure_stage", Kind.WORD),
    Column("failure_reason", Kind.WORD),
    Column("failure_code", Kind.TEXT),
    Column("failure_codes", Kind.TEXT),
    *(Column(name, Kind.TEXT) for name in _SCOPE),
    *(Column(name, Kind.TIME) for name in _TIMES),
    *(Column(name, Kind.COUNT) for name in _COUNTS),
    *(Column(name, Kind.FLAG) for name in _FLAGS),
    Column("links_clicked", Kind.TEXT),
    Column("buttons_tapped", Kind.TEXT),
    Column("cost_estimated", Kind.MONEY),
    Column("cost_estimated_currency", Kind.TEXT),
    Column("cost_final", Kind.MONEY),
    Column("cost_final_currency", Kind.TEXT),
    Column("attributes", Kind.TEXT),
)

SUMMARY: Final = (
    Column("kind", Kind.WORD),
    Column("name", Kind.TEXT),
    Column("value", Kind.REAL),
    Column("numerator", Kind.COUNT),
    Column("denominator", Kind.COUNT),
    Column("low", Kind.REAL),
    Column("high", Kind.REAL),
    Column("currency", Kind.TEXT),
    Column("unavailable", Kind.TEXT),
)

_scope: Final[Callable[[Scope], tuple[str, ...]]] = attrgetter(*_SCOPE)
_times: Final[Callable[[MessageImage], tuple[int, ...]]] = attrgetter(*(f"{n}_us" for n in _TIMES))
_counts: Final[Callable[[MessageImage], tuple[int, ...]]] = attrgetter(*_COUNTS)
_flags: Final[Callable[[MessageImage], tuple[bool, ...]]] = attrgetter(*_FLAGS)


def _words(prefix: str, numbers: Iterable[tuple[str, int]]) -> dict[int, str | None]:
    found: dict[int, str | None] = {number: name.removeprefix(prefix) for name, number in numbers}
    found[0] = None
    return found


_STATES: Final = _words("MESSAGE_STATE_", common_pb2.MessageState.items())
_CHANNELS: Final = _words("CHANNEL_", common_pb2.Channel.items())
_STAGES: Final = _words("FAILURE_STAGE_", common_pb2.FailureStage.items())
_REASONS: Final = _words("FAILURE_REASON_", common_pb2.FailureReason.items())
_BETWEEN: Final = "; "


def detailed_row(key: bytes, seen: MessageImage, address: str, links: Sequence[str]) -> Row:
    """Return the row of a message; ``links``: those that were clicked, sorted."""
    scope = seen.scope
    attributes = seen.attributes
    estimated, final = seen.estimated_price, seen.final_price
    return (
        key.hex(),
        seen.message_ref,
        seen.provider_message_id,
        seen.contact_id,
        address,
        _CHANNELS.get(scope.channel, str(scope.channel)),
        _STATES.get(seen.state, str(seen.state)),
        _STAGES.get(seen.failure_stage, str(seen.failure_stage)),
        _REASONS.get(seen.failure_reason, str(seen.failure_reason)),
        seen.failure_code,
        _BETWEEN.join(seen.failure_codes),
        *_scope(scope),
        *_times(seen),
        *_counts(seen),
        *_flags(seen),
        _BETWEEN.join(links),
        _BETWEEN.join(seen.tapped_button_ids),
        estimated.amount_micros if estimated.currency_code else None,
        estimated.currency_code,
        final.amount_micros if final.currency_code else None,
        final.currency_code,
        _json(attributes) if attributes else "",
    )


def _json(attributes: Any) -> str:
    return json.dumps(dict(attributes), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
