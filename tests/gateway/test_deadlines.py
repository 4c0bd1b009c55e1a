"""How long a call may take."""

import pytest

from services.gateway.domain.deadlines import STREAM_MARGIN_S, DeadlineLimits, timeout_of
from services.gateway.domain.request_ids import is_request_id

_LIMITS = DeadlineLimits(default_s=10, max_s=60, stream_max_s=3600)


@pytest.mark.parametrize(
    ("remaining_s", "is_stream", "expected_s"),
    [
        (None, False, 10),
        (3, False, 3),
        (61, False, 60),
        (None, True, 3600 + STREAM_MARGIN_S),
        (90, True, 90),
        (1e9, True, 3600 + STREAM_MARGIN_S),
    ],
)
def test_a_call_gets_what_its_caller_asks_for_within_bounds(
    remaining_s: float | None, is_stream: bool, expected_s: float
) -> None:
    """A forgotten or absurd deadline must not hold a call for ever; a stream may last longer."""
    assert timeout_of(remaining_s, _LIMITS, is_stream=is_stream) == expected_s


@pytest.mark.parametrize("text", ["a", "01J8Z.x_y:z-9", "x" * 64])
def test_plain_request_ids_are_taken(text: str) -> None:
    """Callers trace by their own ids."""
    assert is_request_id(text)


@pytest.mark.parametrize("text", ["", "x" * 65, "a b", "a\nb", "é", '{"a":1}', b"a"])
def test_request_ids_that_could_forge_a_log_line_are_not_taken(text: object) -> None:
    """The id is written to logs as it comes."""
    assert not is_request_id(text)
