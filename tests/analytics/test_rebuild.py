import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from bluetick.v1 import change_pb2, snapshot_service_pb2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.testkit.clock import ManualClock
from services.analytics.adapters.generation_store import Generations
from services.analytics.domain.change_view import PageView
from services.analytics.domain.counters import DISTINCT_NAMES, STORED_NAMES
from services.analytics.domain.lists.marks import Mark
from services.analytics.domain.lists.terms import MARKS, term
from services.analytics.domain.watermark import Watermark
from services.analytics.mend_restored import mend_restored
from services.analytics.rebuild_cells import Page, Phase, Rebuild, RebuildProgress
from tests.analytics import fixture_a
from tests.analytics.building import CAMPAIGN, T0, TENANT, Step, batches_of, changes_of
from tests.analytics.conftest import Cells
from tests.analytics.oracle import recount
from tests.analytics.stories import a_message, key_of, stories

ALL = (*STORED_NAMES, *DISTINCT_NAMES)
_numbers = itertools.count()


@dataclass
class Store:
    """The message store of status: what every message is like now, and its pages."""

    page_size: int = 2
    messages: dict[bytes, snapshot_service_pb2.MessageSnapshot] = field(default_factory=dict)
    # Called before each page is given out, with how many were.
    before_page: list = field(default_factory=list)

    def tell(self, key: bytes, steps: Sequence[Step]) -> None:
        self.messages[key] = snapshot_service_pb2.MessageSnapshot(
            message_key=key,
            tenant_id=TENANT,
            version=len(steps),
            image=steps[-1].image,
            acts=steps[-1].acts,
        )

    async def pages(self, tenant_id: str, after_key: bytes) -> AsyncIterator[Page]:
        assert tenant_id == TENANT
        count = 0
        while True:
            # Read first, given out later: in between the traffic goes on.
            found = sorted(key for key in self.messages if key > after_key)[: self.page_size]
            told = snapshot_service_pb2.StreamSnapshotResponse(
                messages=[self.messages[key] for key in found], read_time_us=T0
            )
            for call in self.before_page:
                await call(count)
            count += 1
            if not found:
                return
            page = PageView.FromString(told.SerializeToString())
            yield Page(page.messages, page.read_time_us)
            after_key = found[-1]


def rebuild_of(cells: Cells, store: Store) -> Rebuild:
    watermark = Watermark()
    # Everything is folded as soon as it is told: see the tests.
    watermark.expect(T0 + 1, 0)
    watermark.advance(0)
    generations = Generations(cells.database, cells.replicas[1], cells.families)
    return Rebuild(
        store=generations,
        snapshots=store,
        folding=cells.foldings[1],
        watermark=watermark,
        clock=ManualClock(T0),
        patience_s=5,
    )


async def run(cells: Cells, store: Store, **how: bool) -> RebuildProgress:
    options = {"is_verify_only": False, "is_from_scratch": False} | how
    told = [one async for one in rebuild_of(cells, store).run(TENANT, **options)]
    assert told[-1].phase is Phase.DONE
    return told[-1]


async def fold_all(cells: Cells, changes: list[change_pb2.MessageChanged]) -> None:
    await cells.fold(batches_of(changes, 3, prefix=f"{next(_numbers)}."))


def fixture_store() -> Store:
    store = Store()
    for change in fixture_a.changes():
        store.messages[change.message_key] = snapshot_service_pb2.MessageSnapshot()
    for name, final in fixture_a.FINALS.items():
        store.tell(fixture_a.person(name), [final, final])
    return store


async def ledger_is_right(cells: Cells, generation: int) -> bool:
    columns = ", ".join(f"coalesce(sum({name}), 0)::bigint AS {name}" for name in ALL)
    sql = f"SELECT {columns} FROM analytics.ledger WHERE campaign_id = $1"
    (ledger,) = await cells.rows(sql, CAMPAIGN)
    return ledger == await cells.sums(where=f"generation = {generation}")


async def test_verify_finds_nothing_where_nothing_is_wrong(cells: Cells) -> None:
    """Its silence is worth something only if it looked at everything, and left nothing behind."""
    await fold_all(cells, fixture_a.changes())
    before = await cells.tables()

    done = await run(cells, fixture_store(), is_verify_only=True)

    assert (done.compared.difference_count, done.message_count) == (0, 12)
    assert not done.is_switched
    assert await cells.tables() == before
    assert await cells.tables(generation=2) == {}


