"""What goes through each door is counted and reported, once."""

from libs.runtime.accounts import Account
from libs.testkit.clock import ManualClock
from services.ingest.report_doors import LAGS_MAX, REPORTS_MAX, DoorReports
from tests.ingest.meta_bodies import ACCOUNT
from tests.ingest.record_builders import KeptEvents

NOW_US = ManualClock().now_us()
OTHER = Account(provider="meta", account="acct_2", tenant="demo")


class Broker(KeptEvents):
    """A sink that can go away and come back."""

    def go(self, *, away: bool) -> None:
        self._is_away = away


async def test_counts_and_the_median_lag_of_each_account_are_reported() -> None:
    """The health of callbacks is made of these."""
    kept = KeptEvents()
    doors = DoorReports(kept, ManualClock())
    for lag_us in (1, 2, 900):
        doors.took(ACCOUNT, NOW_US, NOW_US - lag_us)
    doors.took(ACCOUNT, NOW_US - 5, 0)
    doors.refused(ACCOUNT)
    doors.refused(OTHER)

    await doors.report()

    first, second = kept.batch.door_reports
    assert (first.tenant_id, first.provider, first.account) == ("demo", "meta", "acct_1")
    assert (first.callback_count, first.refused_count, first.lag_us) == (4, 1, 2)
    assert (first.last_receive_time_us, first.report_time_us) == (NOW_US, NOW_US)
    assert (second.account, second.callback_count, second.refused_count) == ("acct_2", 0, 1)
    assert (second.last_receive_time_us, second.HasField("lag_us")) == (0, False)
    assert len(first.report_id) == 16
    assert first.report_id != second.report_id


async def test_nothing_is_reported_without_activity_and_nothing_twice() -> None:
    """A thousand idle accounts must cost nothing."""
    kept = KeptEvents()
    doors = DoorReports(kept, ManualClock())

    await doors.report()
    doors.took(ACCOUNT, NOW_US, 0)
    await doors.report()
    await doors.report()

    assert len(kept.batch.door_reports) == 1


async def test_what_the_broker_did_not_take_is_sent_again_under_its_id() -> None:
    """It may have been stored all the same: only the id keeps it from counting twice."""
    broker = Broker()
    doors = DoorReports(broker, ManualClock())
    doors.took(ACCOUNT, NOW_US, 0)
    broker.go(away=True)
    await doors.report_if_possible()
    doors.took(ACCOUNT, NOW_US, 0)
    await doors.report_if_possible()
    broker.go(away=False)

    await doors.report_if_possible()

    assert [report.callback_count for report in broker.batch.door_reports] == [1, 1]
    assert len({report.report_id for report in broker.batch.door_reports}) == 2


async def test_memory_is_bounded() -> None:
    """A flood, or very many accounts, cost no more than this."""
    kept = KeptEvents()
    doors = DoorReports(kept, ManualClock())
    for number in range(LAGS_MAX + 50):
        doors.took(ACCOUNT, NOW_US, NOW_US - (1 if number < LAGS_MAX else 10**9))
    for number in range(REPORTS_MAX + 1):
        doors.refused(Account(provider="meta", account=f"acct_{number + 2}", tenant="demo"))

    await doors.report()

    assert kept.batch.door_reports[0].lag_us == 1
    assert len(kept.batch.door_reports) == REPORTS_MAX + 2
