"""What the clock does: messages that nobody recorded go, after the providers' last retry."""

from libs.runtime.database import Database
from libs.testkit import builders
from services.status.adapters.due_rows import DueRows
from services.status.forget_unrecorded import forget_due
from tests.status.machine import Bench
from tests.status.test_transaction import a_click_by_ref

DAY_S = 86_400


async def test_unrecorded_messages_are_removed_after_their_time_and_no_others(
    bench: Bench, database: Database
) -> None:
    """Other software sends from the same numbers; its messages must not pile up for ever."""
    await bench.apply(
        builders.an_event(provider_message_id="wamid.alien"),
        builders.a_click(provider_message_id="wamid.alien"),
        builders.an_event(provider_message_id="wamid.ours"),
        a_click_by_ref(),
    )
    await bench.apply(builders.a_registered(provider_message_id="wamid.ours"))
    rows = DueRows(database)

    bench.clock.advance(s=29 * DAY_S)
    assert await forget_due(rows, bench.clock) == 0
    bench.clock.advance(s=DAY_S)
    assert await forget_due(rows, bench.clock) == 1
    assert await forget_due(rows, bench.clock) == 0

    (image,) = [image for _, image in (await bench.images()).values()]
    assert (image.provider_message_id, image.click_count) == ("wamid.ours", 1)
    # The click's own telling stays readable under the reference.
    assert len(await bench.known()) == 2
    assert len((await bench.snapshot())["acts"]) == 1
    assert await bench.rows("SELECT count(*) FROM status.due") == [(0,)]


async def test_a_message_that_is_gone_starts_anew(bench: Bench, database: Database) -> None:
    """Whatever comes after the limit is a message like any other."""
    await bench.apply(builders.an_event())
    bench.clock.advance(s=31 * DAY_S)
    await forget_due(DueRows(database), bench.clock)

    await bench.apply(builders.a_registered())

    assert bench.outbox.changes[-1].version == 1
    assert bench.outbox.changes[-1].new_image.is_counted
