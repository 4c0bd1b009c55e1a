"""Tell a campaign to a running Bluetick, wait until it has taken it all in, compare."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bluetick.v1 import analytics_service_pb2, campaign_service_pb2

from libs.simulator.chaos import LEVELS
from libs.simulator.compare import Difference, compare_report
from libs.simulator.door import Door
from libs.simulator.facts import ENGAGEMENT_KINDS
from libs.simulator.gateway import Gateway
from libs.simulator.plan import Plan, Step, TellCallback, TellRecords, plan_telling
from libs.simulator.provider import SimulatedProvider
from libs.simulator.records import engagement_record, message_record
from libs.simulator.scenario import SPAN_S
from libs.simulator.simulation import Simulation, fallback_of, provider_of, scenario_of
from libs.simulator.truth import Truth, count_truth

Progress = Callable[[int, int], None]  # (updates told so far, updates in all)

_COMPLETE_POLL_S = 0.1
# Differences that are gone this much later were lateness, not loss; they stay differences.
_LATER_S = 10.0


@dataclass(slots=True)
class Telling:
    """How the telling went."""

    callbacks: int = 0
    updates: int = 0
    records: int = 0
    engagements: int = 0
    retries: int = 0
    duration_s: float = 0.0
    last_answer_time_us: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether the report equals the truth.

    `is_complete` is False if the report did not claim to be complete in time; it was compared
    all the same. `is_equal_later` says of differences whether some seconds more would have
    helped: then the claim was too early, else something is lost or counted twice.
    """

    truth: Truth
    plan: Plan
    telling: Telling
    differences: list[Difference]
    is_complete: bool
    is_equal_later: bool
    complete_after_s: float  # seconds from the last answer
    report: analytics_service_pb2.GetCampaignReportResponse
    reasons: analytics_service_pb2.GetFailureReasonsResponse


async def simulate(simulation: Simulation, on_progress: Progress) -> Verdict:
    """Run a whole simulation.

    Raises:
        DoorClosed: the callback door refused for good.
        RecordRefused: a record was rejected.
        grpc.aio.AioRpcError: the gateway refused, or could not be reached for a minute.
        LookupError: nobody has heard of the campaign after everything was told.
    """
    chaos = LEVELS[simulation.chaos]
    provider, fallback = provider_of(simulation), fallback_of(simulation)
    scenario = scenario_of(simulation, provider, start_time_s=int(time.time()) - SPAN_S - 600)
    chance = random.Random(f"chaos:{simulation.seed}")
    plan = plan_telling(
        scenario,
        chaos,
        chance,
        by_sender=ENGAGEMENT_KINDS - provider.kinds,
        updates_max=provider.updates_max,
        fallback_by_sender=ENGAGEMENT_KINDS - fallback.kinds if fallback else ENGAGEMENT_KINDS,
        fallback_updates_max=fallback.updates_max if fallback else 1,
    )
    truth = count_truth(scenario.messages, plan.told)
    async with Gateway(simulation.gateway, simulation.api_key) as gateway:
        await gateway.create_campaign(_campaign(simulation))
        teller = _Teller(simulation, gateway, (provider, fallback), on_progress)
        telling = await teller.tell(plan)
        is_complete, complete_after_s, report = await _await_complete(
            gateway, simulation, telling.last_answer_time_us
        )
        reasons = await gateway.failure_reasons(simulation.campaign_id)
        differences = compare_report(truth, report, reasons)
        is_equal_later = bool(differences) and await _is_equal_later(gateway, simulation, truth)
    return Verdict(
        truth=truth,
        plan=plan,
        telling=telling,
        differences=differences,
        is_complete=is_complete,
        is_equal_later=is_equal_later,
        complete_after_s=complete_after_s,
        report=report,
        reasons=reasons,
    )


