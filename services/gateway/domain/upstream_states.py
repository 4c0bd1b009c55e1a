"""When the gateway is ready, seen from the services behind it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from services.gateway.domain.routes import Upstream

SERVING = "SERVING"

Needs = Literal["any", "all"]


@dataclass(frozen=True, slots=True)
class UpstreamState:
    """What a service behind the gateway says of itself."""

    word: str  # SERVING, NOT_SERVING, UNREACHABLE, UNKNOWN: not asked yet
    why: str = ""  # why it is not SERVING, in its own words; empty: it said nothing

    @property
    def is_serving(self) -> bool:
        """Whether it can do its work."""
        return self.word == SERVING


UNKNOWN = UpstreamState("UNKNOWN", "not asked yet")


def reasons(states: Mapping[Upstream, UpstreamState]) -> dict[str, str]:
    """Return why each service that is not SERVING is not; none: all are."""
    return {
        upstream.value: state.why or state.word
        for upstream, state in states.items()
        if not state.is_serving
    }


def is_ready(states: Mapping[Upstream, UpstreamState], needs: Needs) -> bool:
    """Tell whether the services behind let the gateway do something for a caller.

    With ``any`` it stays in rotation while one of them works: taking out every gateway because
    ingest is down would end reports too, and its own answer (UNAVAILABLE, which service, when to
    come back) is better than a refused connection. See docs/adr/0009.
    """
    told = [state.is_serving for state in states.values()]
    return all(told) if needs == "all" else any(told)
