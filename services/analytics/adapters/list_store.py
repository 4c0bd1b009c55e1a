"""Reads lists: formulas over terms become expressions over the bits of chunks."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from asyncpg import BitString

from libs.runtime.database import Database
from services.analytics.adapters.cell_store import FIRST_GENERATION
from services.analytics.adapters.dictionary import ATTRIBUTE_NAMES, room_of
from services.analytics.adapters.list_rows import contact_key
from services.analytics.domain.lists import marks
from services.analytics.domain.lists.listed import CHUNK, Value
from services.analytics.domain.lists.marks import AllOf, Formula, Not
from services.analytics.domain.lists.selection import Known, Selection, formula_of
from services.analytics.find_messages import OF_PERSON_MAX, Page, Question, TooMany

_CHUNK_LAST: Final = 2**31 // CHUNK
# Chunks that a page after the first looks through at first, and how many times more each time
# that they do not fill it.
_CHUNKS_AT_ONCE: Final = 32
_WIDER: Final = 8
# A place in a chunk to its bit, from the left.
_PLACES: Final = [tuple(at for at in range(8) if byte & 0x80 >> at) for byte in range(256)]

# To compile a formula takes longer than to answer it.
_ONE_MOMENT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY; SET LOCAL jit = off"
_SHOWN = f"""coalesce((SELECT shown FROM analytics.generations WHERE tenant_id = $1),
  {FIRST_GENERATION})"""  # noqa: S608 constants
_CAMPAIGN = """
    SELECT (SELECT min(event_time_us) FROM analytics.postponed_cells p
      WHERE p.tenant_id = $1 AND p.campaign_id = $2 AND p.is_shown)
    FROM analytics.campaigns WHERE tenant_id = $1 AND campaign_id = $2
"""
_ATTRIBUTES = f"""
    SELECT value, number + {ATTRIBUTE_NAMES} FROM analytics.dimension_values
    WHERE tenant_id = $1 AND campaign_id = $2 AND dimension = {ATTRIBUTE_NAMES}
"""  # noqa: S608 constants
_VALUES = """
    SELECT v.dimension, v.value, v.number FROM analytics.dimension_values v
    JOIN unnest($3::smallint[], $4::text[]) AS u (dimension, value) USING (dimension, value)
    WHERE v.tenant_id = $1 AND v.campaign_id = $2
"""
_NUMBERS = """
    SELECT dimension, array_agg(number::int) FROM analytics.dimension_values
    WHERE tenant_id = $1 AND campaign_id = $2 AND dimension = ANY($3::smallint[])
    GROUP BY dimension
"""
# Shards first, then the formula; of each chunk with messages, its bits and how many came before.
# ``$6`` holds the bits behind the place where the page before ended.
_FIND = """
    WITH cell AS MATERIALIZED (
      SELECT chunk, {columns} FROM analytics.list_bits
      WHERE tenant_id = $1 AND campaign_id = $2 AND generation = {shown}
        AND term = ANY($3::int[]) AND chunk BETWEEN $4 AND $5 {chunks}
      GROUP BY chunk
    ), hit AS MATERIALIZED (
      SELECT chunk, CASE WHEN chunk = $4 THEN {formula} & $6 ELSE {formula} END AS bits FROM cell
    ), counted AS (
      SELECT chunk, bits, n FROM (
        SELECT chunk, bits, bit_count(bits) AS n FROM hit OFFSET 0
      ) found WHERE n > 0
    )
    SELECT chunk, bits, total FROM (
      SELECT chunk, bits, sum(n) OVER ()::bigint AS total,
        sum(n) OVER (ORDER BY chunk) - n AS before
      FROM counted
    ) found WHERE before <= $7 ORDER BY chunk
"""
_OF_PERSON = f"""
    SELECT number FROM analytics.list_contacts
    WHERE contact_key = $3 AND tenant_id = $1 AND campaign_id = $2 AND generation = {_SHOWN}
      AND messages > 0
    ORDER BY number LIMIT {OF_PERSON_MAX + 1}
"""  # noqa: S608 constants
_KEYS = """
    SELECT number, message_key FROM analytics.list_numbers
    WHERE tenant_id = $1 AND campaign_id = $2 AND number = ANY($3::int[])
    ORDER BY number
"""
_ALL_BITS: Final = BitString.frombytes(b"\xff" * (CHUNK // 8), bitlength=CHUNK)


class ListStore:
    """See find_messages.ListReader."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, question: Question) -> Page | None:
        """See find_messages.ListReader.find. All of it is of one snapshot."""
        place = question.tenant_id, question.campaign_id
        async with self._database.transaction() as connection:
            await connection.execute(_ONE_MOMENT)
            campaign = await connection.fetchrow(_CAMPAIGN, *place)
            if campaign is None:
                return None
            formula = await _formula(connection, place, question.selection)
            find = _Finder(connection, place, formula)
            if question.selection.contact_id:
                numbers, total = await find.of_person(question)
            else:
                numbers, total = await find.anywhere(question)
            is_end = len(numbers) <= question.limit
            numbers = numbers[: question.limit]
            rows = await connection.fetch(_KEYS, *place, numbers)
        messages = [(row[0], row[1]) for row in rows]
        return Page(messages, is_end, total, campaign[0])


