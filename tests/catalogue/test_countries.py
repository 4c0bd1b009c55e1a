"""A number's country is the library's own answer, at a fraction of its cost."""

import random
import re
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phonenumbers import (
    COUNTRY_CODE_TO_REGION_CODE,
    SUPPORTED_REGIONS,
    PhoneMetadata,
    PhoneNumber,
    PhoneNumberFormat,
    PhoneNumberType,
    example_number_for_type,
    format_number,
    parse,
    region_code_for_number,
)

from libs.catalogue.countries import country_of, is_possible

SHARED = {
    code: regions for code, regions in COUNTRY_CODE_TO_REGION_CODE.items() if len(regions) > 1
}
KINDS = ("fixed_line", "mobile", "toll_free", "premium_rate", "personal_number", "voip", "uan")


def _examples() -> Iterator[PhoneNumber]:
    for region in sorted(SUPPORTED_REGIONS):
        for kind in PhoneNumberType.values():
            if number := example_number_for_type(region, kind):
                yield number


def _patterns(code: int) -> list[str]:
    """The library's patterns of the national numbers of all countries under one code."""
    kinds = [
        getattr(PhoneMetadata.metadata_for_region(region), kind)
        for region in SHARED[code]
        for kind in KINDS
    ]
    return sorted({kind.national_number_pattern for kind in kinds if kind is not None} - {None})


def test_every_country_is_told_for_every_kind_of_number() -> None:
    """Reports break numbers down by country."""
    told = set()
    for number in _examples():
        country = region_code_for_number(number)
        e164 = format_number(number, PhoneNumberFormat.E164)
        if country and re.fullmatch(r"\+[1-9][0-9]{5,14}", e164):
            assert country_of(e164) == country, e164
            told.add(country)
    assert len(told) > 240


@pytest.mark.parametrize("code", sorted(SHARED))
def test_where_countries_share_a_code_the_prefix_tells_them_apart(code: int) -> None:
    """Looking each number up whole would cost a recording a third of its time."""
    numbers = st.one_of(*[st.from_regex(one, fullmatch=True) for one in _patterns(code)])

    @settings(max_examples=300, deadline=None)
    @given(numbers)
    def check(national: str) -> None:
        number = parse(f"+{code}{national}")
        e164 = format_number(number, PhoneNumberFormat.E164)
        country = region_code_for_number(number)
        if country and len(e164) <= 16:
            assert country_of(e164) == country, e164

    check()


@pytest.mark.parametrize(
    ("address", "country"),
    [
        ("+14155550101", "US"),
        ("+16135550101", "CA"),
        ("+18765550101", "JM"),
        ("+17875550101", "PR"),
        ("+77011234567", "KZ"),
        ("+79161234567", "RU"),
        ("+447400123456", "GB"),
        ("+447911123456", "GG"),
        ("+447700300123", "JE"),
        ("+393312345678", "IT"),
        # Not in service, or too long: still of its country.
        ("+4912", ""),
        ("+491234", "DE"),
        ("+4499999999999", "GB"),
        # Which country of North America it would be, nobody can say.
        ("+19995550101", ""),
        # Of the world, not of a country.
        ("+80012345678", ""),
        ("+9991234567", ""),
        ("DE.1234567890", "DE"),
        ("US.ENT.12ab", "US"),
        ("ann@example.com", ""),
        ("0171 1234567", ""),
        ("", ""),
    ],
)
def test_an_address_has_the_country_that_its_form_tells(address: str, country: str) -> None:
    """No guess where nothing is known."""
    assert country_of(address) == country


def test_a_number_may_exist_if_its_length_does() -> None:
    """New ranges open all the time; a length is what every plan keeps."""
    assert is_possible("+491711234567")
    assert not is_possible("+1415555010")
    assert not is_possible("+9991234567")
    assert not is_possible("14155550101")


def test_the_answer_does_not_depend_on_what_was_asked_before() -> None:
    """Two replicas must give one message one country."""
    numbers = [f"+44{random.Random(seed).randint(10**9, 10**10 - 1)}" for seed in range(300)]
    first = [country_of(number) for number in numbers]

    from libs.catalogue import countries

    countries._of_shared_code.cache_clear()
    backwards = [country_of(number) for number in reversed(numbers)]

    assert backwards[::-1] == first
