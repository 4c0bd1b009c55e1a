"""The Wilson score interval: honest for small samples and at both ends."""

from math import sqrt

# Two-sided 95 %.
Z = 1.959963984540054


def wilson(hits: int, trials: int) -> tuple[float, float] | None:
    """Return the 95 % interval of the rate ``hits / trials``, both ends within [0, 1].

    Only for counts of distinct things, where each trial hits at most once.

    Returns:
        (low, high); None when there were no trials: no rate, so no interval.

    Raises:
        AssertionError: ``hits`` is not within 0 and ``trials``.
    """
    if trials == 0:
        return None
    assert 0 <= hits <= trials, f"{hits} of {trials} is no rate of distinct things"
    share = hits / trials
    spread = Z * Z / trials
    centre = (share + spread / 2) / (1 + spread)
    half = Z / (1 + spread) * sqrt(share * (1 - share) / trials + spread / (4 * trials))
    # Exactly 0 and 1 at the ends, where the formula is off by a rounding error.
    low = 0.0 if hits == 0 else max(0.0, centre - half)
    high = 1.0 if hits == trials else min(1.0, centre + half)
    return low, high
