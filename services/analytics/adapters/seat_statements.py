"""Statements on sets with seats, made from the declarations of families.

They are given the rows of one campaign at once: the members (16 bytes each, one after another), for
each the number of its kind (2 bytes, the lower one first), and for each kind its seat, whether its
members have several seats in the same call, and its sums.

A member is looked for by its whole key but the seat, so that one look finds its row and shows
whether it has others. ``OFFSET 0`` keeps the loop's direction; what is found is changed where it
lies, which nobody else can do meanwhile: see seat_rows.lock_members.
"""

from functools import cache

from services.analytics.domain.families.family import Family

_WHOSE = "m.tenant_id = $1::text AND m.campaign_id = $2::text AND m.generation = $3::int"
# Parameters before those of the seat.
_MEMBERS, _KINDS, _SEVERAL, _SEAT = 4, 5, 6, 7


def _told() -> str:
    return f"""
          SELECT substring(${_MEMBERS}::bytea FROM n * 16 - 15 FOR 16) AS member,
            1 + get_byte(${_KINDS}::bytea, 2 * n - 2) + 256 * get_byte(${_KINDS}::bytea, 2 * n - 1)
              AS kind
          FROM generate_series(1, octet_length(${_MEMBERS}::bytea) / 16) AS n"""  # noqa: S608


def _of_kind(family: Family, kind: str) -> tuple[list[str], list[str]]:
    """Return the seat and the sums of a kind as expressions."""
    first = _SEAT + len(family.seat)
    seat = [f"(${_SEAT + at}::text[])[{kind}]" for at in range(len(family.seat))]
    sums = [f"(${first + at}::int[])[{kind}]" for at in range(len(family.sums))]
    return seat, sums


@cache
def seat_members(family: Family) -> str:
    """Return the statement that adds to the members of a set.

    It answers one row for each seat: the seat, how the sizes grew by members who have this seat
    alone, how many rows there were, and the members who have others as well.
    """
    assert family.member is not None
    member, words, names = family.member.name, [c.name for c in family.seat], family.sums
    seat, _ = _of_kind(family, "told.kind")
    _, found_sums = _of_kind(family, "found.kind")
    named = ", ".join(f"{s} AS {w}" for w, s in zip(words, seat, strict=True))
    is_here = " AND ".join(f"m.{w} = {s}" for w, s in zip(words, seat, strict=True))
    columns = ", ".join([member, "tenant_id", "campaign_id", "generation", *words, *names])
    added = ", ".join(f"{n} = was.{n} + {s}" for n, s in zip(names, found_sums, strict=True))
    grown = ", ".join(f"(new.{n} > 0)::int - (old.{n} > 0)::int AS {n}" for n in names)
    came = ", ".join(f"({s} > 0)::int" for s in found_sums)
    alone = ", ".join(f"coalesce(sum({n}) FILTER (WHERE NOT has_others), 0)::bigint" for n in names)
    seats = ", ".join(words)
    return f"""
        WITH told AS MATERIALIZED ({_told()}
        ), found AS MATERIALIZED (
          SELECT told.member, told.kind, {named},
            place, others OR (${_SEVERAL}::bool[])[told.kind] AS has_others
          FROM told CROSS JOIN LATERAL (
            SELECT max(m.ctid) FILTER (WHERE {is_here}) AS place,
              coalesce(bool_or(NOT ({is_here})), FALSE) AS others
            FROM analytics.{family.name} m WHERE m.{member} = told.member AND {_WHOSE} OFFSET 0
          ) m
        ), moved AS (
          UPDATE analytics.{family.name} AS was SET {added}
          FROM found WHERE was.ctid = found.place
          RETURNING {", ".join(f"found.{w}" for w in words)}, found.member, found.has_others,
            {grown}
        ), come AS (
          INSERT INTO analytics.{family.name} ({columns})
          SELECT member, $1, $2, $3, {seats}, {", ".join(found_sums)}
          FROM found WHERE place IS NULL
        )
        SELECT {seats}, {alone}, count(*), array_agg(member) FILTER (WHERE has_others)
        FROM (
          SELECT * FROM moved
          UNION ALL
          SELECT {seats}, member, has_others, {came} FROM found WHERE place IS NULL
        ) AS row GROUP BY {seats}
    """  # noqa: S608 the names are constants of the declarations


@cache
def compare_members(family: Family) -> str:
    """Return the statement that tells how the sizes grew by members with several seats.

    To be run behind ``seat_members`` with the same parameters, but only those members and the kinds
    of all their rows. It answers rows of the column of the seat (0: the whole set), its word, and
    by how much each size grew.
    """
    assert family.member is not None
    member, words, names = family.member.name, [c.name for c in family.seat], family.sums
    seat, sums = _of_kind(family, "kind")
    told = ", ".join(
        [f"{s} AS {w}" for w, s in zip(words, seat, strict=True)]
        + [f"{s} AS {n}" for n, s in zip(names, sums, strict=True)]
    )
    same = " AND ".join(f"told.{w} = m.{w}" for w in words)
    now_and_then = ", ".join(
        f"m.{n} AS now_{n}, m.{n} - coalesce(told.{n}, 0) AS was_{n}" for n in names
    )
    moved = ", ".join(
        f"bool_or(now_{n} > 0)::int - bool_or(was_{n} > 0)::int AS {n}" for n in names
    )
    kinds = "".join(f" WHEN GROUPING({w}) = 0 THEN {at}" for at, w in enumerate(words, 1))
    sets = ", ".join(f"(member, {w})" for w in words)
    return f"""
        WITH told AS MATERIALIZED (
          SELECT member, {told} FROM ({_told()}) AS told
        ), stood AS (
          SELECT m.{member} AS member, {", ".join(f"m.{w}" for w in words)}, {now_and_then}
          FROM (SELECT DISTINCT member FROM told WHERE ${_SEVERAL}::bool[] IS NOT NULL) AS one
          CROSS JOIN LATERAL (
            SELECT * FROM analytics.{family.name} m
            WHERE m.{member} = one.member AND {_WHOSE} OFFSET 0
          ) m
          LEFT JOIN told ON told.member = m.{member} AND {same}
        ), moved AS (
          SELECT member, (CASE{kinds} ELSE 0 END) AS part_kind,
            coalesce({", ".join(words)}, '') AS part, {moved}
          FROM stood GROUP BY GROUPING SETS ((member), {sets})
        )
        SELECT part_kind, part, {", ".join(f"sum({n})::bigint" for n in names)}
        FROM moved GROUP BY part_kind, part
    """  # noqa: S608 the names are constants of the declarations