class _Finder:
    """Finds numbers by one formula."""

    def __init__(self, connection: Any, place: tuple[str, str], formula: Formula) -> None:
        self._connection = connection
        self._place = place
        self._terms = sorted(set(_leaves(formula)))
        self._formula = formula

    async def anywhere(self, question: Question) -> tuple[list[int], int]:
        """Return numbers, one more than the limit if there are, and how many there are at all."""
        after, wanted = question.after_number, question.limit + 1
        if question.is_counting:
            chunks, total = await self._chunks(0, _CHUNK_LAST, wanted, after=0)
            if not after:
                return _first(chunks, wanted), total
        else:
            total = 0
        numbers: list[int] = []
        first, width = after // CHUNK, _CHUNKS_AT_ONCE
        while len(numbers) < wanted and first <= _CHUNK_LAST:
            last = min(first + width - 1, _CHUNK_LAST)
            chunks, _ = await self._chunks(first, last, wanted - len(numbers), after=after)
            numbers += _first(chunks, wanted - len(numbers))
            first, width = last + 1, width * _WIDER
        return numbers, total

    async def of_person(self, question: Question) -> tuple[list[int], int]:
        """Return the same among the messages of one person."""
        key = contact_key(question.tenant_id, question.selection.contact_id)
        rows = await self._connection.fetch(_OF_PERSON, *self._place, key)
        if len(rows) > OF_PERSON_MAX:
            raise TooMany
        theirs = [row[0] for row in rows]
        wanted = sorted({number // CHUNK for number in theirs})
        chunks, _ = await self._chunks(0, _CHUNK_LAST, 2**31, after=0, only=wanted)
        bits = dict(chunks)
        found = [
            n
            for n in theirs
            if n // CHUNK in bits and bits[n // CHUNK][n % CHUNK >> 3] & 0x80 >> (n & 7)
        ]
        after = [number for number in found if number > question.after_number]
        return after[: question.limit + 1], len(found)

    async def _chunks(
        self, first: int, last: int, wanted: int, *, after: int, only: Sequence[int] | None = None
    ) -> tuple[list[tuple[int, bytes]], int]:
        """Return chunks that hold the first ``wanted`` messages behind a number, and how many
        messages all chunks hold."""
        names = {one: f"b{at}" for at, one in enumerate(self._terms)}
        columns = ", ".join(
            f"bit_xor(bits) FILTER (WHERE term = {one}) AS {name}" for one, name in names.items()
        )
        statement = _FIND.format(
            columns=columns,
            shown=_SHOWN,
            formula=_expression(self._formula, names),
            chunks="AND chunk = ANY($8::int[])" if only is not None else "",
        )
        behind = _behind(after) if after // CHUNK == first and after else _ALL_BITS
        values = (self._terms, first, last, behind, wanted - 1)
        more = (only,) if only is not None else ()
        rows = await self._connection.fetch(statement, *self._place, *values, *more)
        return [(row[0], row[1].bytes) for row in rows], rows[0][2] if rows else 0


def _behind(number: int) -> BitString:
    """Return the bits of a chunk behind a number in it."""
    rest = CHUNK - 1 - number % CHUNK
    return BitString.frombytes(((1 << rest) - 1).to_bytes(CHUNK // 8, "big"), bitlength=CHUNK)


def _first(chunks: Iterable[tuple[int, bytes]], wanted: int) -> list[int]:
    numbers: list[int] = []
    for chunk, bits in chunks:
        start = chunk * CHUNK
        for at, byte in enumerate(bits):
            if byte:
                numbers += [start + at * 8 + place for place in _PLACES[byte]]
                if len(numbers) >= wanted:
                    return numbers[:wanted]
    return numbers


def _leaves(formula: Formula) -> Iterator[int]:
    if isinstance(formula, int):
        yield formula
    elif isinstance(formula, Not):
        yield from _leaves(formula.formula)
    else:
        for one in formula.formulas:
            yield from _leaves(one)


_NOTHING = f"0::bit({CHUNK})"


def _expression(formula: Formula, names: dict[int, str]) -> str:
    if isinstance(formula, int):
        return f"coalesce({names[formula]}, {_NOTHING})"
    if isinstance(formula, Not):
        return f"(~{_expression(formula.formula, names)})"
    if not formula.formulas:
        return f"(~{_NOTHING})" if isinstance(formula, AllOf) else _NOTHING
    sign = " & " if isinstance(formula, AllOf) else " | "
    return "(" + sign.join(_expression(one, names) for one in formula.formulas) + ")"


async def _formula(connection: Any, place: tuple[str, str], selection: Selection) -> Formula:
    if not selection.having:
        return AllOf((marks.COUNTED, *selection.formulas))
    attributes: dict[str, int] = {}
    if any(isinstance(one.dimension, str) for one in selection.having):
        attributes = dict(await connection.fetch(_ATTRIBUTES, *place))
    asked: list[Value] = []
    for one in selection.having:
        found = attributes.get(one.dimension) if isinstance(one.dimension, str) else one.dimension
        asked += [(found, value) for value in one.values if found is not None]
    dimensions = sorted({dimension for dimension, _ in asked})
    columns = [dimension for dimension, _ in asked], [value for _, value in asked]
    rows = await connection.fetch(_VALUES, *place, *columns)
    numbers = {(row[0], row[1]): row[2] for row in rows}
    everything = {}
    if len(numbers) < len(asked):
        # Something is not known: because nobody told it, or because there was no room.
        rows = await connection.fetch(_NUMBERS, *place, dimensions)
        everything = {row[0]: frozenset(row[1]) for row in rows}
    full = frozenset(d for d, known in everything.items() if len(known) >= room_of(d))
    return formula_of(selection, Known(numbers, everything, full), attributes)
