"""Clicks by link and card, who clicked each, and pairs of a person and a link."""

from collections.abc import Iterable
from hashlib import blake2b

from services.analytics.domain.families.family import (
    Act,
    Column,
    Counted,
    Family,
    Key,
    Kind,
    Sums,
)
from services.analytics.domain.frames import Seen
from services.analytics.domain.links import link_key
from services.analytics.domain.shape import CLICKED, Shape
from services.analytics.domain.times import QUARTER_US

_LINK = Column("link_key", Kind.HASH, "link, or link of one carousel card")
_PERSON = Column("person_key", Kind.HASH, "person")


def _no_image(_shape: Shape) -> bool:
    return False


def _clicks(_seen: Seen, act: Act) -> Iterable[tuple[Key, Sums]]:
    if act.kind == CLICKED:
        quarter_us = act.occur_time_us // QUARTER_US * QUARTER_US
        key = link_key(act.engagement), quarter_us
        yield key, (1, int(act.engagement.is_machine))


def _clickers(seen: Seen, act: Act) -> Iterable[tuple[Key, Sums]]:
    if act.kind == CLICKED:
        is_human = not act.engagement.is_machine
        yield (link_key(act.engagement), seen.person), (1, int(is_human))


def _pairs(seen: Seen, act: Act) -> Iterable[tuple[Key, Sums]]:
    """The link is what the sender calls it, else its destination."""
    if act.kind == CLICKED:
        link = act.engagement.link_id or act.engagement.url
        yield (blake2b(seen.person + link.encode(), digest_size=16).digest(),), (1,)


LINKS = Family(
    name="links",
    says="Clicks by link and card, each at its own time.",
    key=(_LINK, Column("quarter_us", Kind.BIG, "start of the quarter of an hour")),
    sums=("clicks", "machine_clicks"),
    how=Counted(of_act=_clicks, concerns=_no_image),
)
LINK_PEOPLE = Family(
    name="link_people",
    says="People who clicked a link, and those of them for whom no machine did.",
    key=(_LINK,),
    member=_PERSON,
    sums=("people", "human_people"),
    how=Counted(of_act=_clickers, concerns=_no_image),
)
LINK_PAIRS = Family(
    name="link_pairs",
    says="Pairs of a person and a link that the person clicked.",
    key=(),
    member=Column("pair_key", Kind.HASH, "person and link"),
    sums=("unique_link_clicks",),
    how=Counted(of_act=_pairs, concerns=_no_image),
)
