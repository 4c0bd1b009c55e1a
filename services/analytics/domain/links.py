"""Clicks per link and card: which link a click was on, and what is told of each."""

from collections.abc import Iterable
from hashlib import blake2b
from typing import NamedTuple

import msgspec
from bluetick.v1 import event_pb2

from services.analytics.domain.rates import Rate, RateDefinition, rate

EXTERNAL_RATE = RateDefinition(
    "external_button_clicks_per_delivered", "external_button_clicks", "delivered", False
)


class LinkName(NamedTuple):
    """What tells one link from the others, and how people know it."""

    link_id: str
    url: str
    label: str
    card_index: int
    is_external_button: bool


class LinkCell(NamedTuple):
    """Clicks on one link, or on one link of one card."""

    name: LinkName
    clicks: int
    machine_clicks: int
    people: int
    human_people: int


class LinkActivity(msgspec.Struct, frozen=True):
    """Clicks of a campaign by link, most clicked first; each click is in exactly one of them."""

    cells: list[LinkCell]
    external_rate: Rate

    @property
    def clicks(self) -> int:
        """Clicks on all links together."""
        return sum(cell.clicks for cell in self.cells)

    @property
    def human_clicks(self) -> int:
        """Clicks on all links together without those of machines."""
        return sum(cell.clicks - cell.machine_clicks for cell in self.cells)


def link_key(engagement: event_pb2.Engagement) -> bytes:
    """Return 16 bytes for the row that a click belongs to.

    The link is what the sender calls it, else its destination: addresses may differ from person to
    person. Cards are apart even if they lead to the same place.
    """
    kind = "external" if engagement.is_external_button else "link"
    named = "id" if engagement.link_id else "url"
    link = engagement.link_id or engagement.url
    text = f"{kind}\0{engagement.card_index}\0{named}\0{link}"
    return blake2b(text.encode(), digest_size=16).digest()


def name_of(engagement: event_pb2.Engagement) -> LinkName:
    """Return the name of the link that was clicked, as this click tells it."""
    e = engagement
    return LinkName(e.link_id, e.url, e.link_label, e.card_index, e.is_external_button)


def joined(one: LinkName, other: LinkName) -> LinkName:
    """Return the name that two clicks on one link tell together; in any order the same."""
    return one._replace(url=_first(one.url, other.url), label=_first(one.label, other.label))


def _first(one: str, other: str) -> str:
    return min(one, other) if one and other else one or other


def activity(cells: Iterable[LinkCell], delivered: int) -> LinkActivity:
    """Return the clicks by link; of links whose clicks were all taken back nothing is left."""
    clicked = sorted(
        (cell for cell in cells if cell.clicks > 0), key=lambda cell: (-cell.clicks, cell.name)
    )
    external = sum(cell.clicks for cell in clicked if cell.name.is_external_button)
    return LinkActivity(clicked, rate(EXTERNAL_RATE, external, delivered))
