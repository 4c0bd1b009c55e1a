"""Work that waits for its turn: first that of whoever has spent least of late."""

from collections import deque
from typing import Generic, TypeVar

from services.ingest.domain.fair_share import Load, Party

Job = TypeVar("Job")


class FairQueue(Generic[Job]):
    """Jobs by account, and in it by party; those of one party stay in their order."""

    def __init__(self) -> None:
        """Begin empty."""
        self._jobs: dict[Load, dict[Party, deque[Job]]] = {}
        self._count = 0

    def __len__(self) -> int:
        """Return how many wait."""
        return self._count

    def put(self, party: Party, job: Job) -> None:
        """Let ``job`` wait."""
        self._jobs.setdefault(party.account, {}).setdefault(party, deque()).append(job)
        self._count += 1

    def pop(self, now_s: float) -> Job:
        """Return the next one; ``now_s`` by the clock of ``Load.spend``.

        Raises:
            ValueError: nothing waits.
        """
        account = min(self._jobs, key=lambda load: load.spent_s(now_s))
        parties = self._jobs[account]
        party = min(parties, key=lambda load: load.spent_s(now_s))
        jobs = parties[party]
        job = jobs.popleft()
        self._count -= 1
        if not jobs:
            del parties[party]
            if not parties:
                del self._jobs[account]
        return job
