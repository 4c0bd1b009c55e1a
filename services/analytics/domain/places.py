"""Sums under one combination of dimensions, and how moves are added to them."""

from collections import defaultdict
from typing import Any

from google.protobuf.message import DecodeError

from services.analytics.domain.counters import STORED
from services.analytics.domain.dimensions import storable
from services.analytics.domain.frames import Frame
from services.analytics.domain.lists.listed import Listed
from services.analytics.domain.moves import Plan, Vector

_MINUTES_A_QUARTER = 15


class Moves:
    """Moves of one plan at one place, gathered before anything is added up."""

    __slots__ = ("minutes", "people", "place", "plan", "turned")

    def __init__(self, place: "Place", plan: Plan) -> None:
        self.place = place
        self.plan = plan
        # Minutes since 1970 of the plan's ``quick`` steps -> how often.
        self.minutes: defaultdict[tuple[int, ...], int] = defaultdict(int)
        # The people that the plan moves.
        self.people: list[bytes] = []
        # The messages that it turns round in lists.
        self.turned = place.listed.turned_by(plan.number, plan.turned)

    def list_new(self, message_key: bytes, contact_id: bytes) -> None:
        """Put a message with nothing but a contact under the dimensions.

        Raises:
            DecodeError: the contact is no text.
        """
        listed = self.place.listed
        listed.moving.append(message_key)
        if contact_id:
            try:
                listed.contacts[message_key, storable(contact_id.decode())] += 1
            except UnicodeDecodeError as error:
                raise DecodeError("contact_id") from error

    def settle(self) -> None:
        """Add the moves to the sums of the place."""
        quick, place = self.plan.quick, self.place
        if quick is None:
            return
        for minutes, n in self.minutes.items():
            if quick.cohort is not None:
                place.cohort[minutes[0] // _MINUTES_A_QUARTER, quick.cohort] += n
            for minute, vector in zip(minutes, quick.vectors, strict=True):
                if vector is not None:
                    place.event[minute, vector] += n


class Place:
    """Sums under one frame and for one cause."""

    __slots__ = ("cause", "cohort", "event", "frame", "listed", "moves", "versions")

    def __init__(self, frame: Frame, cause: int) -> None:
        self.frame = frame
        self.cause = cause
        # (minute since 1970, vector) -> how often; clock EVENT_TIME.
        self.event: defaultdict[tuple[int, Vector], int] = defaultdict(int)
        # (quarter since 1970, vector) -> how often; clock SEND_COHORT.
        self.cohort: defaultdict[tuple[int, Vector], int] = defaultdict(int)
        # By the number of the plan.
        self.moves: dict[int, Moves] = {}
        self.versions = 0
        self.listed = Listed()

    def moves_of(self, plan: Plan) -> Moves:
        """Return where the moves of a plan are gathered."""
        moves = self.moves.get(plan.number)
        if moves is None:
            moves = self.moves[plan.number] = Moves(self, plan)
        return moves


def add_vector(rows: dict[Any, list[int]], key: Any, vector: Vector, n: int) -> None:
    """Add a vector ``n`` times to the row of a key."""
    row = rows.get(key)
    if row is None:
        row = rows[key] = [0] * len(STORED)
    for index, count in vector.counts:
        row[index] += count * n


def shift(
    sums: defaultdict[tuple[int, Vector], int],
    before: Vector | None,
    after: Vector | None,
    difference: Vector | None,
    was: int,
    now: int,
) -> None:
    """Add one move: where both ends lie in one bucket only the difference is left."""
    if before is not None and after is not None and was == now:
        if difference is not None:
            sums[now, difference] += 1
        return
    if before is not None:
        sums[was, before] -= 1
    if after is not None:
        sums[now, after] += 1
