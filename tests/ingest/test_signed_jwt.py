import json
from base64 import urlsafe_b64encode
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.providers.signed_jwt import claims_of
from tests.ingest.security_suite import NOW_S

SECRET = "a-secret-of-at-least-thirty-two-characters"
CLAIMS: dict[str, Any] = {"iat": NOW_S, "iss": "Somebody", "n": {"é": [1, None]}}


@given(
    st.dictionaries(st.text(max_size=8), st.integers(-9, 9) | st.text(max_size=8), max_size=4),
    st.text(st.characters(codec="utf-8"), min_size=32, max_size=40),
)
def test_what_a_library_signs_is_read_as_the_library_reads_it(
    claims: dict[str, Any], secret: str
) -> None:
    """Two implementations that agree are better evidence than one."""
    token = jwt.encode({**claims, "aud": "x"}, secret, "HS256")

    assert claims_of(token, ["another-secret", secret]) == {**claims, "aud": "x"}
    assert claims_of(token, ["another-secret"]) is None
    assert claims_of(token, []) is None


@pytest.mark.parametrize("place", range(3))
def test_every_part_of_a_token_is_signed(place: int) -> None:
    """Header, claims, signature: none may change."""
    parts = jwt.encode(CLAIMS, SECRET, "HS256").split(".")
    part = parts[place]
    parts[place] = ("f" if part[0] != "f" else "e") + part[1:]

    assert claims_of(".".join(parts), [SECRET]) is None


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_another_algorithm_is_refused_even_if_it_is_right(algorithm: str) -> None:
    """The algorithm is ours to choose."""
    assert claims_of(jwt.encode(CLAIMS, SECRET * 2, algorithm), [SECRET * 2]) is None


@pytest.mark.parametrize(
    "header", [{"alg": "none"}, {"alg": "HS512"}, {"alg": "HS256", "crit": ["b64"]}, {}, [], 7]
)
def test_a_header_that_says_otherwise_is_refused_although_we_could_sign_it(header: Any) -> None:
    """A token whose header and signature disagree was made by somebody who tries."""
    parts = [
        urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
        for part in (header, CLAIMS)
    ]
    right = jwt.api_jws.PyJWS().get_algorithm_by_name("HS256")
    mac = right.sign(".".join(parts).encode(), SECRET.encode())
    token = ".".join([*parts, urlsafe_b64encode(mac).rstrip(b"=").decode()])

    assert claims_of(token, [SECRET]) is None


@given(st.text(max_size=60) | st.from_regex(r"[\w-]{0,9}(\.[\w-]{0,9}){0,3}"))
def test_no_token_breaks_the_reader(token: str) -> None:
    """Whoever finds one that does stops the door for everybody."""
    assert claims_of(token, [SECRET]) is None
    assert claims_of(token * 9_000, [SECRET]) is None
