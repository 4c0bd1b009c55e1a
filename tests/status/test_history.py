"""What a row keeps of what was told: each report once, until there is no room."""

import pytest

from services.status.domain.history import BYTES_MAX, add, entries
from services.status.domain.wire import field_bytes, fixed64


def framed(event: bytes, receive_us: int) -> bytes:
    """An entry, written the long way."""
    return field_bytes(1, b"\x09" + fixed64(receive_us) + field_bytes(2, event))


@pytest.mark.parametrize("size", [0, 1, 116, 117, 118, 127, 128, 1_000, 1_383, 1_384, 1_385, 1_386])
def test_an_entry_is_framed_and_fits_or_does_not(size: int) -> None:
    event, receive_us = b"e" * size, 1_785_900_000_000_000
    whole = framed(event, receive_us)
    packed = add(b"", event, receive_us)
    assert packed == (whole if len(whole) <= BYTES_MAX else None)
    if packed is not None:
        assert list(entries(packed)) == [(event, receive_us)]


@pytest.mark.parametrize("left", range(30))
def test_the_last_place_is_used(left: int) -> None:
    """What fits to the byte fits, whatever is there already."""
    first = add(b"", b"f" * (BYTES_MAX - 100 - left), 7)
    assert first is not None
    for size in range(60, 130):
        whole = framed(b"s" * size, 9) + first
        expected = whole if len(whole) <= BYTES_MAX else None
        assert add(first, b"s" * size, 9) == expected


def test_a_repeat_keeps_the_first_receipt() -> None:
    packed = add(add(b"", b"one", 5) or b"", b"two", 6) or b""
    assert add(packed, b"one", 8) is packed
    earlier = add(packed, b"one", 3)
    assert earlier is not None
    assert sorted(entries(earlier)) == [(b"one", 3), (b"two", 6)]
    # Bytes that are a part of another event are no repeat of it.
    assert len(list(entries(add(packed, b"tw", 9) or b""))) == 3
