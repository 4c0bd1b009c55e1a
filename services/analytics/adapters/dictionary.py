"""Gives numbers to what campaigns are broken down by: first come, kept for ever.

Whether a value has a number of its own or counts as ``(other)`` is decided here once, by the order
in which values first came to any replica; never by the order in which changes are folded.
"""

from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Mapping
from itertools import islice

from libs.runtime.database import Database
from services.analytics.adapters.cell_statements import turned
from services.analytics.domain.dimensions import (
    ATTRIBUTE_VALUES_MAX,
    ATTRIBUTES_MAX,
    NAMES,
    OTHER,
    SCOPES_MAX,
    VALUES_MAX,
    Dimensions,
    dimension_key,
)
from services.analytics.domain.frames import Frame
from services.analytics.domain.lists.listed import Value
from services.analytics.domain.lists.terms import term

# Attributes share the table: their names are the values of this "dimension", and the values of name
# number n those of the "dimension" behind it by n.
ATTRIBUTE_NAMES = 100
_CAMPAIGNS_MAX = 2_000
_VALUES_KNOWN_MAX = 40_000

_KNOWN = """
    SELECT v.dimension, v.number, v.value
    FROM unnest($3::smallint[], $4::text[]) AS u (dimension, value)
    JOIN analytics.dimension_values v USING (dimension, value)
    WHERE v.tenant_id = $1 AND v.campaign_id = $2
"""
# Each takes a number that is free; of two replicas that take the same one, the other looks again.
_GIVE = """
    WITH wanted AS (
      SELECT dimension, value, most,
        row_number() OVER (PARTITION BY dimension ORDER BY value) AS at
      FROM unnest($3::smallint[], $4::text[], $5::int[]) AS u (dimension, value, most)
    ), free AS (
      SELECT w.dimension, n.number,
        row_number() OVER (PARTITION BY w.dimension ORDER BY n.number) AS at
      FROM (SELECT DISTINCT dimension, most FROM wanted) w
      CROSS JOIN generate_series(1, w.most) AS n (number)
      WHERE NOT EXISTS (
        SELECT FROM analytics.dimension_values v
        WHERE v.tenant_id = $1 AND v.campaign_id = $2
          AND v.dimension = w.dimension AND v.number = n.number
      )
    )
    INSERT INTO analytics.dimension_values (tenant_id, campaign_id, dimension, number, value)
    SELECT $1, $2, dimension, number, value FROM wanted JOIN free USING (dimension, at)
    ON CONFLICT DO NOTHING
"""
_COUNTS = """
    SELECT dimension, count(*) FROM analytics.dimension_values
    WHERE tenant_id = $1 AND campaign_id = $2 AND dimension = ANY($3::smallint[])
    GROUP BY dimension
"""
_SCOPES = """
    SELECT scope_key, scope_id FROM analytics.scopes
    WHERE tenant_id = $1 AND campaign_id = $2 AND scope_key = ANY($3::bytea[])
"""
_LAST_SCOPE = """
    SELECT coalesce(max(scope_id), 0) FROM analytics.scopes
    WHERE tenant_id = $1 AND campaign_id = $2
"""
_GIVE_SCOPES = f"""
    INSERT INTO analytics.scopes (tenant_id, campaign_id, scope_id, scope_key, {", ".join(NAMES)})
    SELECT $1, $2, $3 + u.at, u.scope_key, {", ".join(f"u.{name}" for name in NAMES)}
    FROM unnest($4::bytea[], $5::smallint[],
      {", ".join(f"${at}::text[]" for at in range(6, 5 + len(NAMES)))})
      WITH ORDINALITY AS u (scope_key, {", ".join(NAMES)}, at)
    ON CONFLICT DO NOTHING
"""  # noqa: S608 the names are constants of the catalogue


class _Campaign:
    """What is known of one campaign's numbers; what is known never changes."""

    def __init__(self) -> None:
        # (dimension, value) -> number; 0: no room was left.
        self.values: dict[tuple[int, str], int] = {}
        self.scopes: dict[bytes, int] = {}

    def forget(self) -> None:
        """Bound the memory of what has no number: there may be as many as messages."""
        if len(self.values) > _VALUES_KNOWN_MAX:
            self.values = {one: number for one, number in self.values.items() if number}
        if len(self.scopes) > _VALUES_KNOWN_MAX:
            self.scopes.clear()


