"""What a row of the field table says. The table itself is ``domain.message.Message``.

A rule must not depend on the order of telling, and the channel of a message may be told after
everything else. So a field has one rule on every channel; what a channel cannot tell stays 0 there,
and where two channels mean different things by one word, they are two fields.
"""

from enum import Enum
from typing import Any, get_type_hints

import msgspec
from bluetick.v1.common_pb2 import MESSAGE_STATE_UNSPECIFIED, MessageState


class Merge(Enum):
    """What stands of several values told for one field, in the words of docs/states.md."""

    EARLIEST = "the earliest"
    EARLIEST_HUMAN = "the earliest that no machine made"
    EARLIEST_FINAL = "the earliest that does not pass by itself"
    EARLIEST_REFUSAL = "the earliest failure whose code says so"
    SMALLEST = "the smallest that is not empty"
    FAILURE = "that of the earliest failure with a code, else of the earliest failure"
    CODES = "all, the smallest 32"
    PRICE = "that of the price told for the earliest time"
    STRONGEST = "the strongest proof"
    ATTEMPTS = "made by comparing the attempts of its reference"
    ACTS = "made from the acts that stand"
    ADDRESS_ACTS = "made from the acts that were told by an address"
    PARTS = "made from what was told of the parts"
    CONTRADICTIONS = "the union of what any two records say differently"
    RECIPIENTS = "made from all messages under its id"
    PERSON = "the smallest key of the names that are joined with its address"
    RECORD = "of several records the one with the earliest time"


class Field(msgspec.Struct, frozen=True):
    """One row of the table."""

    merge: Merge
    # Kinds of the events that tell it. Empty: it follows from something else.
    kinds: tuple[int, ...] = ()
    # Whether the image shows it, under the same name.
    is_shown: bool = False
    # The state that it proves when it is not 0.
    proves: MessageState.ValueType = MESSAGE_STATE_UNSPECIFIED
    # The state that it proves instead where a provider's id proves the hand-over.
    proves_with_id: MessageState.ValueType = MESSAGE_STATE_UNSPECIFIED


def fields_of(table: type[Any]) -> dict[str, Field]:
    """Return the rows of a table by the names of its fields, in its order.

    Raises:
        TypeError: a field has no row, or two.
    """
    rows = {}
    for name, hint in get_type_hints(table, include_extras=True).items():
        found = [row for row in getattr(hint, "__metadata__", ()) if isinstance(row, Field)]
        if len(found) != 1:
            raise TypeError(f"{table.__name__}.{name} has {len(found)} rows, it needs one.")
        rows[name] = found[0]
    return rows


def named(rows: dict[str, Field], *rules: Merge) -> tuple[str, ...]:
    """Return the names of the fields that are merged by one of the rules."""
    return tuple(name for name, row in rows.items() if row.merge in rules)


def by_kind(rows: dict[str, Field], *rules: Merge) -> dict[int, tuple[str, ...]]:
    """Return, for each kind of event, the fields merged by one of the rules that it tells."""
    found: dict[int, tuple[str, ...]] = {}
    for name, row in rows.items():
        if row.merge in rules:
            for kind in row.kinds:
                found[kind] = (*found.get(kind, ()), name)
    return found
