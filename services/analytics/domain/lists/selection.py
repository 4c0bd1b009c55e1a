"""From what a caller asks for to a formula over terms."""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import msgspec
from bluetick.v1 import common_pb2
from bluetick.v1 import message_service_pb2 as pb

from services.analytics.domain.dimensions import NAMES, OTHER
from services.analytics.domain.lists import marks, terms
from services.analytics.domain.lists.listed import Value
from services.analytics.domain.lists.marks import AllOf, AnyOf, Formula, Not
from services.analytics.domain.lists.terms import term
from services.analytics.domain.question import ATTRIBUTE, Problem, filters_of

STATES_MAX = 10
REASONS_MAX = 30
CHANNELS_MAX = 10
_TEXT_CHARS_MAX = 400
_CHANNEL = NAMES.index("channel")
# Fields that name one value of a dimension.
_DIMENSIONS = ("variant", "flow_id", "branch_id", "step_id", "segment", "country", "provider")
_TEXTS = (*_DIMENSIONS, "metric", "provider_code", "link_id", "button_id", "contact_id")


class Having(NamedTuple):
    """Messages with one of the values of a dimension; by name, where it is an attribute's."""

    dimension: int | str
    values: tuple[str, ...]
    # Field of the request.
    field: str


class Selection(msgspec.Struct, frozen=True):
    """What is looked for: all of the formulas, all of the values."""

    formulas: tuple[Formula, ...]
    having: tuple[Having, ...]
    # The person, as the sender names it; empty: anybody.
    contact_id: str


class Known(NamedTuple):
    """What the dictionary of a campaign knows of the values that are asked for."""

    # (dimension, value) -> number.
    numbers: Mapping[Value, int]
    # Dimension -> all of its numbers, of dimensions for which messages without a value are asked.
    all_numbers: Mapping[int, frozenset[int]]
    # Dimensions that have no room for further values.
    full: frozenset[int]


class NotKept(Exception):
    """The value came when the campaign had no room for it: nothing tells its messages apart."""

    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field = field


def selection_of(where: pb.MessageFilter) -> Selection:
    """Return what a filter looks for.

    Raises:
        Problem: the first thing wrong with it.
    """
    for name in _TEXTS:
        text = getattr(where, name)
        if len(text) > _TEXT_CHARS_MAX or "\x00" in text:
            text = f"At most {_TEXT_CHARS_MAX} characters, none of them NUL."
            raise Problem(f"where.{name}", text)
    having = [*_values(where), *_dimensions(where)]
    return Selection(tuple(_formulas(where)), tuple(having), where.contact_id)


def _formulas(where: pb.MessageFilter) -> Iterator[Formula]:
    _bounded("states", where.states, STATES_MAX)
    _bounded("reasons", where.reasons, REASONS_MAX)
    _bounded("channels", where.channels, CHANNELS_MAX)
    if where.states:
        unknown = [state for state in where.states if state not in marks.STATES]
        if unknown:
            raise Problem("where.states", f"{unknown[0]} is no state that a message may have.")
        yield AnyOf(tuple(marks.STATES[state] for state in where.states))
    if where.metric:
        formula = marks.METRICS.get(where.metric.lower())
        if formula is None:
            known = ", ".join(sorted(marks.METRICS))
            raise Problem("where.metric", f"Not a counter; use one of {known}.")
        yield formula
    if where.reasons:
        yield AnyOf(tuple(term(terms.REASONS, reason) for reason in where.reasons))
    is_of_failure = where.reasons or where.provider_code
    if is_of_failure and not where.states and not where.metric:
        yield marks.FAILED
    if where.channels:
        yield AnyOf(tuple(term(_CHANNEL, channel) for channel in where.channels))
    if where.attempt_count_min:
        if where.attempt_count_min > marks.ATTEMPTS_MAX:
            raise Problem("where.attempt_count_min", f"From 1 to {marks.ATTEMPTS_MAX}.")
        yield marks.at_least(where.attempt_count_min)
    if where.card_index:
        if where.card_index > terms.CARDS_MAX:
            raise Problem("where.card_index", f"From 1 to {terms.CARDS_MAX}.")
        if not where.link_id and not where.button_id:
            yield term(terms.CARDS, where.card_index)


def _bounded(field: str, values: Iterable[int], most: int) -> None:
    count = len(list(values))
    if count > most:
        raise Problem(f"where.{field}", f"{count} given, at most {most}; leave some out.")


def _values(where: pb.MessageFilter) -> Iterator[Having]:
    card = where.card_index
    for field, plain, of_card in (
        ("link_id", terms.LINKS, terms.LINKS_OF_CARDS),
        ("button_id", terms.BUTTONS, terms.BUTTONS_OF_CARDS),
    ):
        value = getattr(where, field)
        if value and card:
            yield Having(of_card, (terms.of_card(value, card),), f"where.{field}")
        elif value:
            yield Having(plain, (value,), f"where.{field}")
    if where.provider_code:
        yield Having(terms.CODES, (where.provider_code,), "where.provider_code")
    for field in _DIMENSIONS:
        if value := getattr(where, field):
            yield Having(NAMES.index(field), (value,), f"where.{field}")
    if where.HasField("attribute"):
        if not where.attribute.name:
            raise Problem("where.attribute.name", "Required; name the attribute.")
        yield Having(where.attribute.name, (where.attribute.value,), "where.attribute")


def _dimensions(where: pb.MessageFilter) -> Iterator[Having]:
    try:
        asked = filters_of(where.dimensions)
    except Problem as problem:
        field = problem.field.replace("filter", "where.dimensions", 1)
        raise Problem(field, problem.text) from None
    for name, values in asked.items():
        field = f"where.dimensions[{list(asked).index(name)}]"
        if name.startswith(ATTRIBUTE):
            yield Having(name.removeprefix(ATTRIBUTE), tuple(map(str, values)), field)
        else:
            yield Having(NAMES.index(name), tuple(map(str, values)), field)


def formula_of(selection: Selection, known: Known, dimension_of: Mapping[str, int]) -> Formula:
    """Return the formula of a selection.

    Args:
        selection: what is looked for.
        known: what the dictionary says.
        dimension_of: dimension of each attribute that the campaign is broken down by.

    Raises:
        NotKept: a value has no term of its own.
    """
    found = [marks.COUNTED, *selection.formulas]
    for one in selection.having:
        dimension = one.dimension
        if isinstance(dimension, str):
            if dimension not in dimension_of:
                raise NotKept(one.field)
            dimension = dimension_of[dimension]
        found.append(AnyOf(tuple(_of_value(dimension, v, known, one.field) for v in one.values)))
    return AllOf(tuple(found))


def _of_value(dimension: int, value: str, known: Known, field: str) -> Formula:
    if dimension == _CHANNEL:
        return term(dimension, int(value))
    if value == OTHER:
        return term(dimension, 0)
    if not value:
        numbers = {0, *known.all_numbers.get(dimension, ())}
        return Not(AnyOf(tuple(term(dimension, number) for number in sorted(numbers))))
    number = known.numbers.get((dimension, value))
    if number is None and dimension in known.full:
        raise NotKept(field)
    # A value that nobody has told yet finds nothing.
    return term(dimension, number) if number is not None else AnyOf(())


assert set(marks.STATES) == set(common_pb2.MessageState.values()) - {0}
