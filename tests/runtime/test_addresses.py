"""One phone is one phone, in whichever form it is written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.runtime.addresses import aliases, bare_phone, canonical_address

PAIRS = [
    # São Paulo and Fortaleza; who joined before the ninth digit is known without it.
    ("+5511987654321", "+551187654321"),
    ("+5585991234567", "+558591234567"),
    ("+5215512345678", "+525512345678"),
    ("+5491123456789", "+541123456789"),
]


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_both_forms_of_a_phone_are_each_others_alias_and_compare_equal(
    one: str, other: str
) -> None:
    """A message goes to one form and its callback names the other."""
    assert aliases(one) == (other,)
    assert aliases(other) == (one,)
    assert canonical_address(one) == canonical_address(other)


@pytest.mark.parametrize(
    "address",
    [
        "+551132345678",  # a landline of São Paulo: it never got a ninth digit
        "+5511932345678",  # a mobile whose last eight digits are somebody's landline
        "+491711234567",
        "+14155550101",
        "ann@example.com",
        "DE.1234567890",
        "",
    ],
)
def test_a_phone_with_one_form_has_no_alias(address: str) -> None:
    """Two people must not become one."""
    assert aliases(address) == ()
    assert canonical_address(address) == address


@pytest.mark.parametrize(
    "text",
    [
        "+49 171 123-4567",
        "0049 171 1234567",
        "491711234567",
        "whatsapp:+491711234567",
        "WhatsApp:491711234567",
        "+49 (171) 123.45.67",
        " +491711234567\u00a0",
    ],
)
def test_a_phone_is_bared_of_what_people_and_providers_put_around_it(text: str) -> None:
    """People type numbers as they read them."""
    assert bare_phone(text) == "+491711234567"
    assert canonical_address(text) == "+491711234567"


@pytest.mark.parametrize(
    "text", ["0171 1234567", "12345", "ann@example.com", "DE.1234567890", "not a number", "", "+0"]
)
def test_what_is_no_international_number_stays_as_it_is(text: str) -> None:
    """Nobody knows which country a national number belongs to."""
    assert bare_phone(text) == text


def test_mailboxes_compare_equal_in_upper_and_lower_case() -> None:
    """No mail server in use keeps them apart."""
    assert canonical_address("mailto:Ann@Example.com") == canonical_address("ann@example.com")


@given(st.one_of(st.text(), st.from_regex(r"\+?(52|54|55)[0-9]{8,12}", fullmatch=True)))
def test_the_form_to_compare_by_is_final_and_shared_by_all_aliases(address: str) -> None:
    """Comparing twice, or an alias first, must not change the answer."""
    canonical = canonical_address(address)

    assert canonical_address(canonical) == canonical
    assert {canonical_address(alias) for alias in aliases(address)} <= {canonical}
