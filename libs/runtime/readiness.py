"""Whether a service can do its work: everything that it needs, each asked for its fault."""

from collections.abc import Callable

# Returns what is wrong, in words for an operator; empty if nothing. Cheap: asked for each probe.
Fault = Callable[[], str]


class Readiness:
    """All needs of one service. It is ready when it is open and none of them has a fault."""

    def __init__(self) -> None:
        self._needs: dict[str, Fault] = {}
        self.is_open = False

    def need(self, name: str, fault: Fault) -> None:
        """Add a need; ``name`` is what an operator calls it."""
        self._needs[name] = fault

    def faults(self) -> list[str]:
        """Return what keeps the service from its work, one line each."""
        faults = [] if self.is_open else ["starting or stopping"]
        for name, fault in self._needs.items():
            if why := fault():
                faults.append(f"{name}: {why}")
        return faults

    @property
    def is_ready(self) -> bool:
        """Whether it takes work."""
        return not self.faults()
