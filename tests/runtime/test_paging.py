"""A page token continues the question that it was given for, and no other."""

from typing import Any

import pytest
from bluetick.v1 import campaign_service_pb2, ingest_service_pb2
from hypothesis import given
from hypothesis import strategies as st

from libs.runtime.paging import PAGE_SIZE, PAGE_SIZE_MAX, Paging
from libs.runtime.rpc_errors import InvalidArgument

Request = ingest_service_pb2.ListQuarantineRequest
PAGES: Paging[tuple[int, bytes]] = Paging(tuple[int, bytes])
TEXTS: Paging[tuple[str, int]] = Paging(tuple[str, int])


def problem_of(request: Any, tenant_id: str = "demo", pages: Paging[Any] = PAGES) -> str:
    """Return what the caller is told about its token."""
    with pytest.raises(InvalidArgument) as raised:
        pages.after(tenant_id, request)
    ((field, problem),) = raised.value.violations
    assert field == "page_token"
    return problem


@given(time_us=st.integers(-(2**63), 2**63 - 1), key=st.binary(max_size=64))
def test_any_place_comes_back_as_it_was(time_us: int, key: bytes) -> None:
    """A place that came back changed would skip rows or show them twice."""
    asked = Request(provider="meta", account="acct_1", page_size=7)
    token = PAGES.token("demo", asked, (time_us, key))

    again = Request(provider="meta", account="acct_1", page_size=900, page_token=token)

    assert PAGES.after("demo", again) == (time_us, key)


def test_without_a_token_a_page_begins_at_the_start() -> None:
    """The first page has no place before it."""
    assert PAGES.after("demo", Request()) is None


@pytest.mark.parametrize(
    ("tenant_id", "other"),
    [
        ("demo", {"provider": "meta"}),
        ("demo", {"provider": "twilio", "account": "acct_1"}),
        ("demo", {"provider": "metaacct_1"}),
        ("demo", {"provider": "meta", "account": "acct_1", "shelf": 1}),
        ("other", {"provider": "meta", "account": "acct_1"}),
    ],
)
def test_a_token_of_another_question_is_refused_and_told_so(
    tenant_id: str, other: dict[str, Any]
) -> None:
    """Else a caller who changes a filter while paging silently loses rows."""
    token = PAGES.token("demo", Request(provider="meta", account="acct_1"), (1, b"k"))

    problem = problem_of(Request(**other, page_token=token), tenant_id)

    assert problem.startswith("It continues another question.")


def test_a_token_of_another_call_is_refused() -> None:
    """Empty filters of two calls look the same on the wire."""
    token = PAGES.token("demo", Request(), (1, b"k"))

    problem = problem_of(campaign_service_pb2.ListCampaignsRequest(page_token=token))

    assert problem.startswith("It continues another question.")


def test_a_token_that_was_changed_anywhere_or_cut_is_refused() -> None:
    """Every single character; a token that is nearly right would point to nowhere."""
    token = PAGES.token("demo", Request(), (1_700_000_000_000_000, b"0123456789abcdef"))
    others = [
        token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
        for at in range(len(token) - 1)
    ]

    for broken in (*others, token[:-4], token[4:], "no token", "é", "A", "=" * 9, "x" * 100_000):
        assert problem_of(Request(page_token=broken)).startswith("Not a token")


@pytest.mark.parametrize("place", [("a\x00b", 1), ("a", 2**63), ("a", "b"), ("a",)])
def test_a_place_that_no_database_takes_is_the_callers_mistake(place: Any) -> None:
    """A forged token must not end as an error of ours."""
    loose: Paging[Any] = Paging(tuple[Any, ...])

    token = loose.token("demo", Request(), place)

    assert problem_of(Request(page_token=token), pages=TEXTS).startswith("Not a token")


@pytest.mark.parametrize(("asked", "given_"), [(0, PAGE_SIZE), (1, 1), (PAGE_SIZE_MAX,) * 2])
def test_a_page_has_the_size_asked_for(asked: int, given_: int) -> None:
    """0 is the default."""
    assert PAGES.size(Request(page_size=asked)) == given_


@pytest.mark.parametrize("asked", [-1, PAGE_SIZE_MAX + 1, 2**31 - 1, -(2**31)])
def test_a_size_out_of_range_is_refused_with_the_range(asked: int) -> None:
    """A page that is silently shorter looks like the last one."""
    with pytest.raises(InvalidArgument) as raised:
        PAGES.size(Request(page_size=asked))

    ((field, problem),) = raised.value.violations
    assert field == "page_size"
    assert str(PAGE_SIZE_MAX) in problem
    assert str(asked) in problem


def test_a_token_is_safe_in_addresses_and_short() -> None:
    """It is copied into command lines and URLs."""
    token = PAGES.token("demo", Request(), (1_700_000_000_000_000, bytes(16)))

    assert token.replace("-", "").replace("_", "").isalnum()
    assert len(token) < 80
