"""What one fold has added up so far, and the rows that come of it."""

from collections.abc import Iterable, Mapping
from typing import Any

from services.analytics.domain.cells import CampaignName, Cells
from services.analytics.domain.families.family import Family, Key, Placed, Seat, Sums, Versioned
from services.analytics.domain.frames import Frame, FrameBook
from services.analytics.domain.lists.listed import Names, Wanted
from services.analytics.domain.moves import Planner
from services.analytics.domain.places import Place, add_vector
from services.analytics.domain.seats import Members, enter
from services.analytics.domain.times import MINUTE_US, QUARTER_US, ClockName

_EVENT, _COHORT = int(ClockName.EVENT_TIME), int(ClockName.SEND_COHORT)


class Tally:
    """Sums by place, and those of families that are not placed by time."""

    def __init__(self, planner: Planner, book: FrameBook) -> None:
        self.planner = planner
        self._book = book
        self._places: dict[tuple[Frame, int], Place] = {}
        self._cells: dict[CampaignName, Cells] = {}

    def place(self, tenant_id: str, image: Any, cause: int) -> Place | None:
        """Return where an image (or a view of one) counts; None: it belongs to no campaign.

        Raises:
            DecodeError: the scope or an attribute cannot be read.
        """
        frame = self._book.frame(tenant_id, image.scope, image.attributes)
        if frame is None:
            return None
        place = self._places.get((frame, cause))
        if place is None:
            place = self._places[frame, cause] = Place(frame, cause)
        return place

    def cells_at(self, place: Place) -> Cells:
        """Return the rows of the campaign of a place."""
        name = place.frame.tenant_id, place.frame.campaign_id
        cells = self._cells.get(name)
        if cells is None:
            cells = self._cells[name] = Cells.empty()
        return cells

    def add_row(self, place: Place, family: Family, key: Key, sums: Sums, sign: int) -> None:
        """Add sums, or take them away."""
        self.cells_at(place).add(family, place.cause, key, sums, sign)

    def members(self, place: Place, family: Family, seat: Seat) -> Members:
        """Return the members in one seat of a set."""
        seats = self.cells_at(place).seats.setdefault(place.cause, {})
        return seats.setdefault(family.name, {}).setdefault(seat, {})

    @property
    def unresolved(self) -> list[Frame]:
        """Frames that the dictionary has yet to give numbers to, before ``cells`` is asked."""
        return [place.frame for place in self._places.values() if not place.frame.is_resolved]

    @property
    def unnamed(self) -> dict[CampaignName, Wanted]:
        """What lists need numbers for, before ``cells`` is asked."""
        wanted: dict[CampaignName, Wanted] = {}
        for place in self._places.values():
            name = place.frame.tenant_id, place.frame.campaign_id
            one = wanted.get(name)
            if one is None:
                one = wanted[name] = Wanted(set(), set())
            place.listed.want(one)
        return {name: one for name, one in wanted.items() if one.keys}

    def cells(self, names: Mapping[CampaignName, Names] | None) -> dict[CampaignName, Cells]:
        """Return the rows of each campaign. To be called once, when nothing more is added.

        Args:
            names: what stands for what is ``unnamed``; None: the rows of lists are left out.
        """
        for place in self._places.values():
            self._seat_people(place)
            self._unfold(place)
            name = place.frame.tenant_id, place.frame.campaign_id
            if names is not None and (known := names.get(name)) is not None:
                place.listed.add_to(self.cells_at(place).lists, place.frame.terms, known)
        found = {name: cells.without_zeros() for name, cells in self._cells.items()}
        return {name: cells for name, cells in found.items() if not cells.is_empty}

    def _seat_people(self, place: Place) -> None:
        for moves in place.moves.values():
            moves.settle()
            for move in moves.plan.shaped if moves.people else ():
                if move.difference is not None:
                    seat = move.how.seat_of(place.frame)
                    enter(self.members(place, move.family, seat), moves.people, move.difference)

    def _unfold(self, place: Place) -> None:
        """Spread the sums of one place over the rows of all families that are placed by time."""
        cells = self.cells_at(place)
        for family in self.planner.families:
            if isinstance(family.how, Versioned):
                cells.add(family, place.cause, (), (place.versions,), 1)
            if isinstance(family.how, Placed):
                _spread(cells.sums.setdefault(family.name, {}), family.how, place)
        causes = cells.causes
        for (_, vector), n in place.cohort.items():
            add_vector(causes, place.cause, vector, n)


def _spread(rows: dict[Key, list[int]], how: Placed, place: Place) -> None:
    for clock, sums, unit in (
        (_EVENT, place.event, MINUTE_US),
        (_COHORT, place.cohort, QUARTER_US),
    ):
        for (at, vector), n in sums.items():
            keys: Iterable[Key] = how.places(place.frame, clock, at * unit) if n else ()
            for key in keys:
                add_vector(rows, key, vector, n)