@dataclass(slots=True)
class _Teller:
    """Tells a plan's steps in order, several at a time."""

    simulation: Simulation
    gateway: Gateway
    providers: tuple[SimulatedProvider, SimulatedProvider | None]  # the usual one, the other
    on_progress: Progress
    telling: Telling = field(default_factory=Telling)
    steps_begun: int = 0

    async def tell(self, plan: Plan) -> Telling:
        started = time.monotonic()
        steps = iter(plan.steps)
        total = plan.update_count
        chance = random.Random(f"shapes:{self.simulation.seed}")

        async def work() -> None:
            doors = self._doors()
            try:
                for step in steps:
                    await self._keep_rate(started)
                    await self._tell_step(step, doors, chance)
                    self.on_progress(self.telling.updates, total)
            finally:
                for door in doors:
                    await door.close()

        async with asyncio.TaskGroup() as group:
            for _ in range(self.simulation.concurrency):
                group.create_task(work())
        self.telling.duration_s = time.monotonic() - started
        return self.telling

    def _doors(self) -> list[Door]:
        paths = [self.simulation.door_path]
        if self.simulation.fallback is not None:
            paths.append(self.simulation.fallback.door_path)
        return [Door(self.simulation.ingest_url + path) for path in paths]

    def _accounts(self) -> list[tuple[str, str]]:
        """Provider and account of the usual way, and of the other one."""
        usual = (self.simulation.provider, self.simulation.account)
        other = self.simulation.fallback
        return [usual, (other.provider, other.account) if other else usual]

    async def _tell_step(self, step: Step, doors: Sequence[Door], chance: random.Random) -> None:
        told = self.telling
        accounts = self._accounts()
        if isinstance(step, TellCallback):
            provider = self.providers[step.is_fallback]
            assert provider is not None, "nothing falls back to nowhere"
            callback = provider.render(step.emissions, chance)
            told.retries += await doors[step.is_fallback].deliver(callback)
            told.callbacks += 1
            told.updates += callback.update_count
        elif isinstance(step, TellRecords):
            records = []
            for one in step.messages:
                name, account = accounts[one.is_fallback]
                records.append(message_record(one, provider=name, account=account))
            told.retries += await self.gateway.record_messages(records)
            told.records += len(records)
        else:
            acts = []
            for emission in step.emissions:
                name, account = accounts[emission.fact.message.is_fallback]
                acts.append(engagement_record(emission, provider=name, account=account))
            told.retries += await self.gateway.record_engagements(acts)
            told.engagements += len(acts)
        told.last_answer_time_us = time.time_ns() // 1000

    async def _keep_rate(self, started: float) -> None:
        if self.simulation.rate:
            due = started + self.steps_begun / self.simulation.rate
            self.steps_begun += 1
            await asyncio.sleep(max(0.0, due - time.monotonic()))


async def _await_complete(
    gateway: Gateway, simulation: Simulation, last_answer_time_us: int
) -> tuple[bool, float, analytics_service_pb2.GetCampaignReportResponse]:
    """Ask until the report says that everything answered by then is in it."""
    started = time.monotonic()
    while True:
        report = await gateway.report(simulation.campaign_id)
        waited_s = time.monotonic() - started
        if report is not None and report.HasField("complete_until_time"):
            complete_until_us = report.complete_until_time.ToMicroseconds()
            if complete_until_us > last_answer_time_us:
                return True, waited_s, report
        if waited_s > simulation.wait_max_s:
            if report is None:
                raise LookupError(f"nobody has heard of campaign {simulation.campaign_id}")
            return False, waited_s, report
        await asyncio.sleep(_COMPLETE_POLL_S)


async def _is_equal_later(gateway: Gateway, simulation: Simulation, truth: Truth) -> bool:
    await asyncio.sleep(_LATER_S)
    report = await gateway.report(simulation.campaign_id)
    reasons = await gateway.failure_reasons(simulation.campaign_id)
    return report is not None and not compare_report(truth, report, reasons)


def _campaign(simulation: Simulation) -> campaign_service_pb2.Campaign:
    return campaign_service_pb2.Campaign(
        campaign_id=simulation.campaign_id,
        name=simulation.campaign_name or f"Simulated campaign, seed {simulation.seed}",
        kind=campaign_service_pb2.CAMPAIGN_KIND_BROADCAST,
        state=campaign_service_pb2.CAMPAIGN_STATE_SENDING,
        tags=["simulated"],
        audience_size=simulation.message_count,
    )
