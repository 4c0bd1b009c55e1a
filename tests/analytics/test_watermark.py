import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.analytics.domain.watermark import Gap, Watermark


def test_nothing_is_promised_before_anything_is_known() -> None:
    """Absent is honest; 0 or now would be a lie."""
    watermark = Watermark()
    watermark.advance(10)

    assert watermark.complete_until_us is None


def test_a_time_is_promised_once_its_changes_are_folded() -> None:
    """The promise is about the cells, not about the stream."""
    watermark = Watermark()
    watermark.expect(1_000, 7)

    watermark.advance(6)
    before = watermark.complete_until_us
    watermark.advance(7)

    assert (before, watermark.complete_until_us) == (None, 1_000)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50))))
def test_it_never_goes_back(news: list[tuple[int, int, int]]) -> None:
    """Replicas of status may answer out of step; a report must not take a promise back."""
    watermark, seen = Watermark(), [-1]
    for time_us, seq, folded in news:
        watermark.expect(time_us, seq)
        watermark.advance(folded)
        seen.append(-1 if watermark.complete_until_us is None else watermark.complete_until_us)

    assert seen == sorted(seen)


@pytest.mark.parametrize("lag", [1, 100, 10_000, 100_000])
def test_a_steady_lag_of_any_length_does_not_stop_it(lag: int) -> None:
    """A promise that stands still says that nothing moves, when everything does."""
    watermark = Watermark()
    for look in range(3 * lag + 10):
        watermark.expect(look * 200_000, look)
        watermark.advance(look - lag)

    best_us = (look - lag) * 200_000
    assert watermark.complete_until_us is not None
    assert 0 <= best_us - watermark.complete_until_us <= lag * 200_000 * 0.02


def test_gaps_are_closed_for_a_tenant_whose_numbers_were_counted_anew() -> None:
    """A rebuild reads the messages themselves, so that what was lost on the way is in it."""
    watermark = Watermark()
    watermark.gaps = [Gap("MISSING", 2, 10, 20), Gap("MISSING", 3, 5, 40), Gap("EXPIRED", 1, 0, 20)]
    watermark.rebuilt_us = {"mended": 30}

    assert watermark.freshness("other").gaps == (
        Gap("MISSING", 5, 5, 40),
        Gap("EXPIRED", 1, 0, 20),
    )
    assert watermark.freshness("mended").gaps == (Gap("MISSING", 3, 5, 40),)
