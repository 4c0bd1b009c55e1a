"""How long a call may take: what the caller asked for, within the gateway's bounds."""

from dataclasses import dataclass

# Seconds that a stream behind the gateway outlives the one before it.
STREAM_MARGIN_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadlineLimits:
    """Bounds of a call's time, seconds."""

    default_s: float  # of a unary call whose caller set no deadline
    max_s: float  # of any unary call
    stream_max_s: float  # of any stream, and of one whose caller set no deadline


def timeout_of(remaining_s: float | None, limits: DeadlineLimits, *, is_stream: bool) -> float:
    """Return the seconds that the service behind the gateway has for the call.

    A caller who asks for more than the bound is not refused: the bound is applied, and the
    caller is told by DEADLINE_EXCEEDED if it was too short. A stream is watched for long, so
    its default is its bound; and a little more, since the gateway itself ends it, with words.

    Args:
        remaining_s: seconds until the caller's deadline; None: the caller set none.
        limits: the gateway's bounds.
        is_stream: many answers to one request.
    """
    if is_stream:
        most_s = limits.stream_max_s + STREAM_MARGIN_S
        return most_s if remaining_s is None else min(remaining_s, most_s)
    return limits.default_s if remaining_s is None else min(remaining_s, limits.max_s)
