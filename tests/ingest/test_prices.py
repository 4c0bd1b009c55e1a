import pytest
from bluetick.v1.event_pb2 import Event

from services.ingest.domain.prices import set_price


@pytest.mark.parametrize(
    ("amount", "units", "nanos"),
    [
        ("0.0333", 0, 33_300_000), ("12", 12, 0), ("0", 0, 0), ("-1.5", -1, -500_000_000),
        ("0.0000000019", 0, 1), ("999999999999.999999999", 999_999_999_999, 999_999_999),
        ("0.1", 0, 100_000_000),
    ],
)  # fmt: skip
def test_an_amount_is_exact(amount: str, units: int, nanos: int) -> None:
    """Prices are added up over millions of messages; a binary fraction would not come out."""
    event = Event()

    set_price(event, amount, "EUR")

    price = event.pricing.price
    assert (price.currency_code, price.units, price.nanos) == ("EUR", units, nanos)


@pytest.mark.parametrize(
    ("amount", "currency"),
    [("", "EUR"), ("free", "EUR"), ("1e5", "EUR"), ("NaN", "EUR"), ("1", ""), ("1", "euro"),
     ("1,5", "EUR"), ("1" * 20, "EUR"), ("1", "eur")],
)  # fmt: skip
def test_what_is_no_price_is_left_out(amount: str, currency: str) -> None:
    """A guessed price is worse than none."""
    event = Event()

    set_price(event, amount, currency)

    assert not event.HasField("pricing")