class Dictionary:
    """See fold_changes.FoldStore.resolve. What was looked up is kept in memory."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._campaigns: OrderedDict[tuple[str, str], _Campaign] = OrderedDict()

    def forget(self) -> None:
        """Look everything up anew: the database is another one."""
        self._campaigns.clear()

    async def resolve(self, frames: Iterable[Frame]) -> None:
        """Give each frame its numbers; what is new is committed before this returns."""
        by_campaign: defaultdict[tuple[str, str], list[Frame]] = defaultdict(list)
        for frame in frames:
            by_campaign[frame.tenant_id, frame.campaign_id].append(frame)
        for name, members in sorted(by_campaign.items()):
            campaign = self._campaign(name)
            await self._learn_values(name, campaign, _wanted(members))
            names = campaign.values
            values = {
                (ATTRIBUTE_NAMES + number, value)
                for frame in members
                for key, value in frame.attributes
                if (number := names[ATTRIBUTE_NAMES, key])
            }
            await self._learn_values(name, campaign, values)
            stored = {frame: _stored(frame.dimensions, campaign.values) for frame in members}
            scopes = {dimension_key(dimensions): dimensions for dimensions in stored.values()}
            await self._learn_scopes(name, campaign, scopes)
            for frame in members:
                _number(frame, stored[frame], campaign)
            campaign.forget()

    async def numbers_of(self, name: tuple[str, str], values: set[Value]) -> dict[Value, int]:
        """Return numbers of values of a campaign, 0 for those that no room is left for."""
        campaign = self._campaign(name)
        await self._learn_values(name, campaign, values)
        found = {value: campaign.values[value] for value in values}
        campaign.forget()
        return found

    def _campaign(self, name: tuple[str, str]) -> _Campaign:
        known = self._campaigns.get(name)
        if known is None:
            known = self._campaigns[name] = _Campaign()
            if len(self._campaigns) > _CAMPAIGNS_MAX:
                self._campaigns.popitem(last=False)
        self._campaigns.move_to_end(name)
        return known

    async def _learn_values(
        self, name: tuple[str, str], campaign: _Campaign, wanted: set[tuple[int, str]]
    ) -> None:
        missing = sorted(wanted - campaign.values.keys())
        while missing:
            columns = turned(missing, 2)
            async with self._database.transaction() as connection:
                rows = await connection.fetch(_KNOWN, *name, *columns)
                found = {(row[0], row[2]): row[1] for row in rows}
                if len(found) < len(missing):
                    rows = await connection.fetch(_COUNTS, *name, sorted({d for d, _ in missing}))
                    full = {row[0] for row in rows if row[1] >= room_of(row[0])}
                    found |= {one: 0 for one in missing if one[0] in full and one not in found}
                campaign.values.update(found)
                missing = [one for one in missing if one not in found]
                if missing:
                    most = [room_of(dimension) for dimension, _ in missing]
                    await connection.execute(_GIVE, *name, *turned(missing, 2), most)

    async def _learn_scopes(
        self, name: tuple[str, str], campaign: _Campaign, wanted: Mapping[bytes, Dimensions]
    ) -> None:
        missing = {key: wanted[key] for key in sorted(wanted.keys() - campaign.scopes.keys())}
        while missing:
            # Each channel has one scope for all that has no room; for these there is always room.
            rest = {key: _nameless(dimensions) for key, dimensions in missing.items()}
            spare = {dimension_key(one): one for one in rest.values()}
            async with self._database.transaction() as connection:
                rows = await connection.fetch(_SCOPES, *name, [*missing, *spare])
                found = {row[0]: row[1] for row in rows}
                last = await connection.fetchval(_LAST_SCOPE, *name)
                # Once full it stays so: what has no row by then never gets one.
                is_full = last >= SCOPES_MAX
                if is_full and spare.keys() <= found.keys():
                    found |= {
                        k: found[dimension_key(one)] for k, one in rest.items() if k not in found
                    }
                campaign.scopes.update(found)
                missing = {k: v for k, v in missing.items() if k not in found}
                if missing:
                    room = SCOPES_MAX - last
                    given = spare if is_full else dict(islice(missing.items(), room))
                    columns = turned(((k, *v) for k, v in given.items()), 1 + len(NAMES))
                    await connection.execute(_GIVE_SCOPES, *name, last, *columns)


def room_of(dimension: int) -> int:
    """Return how many values of a dimension have a number of their own."""
    if dimension < ATTRIBUTE_NAMES:
        return VALUES_MAX
    return ATTRIBUTES_MAX if dimension == ATTRIBUTE_NAMES else ATTRIBUTE_VALUES_MAX


def _wanted(frames: Iterable[Frame]) -> set[tuple[int, str]]:
    wanted: set[tuple[int, str]] = set()
    for frame in frames:
        wanted |= {
            (at, value)
            for at, value in enumerate(frame.dimensions)
            if isinstance(value, str) and value
        }
        wanted |= {(ATTRIBUTE_NAMES, key) for key, _ in frame.attributes}
    return wanted


def _stored(dimensions: Dimensions, known: Mapping[tuple[int, str], int]) -> Dimensions:
    """Return the dimensions with ``(other)`` for values without a number of their own."""
    return Dimensions._make(
        OTHER if isinstance(value, str) and value and not known[at, value] else value
        for at, value in enumerate(dimensions)
    )


def _nameless(dimensions: Dimensions) -> Dimensions:
    return Dimensions(dimensions.channel, *[OTHER] * (len(NAMES) - 1))


def _number(frame: Frame, stored: Dimensions, campaign: _Campaign) -> None:
    frame.scope_id = campaign.scopes[dimension_key(stored)]
    ids = (
        (number, campaign.values[ATTRIBUTE_NAMES + number, value])
        for key, value in frame.attributes
        if (number := campaign.values[ATTRIBUTE_NAMES, key])
    )
    frame.attribute_ids = tuple(ids)
    terms = [term(0, stored.channel)]
    terms += [
        term(at, 0 if value == OTHER else campaign.values[at, value])
        for at, value in enumerate(stored)
        if isinstance(value, str) and value
    ]
    terms += [term(ATTRIBUTE_NAMES + name, value) for name, value in frame.attribute_ids]
    frame.terms = tuple(terms)
