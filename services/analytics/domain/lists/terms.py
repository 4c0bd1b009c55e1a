"""Terms: what messages of a campaign are found by, each a number of its own.

A term is a value of a dimension: of those that the dictionary numbers, or of those below, whose
values are numbers already.
"""

from services.analytics.domain.dimensions import VALUES_MAX

# Dimensions of the dictionary beside those of reports; 100 to 108 are attributes.
LINKS, BUTTONS, LINKS_OF_CARDS, BUTTONS_OF_CARDS, CODES = range(200, 205)
# Dimensions whose values are numbers.
CARDS, REASONS, MARKS = range(210, 213)

# Numbers of values within a dimension. 0: a value without a number of its own.
_NUMBERS = 256
assert VALUES_MAX < _NUMBERS
CARDS_MAX = 200


def term(dimension: int, number: int) -> int:
    """Return the term of a value; numbers beyond the room of a dimension count as 0."""
    return dimension * _NUMBERS + (number if 0 <= number < _NUMBERS else 0)


def of_card(value: str, card_index: int) -> str:
    """Return what stands for a link or button of one card."""
    return f"{card_index}\x1f{value}"
