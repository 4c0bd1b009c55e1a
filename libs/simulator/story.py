"""The facts of one message, one after the other. Pure."""

from __future__ import annotations

import random

from libs.simulator.facts import Fact, FactKind, Failure, SimulatedMessage


class Story:
    """The facts of one message, each some seconds after the one before."""

    def __init__(self, message: SimulatedMessage, chance: random.Random, end_time_s: int) -> None:
        """Begin at the hand-over; nothing happens much after `end_time_s`."""
        self.facts: list[Fact] = []
        self.message = message
        self._chance = chance
        self._time_s = message.outcome_time_s
        self._end_s = end_time_s

    @property
    def has_failed(self) -> bool:
        """Whether the last that was heard of it is a failure."""
        return any(fact.kind is FactKind.FAILED for fact in self.facts) and not any(
            fact.kind in (FactKind.DELIVERED, FactKind.READ) and not fact.part
            for fact in self.facts
        )

    def add(
        self,
        kind: FactKind,
        after_s: int,
        *,
        failure: Failure | None = None,
        link_id: str = "",
        text: str = "",
        part: int = 0,
    ) -> None:
        """Add what happened next."""
        # At the end, too, each fact has a second of its own: acts are told apart by it.
        self._time_s = min(self._time_s + after_s, self._end_s + len(self.facts))
        again = f"+{self.message.attempt}" if self.message.attempt else ""
        self.facts.append(
            Fact(
                fact_id=f"{self.message.message_ref}{again}#{len(self.facts)}",
                kind=kind,
                message=self.message,
                occur_time_s=self._time_s,
                code=failure.code if failure else "",
                reason=failure.reason if failure else "",
                opts_out=failure.opts_out if failure else False,
                link_id=link_id,
                text=text,
                part=part,
            )
        )
