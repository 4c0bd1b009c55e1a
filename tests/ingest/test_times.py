import pytest

from services.ingest.domain.times import SECOND_US, seconds_us


@pytest.mark.parametrize(
    ("written", "time_us"),
    [
        (1_785_900_000, 1_785_900_000_000_000),
        ("1785900000", 1_785_900_000_000_000),
        ("1785900000.25", 1_785_900_000_250_000),
        (1_785_900_000.42, 1_785_900_000_420_000),
        (-1.5, -1_500_000),
    ],
)
def test_seconds_are_exact_to_the_microsecond_that_a_number_can_hold(
    written: object, time_us: int
) -> None:
    """Mailgun and Gupshup tell fractions."""
    assert seconds_us(written) == time_us


@pytest.mark.parametrize("written", [1e308, -1e308, 10**400])
def test_a_number_beyond_all_time_is_a_number_all_the_same(written: float) -> None:
    """It is a time beyond belief, which is marked, and no reason to lose its neighbours."""
    assert seconds_us(written) == int(written) * SECOND_US


@pytest.mark.parametrize("written", [float("nan"), float("inf"), True, None, "", "soon", [], "1e9"])
def test_what_is_no_number_of_seconds_is_no_time(written: object) -> None:
    """True is an integer to Python only."""
    assert seconds_us(written) is None
