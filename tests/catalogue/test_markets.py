"""A recipient's price market follows from the calling prefix and the day."""

from datetime import UTC, datetime

import pytest

from libs.catalogue.markets import market_of


def _us(*day: int) -> int:
    return int(datetime(*day, tzinfo=UTC).timestamp()) * 1_000_000  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    ("address", "market"),
    [
        ("+491711234567", "Germany"),
        ("+14155550101", "North America"),
        ("+16135550101", "North America"),
        # Longer prefixes win.
        ("+18765550101", "Rest of Latin America"),
        ("+12425550101", "Other"),
        ("+79161234567", "Russia"),
        ("+33612345678", "France"),
        ("+43660123456", "Rest of Western Europe"),
        ("+821012345678", "Other"),
        ("DE.1234567890", "Germany"),
        ("US.ENT.12ab", "North America"),
        ("KR.1234", "Other"),
        ("ann@example.com", ""),
        ("", ""),
    ],
)
def test_an_address_belongs_to_one_market(address: str, market: str) -> None:
    """Meta charges by market."""
    assert market_of(address, _us(2026, 1, 1)) == market


@pytest.mark.parametrize(
    ("address", "day", "before", "since"),
    [
        ("+48601234567", (2026, 7, 1), "Rest of Central & Eastern Europe", "Poland"),
        ("+77011234567", (2026, 10, 1), "Other", "Kazakhstan"),
        ("+263771234567", (2025, 10, 1), "Other", "Rest of Africa"),
        ("PL.123", (2026, 7, 1), "Rest of Central & Eastern Europe", "Poland"),
    ],
)
def test_a_market_changes_at_the_begin_of_its_day(
    address: str, day: tuple[int, int, int], before: str, since: str
) -> None:
    """Last month's messages keep last month's price."""
    assert market_of(address, _us(*day) - 1) == before
    assert market_of(address, _us(*day)) == since