async def test_verify_names_the_numbers_that_differ(cells: Cells) -> None:
    """A change batch that was lost moves some numbers, and of others nothing but the versions."""
    *kept, _lost = batches_of(fixture_a.changes(), 1)
    await cells.fold(kept)

    done = await run(cells, fixture_store(), is_verify_only=True)

    found = {(one.family, one.sum): (one.shown, one.recounted) for one in done.compared.differences}
    assert found["versions", "versions"] == (23, 24)
    assert found["totals", "dropped"] == (1, 2)
    assert found["failures", "message_count"] == (0, 1)


async def test_a_list_that_lacks_a_message_is_found_and_put_right(cells: Cells) -> None:
    """Lists are numbers: what damaged them shows, and a rebuild makes them anew."""
    await fold_all(cells, fixture_a.changes())
    await cells.rows(
        "UPDATE analytics.list_bits SET bits = bits # set_bit(0::bit(4096), 1, 1) WHERE term = $1",
        term(MARKS, Mark.DELIVERED),
    )

    done = await run(cells, fixture_store())
    again = await run(cells, fixture_store(), is_verify_only=True)

    [damaged] = done.compared.differences
    assert (damaged.family, damaged.sum) == ("list_bits", "messages")
    assert {damaged.shown, damaged.recounted} == {0, 1}
    assert again.compared.difference_count == 0


async def test_a_change_that_moves_no_number_is_missed_all_the_same(cells: Cells) -> None:
    """A gap in the versions of a message is a gap, whatever was in it."""
    step = fixture_a.FINALS["P8"]
    first, still, last = changes_of(b"1" * 16, [step, step, step])
    store = Store()
    store.tell(b"1" * 16, [step, step, step])
    await fold_all(cells, [first, last])

    done = await run(cells, store, is_verify_only=True)
    await fold_all(cells, [still])
    again = await run(cells, store, is_verify_only=True)

    (one,) = done.compared.differences
    assert (one.family, one.shown, one.recounted) == ("versions", 2, 3)
    assert again.compared.difference_count == 0


async def test_rebuild_puts_right_what_was_lost_and_says_so_in_the_ledger(cells: Cells) -> None:
    """Numbers that move without a reason would not be believed."""
    await cells.fold(batches_of(fixture_a.changes(), 1)[5:])

    done = await run(cells, fixture_store())

    assert done.is_switched
    assert await cells.tables(generation=2) == recount(
        (fixture_a.person(name), [final, final]) for name, final in fixture_a.FINALS.items()
    )
    assert await cells.tables(generation=1) == {}
    assert await ledger_is_right(cells, 2)
    causes = await cells.rows("SELECT DISTINCT cause FROM analytics.ledger WHERE cause = 7")
    assert causes == [{"cause": 7}]


async def test_a_second_rebuild_begins_where_the_first_was_cut(cells: Cells) -> None:
    """Hours of counting must not be lost because somebody closed a window."""
    await fold_all(cells, fixture_a.changes())
    store, seen = fixture_store(), []

    async def note(count: int) -> None:
        seen.append(count)

    store.before_page.append(note)
    cut = rebuild_of(cells, store).run(TENANT, is_verify_only=True, is_from_scratch=False)
    async for progress in cut:
        if progress.message_count >= 6:
            break
    await cut.aclose()
    before = len(seen)
    done = await run(cells, store, is_verify_only=True)

    assert (done.compared.difference_count, done.message_count) == (0, 12)
    # Twelve messages in pages of two, and one empty page at the end.
    assert len(seen) - before == 4


