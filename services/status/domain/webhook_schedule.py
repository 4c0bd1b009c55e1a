"""When a change that an endpoint did not take is tried again, and when it is given up."""

import random
from collections.abc import Callable
from typing import Final

SECOND_US: Final = 1_000_000
# A day from the first attempt on.
GIVE_UP_S: Final = 24 * 3600
# After the first attempt, after the second, and so on; the last one from then on.
PAUSES_S: Final = (5, 30, 120, 300, 900, 1_800, 3_600, 7_200, 14_400)
# Up to so much of a pause is added, so that what failed together does not come back together.
JITTER: Final = 0.25


def next_attempt_us(
    attempt_count: int,
    first_us: int,
    now_us: int,
    retry_after_s: float = 0.0,
    *,
    chance: Callable[[], float] = random.random,
) -> int | None:
    """Return when to try again (microseconds since 1970, UTC); None: it is given up.

    Args:
        attempt_count: attempts so far, 1 or more.
        first_us: the time of the first one.
        now_us: now.
        retry_after_s: what the endpoint asked for; never sooner than that.
        chance: from 0 to 1.

    The last attempt is at the end of the day, whatever the pause before it.
    """
    end_us = first_us + GIVE_UP_S * SECOND_US
    if now_us >= end_us:
        return None
    pause_s = PAUSES_S[min(attempt_count, len(PAUSES_S)) - 1] * (1 + JITTER * chance())
    pause_s = max(pause_s, retry_after_s)
    return min(now_us + round(pause_s * SECOND_US), end_us)
