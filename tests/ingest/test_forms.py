"""Forms and queries, read by hand since the standard library takes thrice as long."""

from urllib.parse import unquote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain.times import iso_us
from services.ingest.providers.decoding import form_pairs

_PIECES = st.sampled_from(
    ["%2B", "%2b", "%3A", "%", "%2", "%25", "%C3", "%A9", "%00", "%zz", "+", ":", "2B", "B", "é"]
)
_TEXTS = st.lists(_PIECES, max_size=8).map("".join)


@given(name=_TEXTS, value=_TEXTS, errors=st.sampled_from(["replace", "surrogateescape"]))
def test_a_form_says_what_the_standard_library_reads_in_it(
    name: str, value: str, errors: str
) -> None:
    """A phone whose plus sign is read as a blank belongs to no message and no signature."""
    pairs = form_pairs(f"{name}={value}", errors=errors)

    assert pairs == [(unquote_plus(name, errors=errors), unquote_plus(value, errors=errors))]


@pytest.mark.parametrize(
    ("written", "time_us"),
    [
        ("2026-08-05T03:20:00Z", 1_785_900_000_000_000),
        ("2026-08-05 03:20:00", 1_785_900_000_000_000),
        ("2026-08-05T03:20:00.1234567-00:00", 1_785_900_000_123_456),
        ("2026-08-05T00:20:00,5 -0300", 1_785_900_000_500_000),
        ("2026-08-05T05:20:00+02", 1_785_900_000_000_000),
        ("2026-02-30T00:00:00Z", None),
        ("2026-08-05T03:20Z", None),
        ("2026-08-05T03:20:00Z" + " " * 40, None),
        ("２026-08-05T03:20:00Z", None),
        (1_785_900_000, None),
    ],
)
def test_a_time_is_read_in_its_own_zone_or_not_at_all(written: object, time_us: int | None) -> None:
    """An hour's error in a delivery time is an error in every report of the day."""
    assert iso_us(written) == time_us
