"""Sets of people: of a campaign, and of those parts of it for which people are asked."""

from collections.abc import Iterable
from functools import lru_cache

from services.analytics.domain.counters import PEOPLE
from services.analytics.domain.dimensions import storable
from services.analytics.domain.families.family import (
    Column,
    Counted,
    Family,
    Key,
    Kind,
    Shaped,
    Sums,
)
from services.analytics.domain.frames import Frame, Seen
from services.analytics.domain.shape import ACCEPTED, DELIVERED, READ, Shape, shape_of

VARIANT, STEP = 1, 2
_PERSON = Column("person_key", Kind.HASH, "person")
_PART = (
    Column("part_kind", Kind.NUMBER, f"{VARIANT} variant, {STEP} step"),
    Column("part", Kind.WORD, "the variant or step"),
)
SETS = tuple(counter.name for counter in PEOPLE)


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


def _of_campaign(_frame: Frame, person: bytes) -> Iterable[Key]:
    return ((person,),)


def _of_parts(frame: Frame, person: bytes) -> Iterable[Key]:
    dimensions = frame.dimensions
    if dimensions.variant:
        yield VARIANT, dimensions.variant, person
    if dimensions.step_id:
        yield STEP, dimensions.step_id, person


def _of_buttons(seen: Seen) -> Iterable[tuple[Key, Sums]]:
    shape = shape_of(seen.image)
    if shape is not None:
        for button_id in seen.image.tapped_button_ids:
            yield (storable(button_id), seen.person), sets_of(shape)


def _is_tapped(shape: Shape) -> bool:
    return shape.tap_count > 0


PEOPLE_OF_CAMPAIGN = Family(
    name="people",
    says="People of a campaign.",
    key=(),
    member=_PERSON,
    sums=SETS,
    how=Shaped(sets_of, _of_campaign),
)
PEOPLE_OF_PARTS = Family(
    name="part_people",
    says="People of a variant of a test or of a step of a flow.",
    key=_PART,
    member=_PERSON,
    sums=SETS,
    how=Shaped(sets_of, _of_parts),
)
PEOPLE_OF_BUTTONS = Family(
    name="button_people",
    says="People who tapped a button.",
    key=(Column("button_id", Kind.WORD, "the button's id"),),
    member=_PERSON,
    sums=SETS,
    how=Counted(of_image=_of_buttons, concerns=_is_tapped),
)
