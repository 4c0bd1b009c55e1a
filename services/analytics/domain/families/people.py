"""Sets of people: of a campaign, and of those parts of it for which people are asked."""

from collections.abc import Iterable
from functools import lru_cache

from services.analytics.domain.counters import PEOPLE as COUNTERS
from services.analytics.domain.dimensions import storable
from services.analytics.domain.families.family import (
    Column,
    Counted,
    Family,
    Key,
    Kind,
    Seat,
    Shaped,
    Sums,
)
from services.analytics.domain.frames import Frame, Seen
from services.analytics.domain.shape import ACCEPTED, DELIVERED, READ, Shape, shape_of

_PERSON = Column("person_key", Kind.HASH, "person")
SETS = tuple(counter.name for counter in COUNTERS)


@lru_cache(maxsize=65_536)
def sets_of(shape: Shape) -> Sums:
    """Return to which sets of people the message adds its person: 1 or 0, in the order of SETS."""
    state = shape.state
    is_in = {
        "people_targeted": True,
        "people_sent": state >= ACCEPTED,
        "people_reached": state >= DELIVERED,
        "people_read": state >= READ,
        "repliers": state >= DELIVERED and shape.reply_count > 0,
        "people_clicked": state >= DELIVERED and shape.click_count > 0,
        "people_converted": shape.is_converted,
    }
    return tuple(int(is_in[name]) for name in SETS)


def _seat_of(frame: Frame) -> Seat:
    return frame.dimensions.variant, frame.dimensions.step_id


def _of_buttons(seen: Seen) -> Iterable[tuple[Key, Sums]]:
    shape = shape_of(seen.image)
    if shape is not None:
        for button_id in seen.image.tapped_button_ids:
            yield (storable(button_id), seen.person), sets_of(shape)


def _is_tapped(shape: Shape) -> bool:
    return shape.tap_count > 0


PEOPLE = Family(
    name="people",
    says="People of a campaign, of each variant of a test and of each step of a flow.",
    key=(),
    member=_PERSON,
    seat=(
        Column("variant", Kind.WORD, "variant"),
        Column("step_id", Kind.WORD, "step"),
    ),
    sums=SETS,
    how=Shaped(sets_of, _seat_of),
)
PEOPLE_OF_BUTTONS = Family(
    name="button_people",
    says="People who tapped a button.",
    key=(Column("button_id", Kind.WORD, "the button's id"),),
    member=_PERSON,
    sums=SETS,
    how=Counted(of_image=_of_buttons, concerns=_is_tapped),
)
