"""When two addresses mean one person."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.runtime.addresses import canonical_address
from services.status.domain.addresses import ADDRESS_KEY_BYTES, address_key


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("+14155550101", "14155550101"),
        ("+14155550101", "whatsapp:+14155550101"),
        ("+14155550101", "WhatsApp:14155550101"),
        ("+14155550101", "+1 (415) 555-0101"),
        ("+493012345678", "00493012345678"),
        ("Ann@Example.COM", "ann@example.com"),
        ("ann@example.com", "mailto:ann@example.com"),
        # Brazil: the ninth digit of mobiles came late, and some are known without it.
        ("+5531988887777", "553188887777"),
        ("+5511987654321", "551187654321"),
        # Mexico: a 1 behind the country code, given up in 2019.
        ("+5215512345678", "+525512345678"),
        # Argentina: a 9 for mobiles called from abroad.
        ("+5491123456789", "+541123456789"),
    ],
)
def test_ways_of_writing_one_address_compare_equal(one: str, other: str) -> None:
    """Providers report a person in another form than the sender wrote to."""
    assert canonical_address(one) == canonical_address(other)
    assert address_key("demo", one) == address_key("demo", other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("+14155550101", "+14155550102"),
        ("+14155550101", "+4155550101"),
        ("+5531988887777", "+5532988887777"),
        ("+5215512345678", "+5215512345679"),
        ("ann@example.com", "ann@example.org"),
        ("US.13491208655302741918", "13491208655302741918"),
        ("US.Ab", "US.ab"),
    ],
)
def test_different_people_stay_different(one: str, other: str) -> None:
    """A reply on a stranger's message would be worse than one on none."""
    assert address_key("demo", one) != address_key("demo", other)


def test_a_key_belongs_to_one_tenant() -> None:
    """Two tenants that write to one phone must not share its replies."""
    assert address_key("demo", "+14155550101") != address_key("other", "+14155550101")
    assert len(address_key("demo", "+14155550101")) == ADDRESS_KEY_BYTES


@pytest.mark.parametrize("address", ["", " ", "whatsapp:"])
def test_no_address_has_no_key(address: str) -> None:
    """Everybody without an address is not one person."""
    assert address_key("demo", address) == b""


@given(st.text(max_size=40))
def test_every_text_has_a_key_or_none(address: str) -> None:
    """Addresses come from outside."""
    plain = canonical_address(address)

    assert isinstance(plain, str)
    assert len(address_key("demo", address)) in (0, ADDRESS_KEY_BYTES)
