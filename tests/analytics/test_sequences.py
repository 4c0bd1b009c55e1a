from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from services.analytics.domain.sequences import StreamState, joined, standing


def spread(runs: list[tuple[int, int]]) -> set[int]:
    return {seq for first, last in runs for seq in range(first, last + 1)}


@given(st.sets(st.integers(1, 30)), st.integers(1, 31), st.integers(0, 30))
def test_every_sequence_is_folded_expired_unfolded_or_under_way(
    folded: set[int], first_seq: int, acknowledged: int
) -> None:
    """None is in two of these, and none is forgotten."""
    stream = StreamState(0, first_seq, 30, acknowledged)

    found = standing(((seq, seq) for seq in folded), stream)

    expired, unfolded = spread(list(found.expired)), spread(list(found.unfolded))
    end = max([*folded, acknowledged, first_seq - 1])
    assert expired == {seq for seq in range(1, min(end + 1, first_seq)) if seq not in folded}
    assert unfolded == {seq for seq in range(first_seq, acknowledged + 1) if seq not in folded}
    assert spread(list(found.runs)) == folded | expired
    done = folded | expired
    assert found.folded_seq == next(seq for seq in range(40) if seq + 1 not in done)


@given(st.lists(st.integers(1, 40)))
def test_runs_hold_what_was_put_in_and_never_touch(sequences: list[int]) -> None:
    """The table stays as small as the holes are few."""
    runs = joined((seq, seq) for seq in sequences)

    assert spread(runs) == set(sequences)
    assert all(one[1] + 1 < two[0] for one, two in pairwise(runs))
