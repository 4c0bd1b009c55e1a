"""Status' doors about callbacks, with an ingest that the test plays."""

from collections.abc import Callable
from typing import Any

from bluetick.v1.event_pb2 import EventBatch, Quarantined

from libs.runtime.broker import BrokerUnavailable
from libs.runtime.database import Database
from libs.runtime.replay import Reread
from libs.testkit import builders
from libs.testkit.clock import ManualClock
from services.status.adapters.health_rows import HealthRows
from services.status.adapters.quarantine_shelf import QuarantineShelfRows
from services.status.adapters.readers import QuarantineRows
from services.status.adapters.rpc_services import CallbackRpc
from services.status.replay_quarantine import ReplayQuarantine
from tests.status.machine import Bench

KEY = b"0123456789abcdef"


class PlayedIngest:
    """Answers as the test says; without an answer nobody is there."""

    def __init__(self, answer: Callable[[Quarantined], Reread | None] | None = None) -> None:
        self.answer = answer
        self.asked: list[Quarantined] = []

    async def reread(self, kept: Quarantined, timeout_s: float) -> Reread | None:
        self.asked.append(kept)
        if self.answer is None:
            raise BrokerUnavailable("nobody")
        return self.answer(kept)


def a_replay(bench: Bench, ingest: PlayedIngest) -> ReplayQuarantine:
    async def apply(batch: EventBatch) -> None:
        await bench.use_case.apply([batch], builders.TIME_US)

    return ReplayQuarantine(QuarantineShelfRows(bench.database), ingest, apply, lambda: 0.0)


def a_callback_rpc(database: Database) -> CallbackRpc:
    """The doors as wired, without an ingest behind them."""

    async def apply(batch: EventBatch) -> None:
        raise AssertionError("Nothing is applied here.")

    replays = ReplayQuarantine(QuarantineShelfRows(database), PlayedIngest(), apply, lambda: 0.0)
    return CallbackRpc(  # type: ignore[abstract]
        QuarantineRows(database),
        replays,
        HealthRows(database),
        None,  # type: ignore[arg-type]  # the operator's shelf has tests of its own
        ManualClock(),
        replay_limit_s=5.0,
        silent_after_h=24,
    )


def a_quarantined(key: bytes = KEY, **fields: Any) -> Quarantined:
    """A body that could not be read."""
    fields.setdefault("reason", "BODY_NOT_JSON")
    fields.setdefault("body", b"{")
    return builders.a_quarantined(quarantine_key=key, **fields)
