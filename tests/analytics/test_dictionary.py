import asyncio

from bluetick.v1 import analytics_service_pb2 as pb

from services.analytics.domain.dimensions import ATTRIBUTES_MAX, OTHER, VALUES_MAX
from tests.analytics.building import CAMPAIGN, T0, Step, batches_of, changes_of, image, registration
from tests.analytics.conftest import Cells, new_cells
from tests.analytics.test_reports import ask, call

__all__ = ["call"]
MANY = VALUES_MAX + 50


def lives(**values: object) -> list[Step]:
    """A message that is accepted, and then delivered."""
    who, at = registration(**values), {"accept_time_us": T0}  # type: ignore[arg-type]
    return [
        Step(image("ACCEPTED", **at), who),
        Step(image("DELIVERED", **at, deliver_time_us=T0), who),
    ]


def messages() -> list[list[Step]]:
    return [lives(segment=f"segment {number}") for number in range(MANY)]


async def test_values_beyond_the_limit_are_other_for_every_replica_and_for_ever(
    cells: Cells,
) -> None:
    """Decided once, where both look: what one replica adds another can take back."""
    changes = [
        changes_of(number.to_bytes(16, "big"), steps) for number, steps in enumerate(messages())
    ]
    first = [one[0] for one in changes]
    second = [one[1] for one in changes]
    await asyncio.gather(
        cells.fold(batches_of(first[:120], 7, prefix="a"), 0),
        cells.fold(batches_of(first[:80:-1], 7, prefix="b"), 1),
    )
    # A replica that has just been started knows nothing but the tables.
    fresh = new_cells(cells.database)
    await fresh.fold(batches_of(second[::-1], 11, prefix="c"))

    sql = """SELECT segment, sum(targeted)::bigint AS n, sum(pending)::bigint AS pending
      FROM analytics.quarters JOIN analytics.scopes USING (tenant_id, campaign_id, scope_id)
      WHERE clock = 2 GROUP BY segment"""
    rows = {row["segment"]: (row["n"], row["pending"]) for row in await cells.rows(sql)}
    doubled = 120 - 81
    assert sum(n for n, _ in rows.values()) == MANY + doubled
    assert len(rows) == VALUES_MAX + 1
    assert sum(pending for _, pending in rows.values()) == doubled
    assert OTHER in rows


async def test_values_said_to_be_other_can_be_asked_for(cells: Cells, call) -> None:
    """Nothing is missing in a breakdown: what has no row of its own is in the last one."""
    changes = [
        change
        for number, steps in enumerate(messages())
        for change in changes_of(number.to_bytes(16, "big"), steps)
    ]
    await cells.fold(batches_of(changes, 100))

    def only(*values: str) -> list[pb.DimensionFilter]:
        return [pb.DimensionFilter(dimension="segment", values=values)]

    other = (await ask(call, filter=only(OTHER))).counters["delivered"]
    assert other == MANY - VALUES_MAX


async def test_attributes_are_counted_one_by_one_up_to_their_limit(cells: Cells, call) -> None:
    """A campaign may say more of people than anyone breaks its numbers down by."""
    names = [f"name {n}" for n in range(ATTRIBUTES_MAX + 2)]
    people = [
        lives(attributes=dict.fromkeys(names, f"value {n % 3}"), name=f"P{n}") for n in range(6)
    ]
    changes = [
        change for n, steps in enumerate(people) for change in changes_of(bytes([n]) * 16, steps)
    ]
    await cells.fold(batches_of(changes, 4))

    rows = await cells.rows("SELECT DISTINCT name_id FROM analytics.attributes")
    assert len(rows) == ATTRIBUTES_MAX
    answered = [
        await ask(
            call, filter=[pb.DimensionFilter(dimension=f"attribute:{name}", values=["value 1"])]
        )
        for name in names
    ]
    assert sorted(one.counters["delivered"] for one in answered) == [0, 0] + [2] * ATTRIBUTES_MAX
    assert answered[0].rates["delivered_per_sent"].denominator in (0, 2)


async def test_an_attribute_with_anything_else_is_refused_with_what_can_be_asked(
    cells: Cells, call
) -> None:
    """No grain holds both, and a guess would be believed."""
    both = [
        pb.DimensionFilter(dimension="attribute:city", values=["Bonn"]),
        pb.DimensionFilter(dimension="segment", values=["a"]),
    ]
    request = pb.GetCampaignReportRequest(campaign_id=CAMPAIGN, filter=both)

    refusal = await call.refusal(call.analytics.GetCampaignReport, request)

    assert refusal == ("INVALID_ARGUMENT", "INVALID_ARGUMENT", ["filter"])
