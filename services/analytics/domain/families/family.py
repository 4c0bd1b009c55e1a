"""What a family of numbers is. One is declared in one file; everything else follows from that.

Table, upserts, fold, recount, comparison of generations and docs/metrics.md read the declaration.
Every number is a sum over messages of what each message adds in its present state. How a message
adds to a family is one of four ways:

* ``Placed``: all counters of the catalogue, at places that follow from dimensions and time.
* ``Shaped``: a set of people, in which the message's shape alone says how its person stands.
* ``Counted``: any sums at any places, told by the image or by single acts.
* ``Versioned``: how many changes the message has had.
"""

from collections.abc import Callable, Iterable
from enum import Enum

import msgspec
from bluetick.v1 import change_pb2

from services.analytics.domain.frames import Frame, Seen
from services.analytics.domain.shape import Shape

Key = tuple[int | str | bytes, ...]
Sums = tuple[int, ...]
# One word for each column of a family's ``seat``.
Seat = tuple[str, ...]
Act = change_pb2.MessageAct
# Length of the hash that stands for the member of a set.
MEMBER_BYTES = 16


class Kind(Enum):
    """Type of a column of a key."""

    NUMBER = "smallint"
    BIG = "bigint"
    WORD = "text"
    HASH = "bytea"


class Column(msgspec.Struct, frozen=True):
    """One column of a key; ``says`` is for the page of metrics."""

    name: str
    kind: Kind
    says: str


class Placed(msgspec.Struct, frozen=True):
    """Counters of the catalogue. ``places`` takes the dimensions, the clock and a minute (us)."""

    places: Callable[[Frame, int, int], Iterable[Key]]


class Shaped(msgspec.Struct, frozen=True):
    """``sums_of`` a shape, for the message's person in the seat that its dimensions say."""

    sums_of: Callable[[Shape], Sums]
    seat_of: Callable[[Frame], Seat]


def _nothing_of_image(_seen: Seen) -> Iterable[tuple[Key, Sums]]:
    return ()


def _nothing_of_act(_seen: Seen, _act: Act) -> Iterable[tuple[Key, Sums]]:
    return ()


def _everything(_shape: Shape) -> bool:
    return True


class Counted(msgspec.Struct, frozen=True):
    """What a counted message adds by its image, and what each of its acts adds.

    ``of_act`` depends on the act, the dimensions and the person, on nothing else of the image.
    ``concerns`` says of which shapes ``of_image`` may return anything; it saves asking.
    """

    of_image: Callable[[Seen], Iterable[tuple[Key, Sums]]] = _nothing_of_image
    of_act: Callable[[Seen, Act], Iterable[tuple[Key, Sums]]] = _nothing_of_act
    concerns: Callable[[Shape], bool] = _everything


class Versioned(msgspec.Struct, frozen=True):
    """The version of the message: a change that never came is missed even if it moves no number."""


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """One family of numbers.

    ``name`` is that of its table, whose key is tenant, campaign, generation, ``key`` and a shard. A
    family with a ``member`` is a set: its rows say how often each member is in it, and in the table
    ``sizes`` stands how many members are in it at least once.

    A member may be counted by parts of the set as well: a row of a set with a ``seat`` is a member
    in one combination of these words, in ``sizes`` a member counts once however many rows it has,
    and in ``part_sizes`` once for each word of each column of the seat.
    """

    name: str
    says: str
    key: tuple[Column, ...]
    sums: tuple[str, ...]
    how: Placed | Shaped | Counted | Versioned
    # A hash of MEMBER_BYTES.
    member: Column | None = None
    # Words; an empty one is no part. Of a family that is ``Shaped``, and of no other.
    seat: tuple[Column, ...] = ()
    # Rows with a minute in their key that are older are gone: what they say, coarser rows say too.
    kept_h: int | None = None

    @property
    def sizes(self) -> str:
        """Name of the table with the sizes of the set."""
        assert self.member is not None
        return f"{self.name}_sizes"

    @property
    def part_sizes(self) -> str:
        """Name of the table with the sizes of the parts of the set."""
        assert self.seat
        return f"{self.name}_part_sizes"

    @property
    def columns(self) -> tuple[Column, ...]:
        """Columns of the key as the rows have them, the member last but for its seat."""
        key = (*self.key, self.member) if self.member is not None else self.key
        return (*key, *self.seat)


# Key of ``part_sizes``: the column of the seat, from 1, and its word.
PART_KEY = (
    Column("part_kind", Kind.NUMBER, "column of the seat, from 1"),
    Column("part", Kind.WORD, "its word"),
)
