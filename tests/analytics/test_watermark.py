from hypothesis import given
from hypothesis import strategies as st

from services.analytics.domain.watermark import Watermark


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