async def test_what_is_folded_after_a_switch_goes_to_what_is_shown(cells: Cells) -> None:
    """And a redelivery of what came before counts nowhere."""
    early, late = fixture_a.changes()[:12], fixture_a.changes()[12:]
    batches = batches_of(early, 3, prefix="early")
    await cells.fold(batches)
    store = Store()
    for change in early:
        told = snapshot_service_pb2.MessageSnapshot(
            message_key=change.message_key,
            tenant_id=TENANT,
            version=change.version,
            image=change.new_image,
            acts=change.acts,
        )
        store.messages[change.message_key] = told
    await run(cells, store)

    await cells.fold([*batches, *batches_of(late, 3, prefix="late")])

    finals = [(fixture_a.person(name), [one, one]) for name, one in fixture_a.FINALS.items()]
    assert await cells.tables(generation=2) == recount(finals)
    assert await ledger_is_right(cells, 2)


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
async def test_a_rebuild_beside_traffic_in_any_order_ends_in_equal_generations(
    cells: Cells, data: st.DataObject
) -> None:
    """Pages come before or after the changes that they hold, and changes out of order."""
    await cells.clear()
    messages = data.draw(st.lists(stories(), min_size=1, max_size=5))
    store, waiting = Store(page_size=data.draw(st.integers(1, 3))), []
    told: dict[int, int] = {}

    def advance(number: int) -> None:
        """Status stores one more change of a message, and publishes it some time later."""
        steps = messages[number]
        at = told[number] = told.get(number, 0) + 1
        store.tell(key_of(number), steps[:at])
        waiting.extend(one for one in a_message(number, steps) if one.version == at)

    async def publish(count: int) -> None:
        shuffled = data.draw(st.permutations(waiting))
        waiting[:] = shuffled[count:]
        await fold_all(cells, shuffled[:count])

    async def live(_count: int) -> None:
        rest = [n for n, steps in enumerate(messages) if told.get(n, 0) < len(steps)]
        for number in data.draw(st.lists(st.sampled_from(rest), max_size=3)) if rest else []:
            if told.get(number, 0) < len(messages[number]):
                advance(number)
        await publish(data.draw(st.integers(0, len(waiting))))

    await live(0)
    store.before_page.append(live)
    rebuild, is_drained = (
        rebuild_of(cells, store).run(TENANT, is_verify_only=False, is_from_scratch=False),
        False,
    )
    async for progress in rebuild:
        # The flow has passed the end of the reading before anything is compared.
        if progress.phase is Phase.WAITING or progress.phase is Phase.COMPARING:
            await publish(len(waiting))
            is_drained = True
    assert is_drained
    assert progress.compared.difference_count == 0
    for number, steps in enumerate(messages):
        while told.get(number, 0) < len(steps):
            advance(number)
    await publish(len(waiting))

    expected = recount((key_of(at), steps) for at, steps in enumerate(messages))
    assert await cells.tables(generation=2) == expected


async def test_two_rebuilds_at_once_do_not_count_twice(cells: Cells) -> None:
    """Whoever is second is told so; what the first had counted stays."""
    await fold_all(cells, fixture_a.changes())
    store = fixture_store()

    outcomes = await asyncio.gather(
        *(run(cells, store, is_verify_only=True) for _ in range(2)), return_exceptions=True
    )
    again = await run(cells, store, is_verify_only=True)

    assert any(isinstance(one, RebuildProgress) for one in outcomes)
    assert again.compared.difference_count == 0


@dataclass
class Restored:
    """Tells when a database was last restored."""

    time_us: int = 0

    async def restored_us(self) -> int:
        return self.time_us


async def test_what_is_told_again_after_a_restore_is_counted_anew_and_once(cells: Cells) -> None:
    """Status tells lost work again in other batches; no id says that it is the same."""
    await fold_all(cells, fixture_a.changes())
    await fold_all(cells, fixture_a.changes()[10:])
    finals = [(fixture_a.person(name), [one, one]) for name, one in fixture_a.FINALS.items()]
    assert await cells.tables() != recount(finals)
    rebuild, restored = rebuild_of(cells, fixture_store()), Restored()

    async def mend() -> list[str]:
        return await mend_restored(restored, rebuild.store, rebuild.watermark, rebuild)

    # Nothing was restored; it was, but not all that is told again is folded.
    before = await mend()
    restored.time_us = T0 + 2
    early = await mend()
    restored.time_us = T0 - 1
    mended = await mend()
    again = await mend()

    assert (before, early, mended, again) == ([], [], [TENANT], [])
    assert await cells.tables(generation=2) == recount(finals)


async def test_a_rebuild_that_a_restore_cut_is_begun_anew(cells: Cells) -> None:
    """It has read versions that the messages do not have any more."""
    await fold_all(cells, fixture_a.changes())
    store = fixture_store()
    cut = rebuild_of(cells, store).run(TENANT, is_verify_only=False, is_from_scratch=False)
    async for progress in cut:
        if progress.message_count >= 6:
            break
    await cut.aclose()
    rebuild = rebuild_of(cells, store)
    rebuild.watermark.complete_until_us = T0 + 5
    rebuild.clock.set(T0 + 4)

    await mend_restored(Restored(T0 + 3), rebuild.store, rebuild.watermark, rebuild)

    finals = [(fixture_a.person(name), [one, one]) for name, one in fixture_a.FINALS.items()]
    assert await cells.tables(generation=3) == recount(finals)
