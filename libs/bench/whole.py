"""The whole way under a steady load: records and callbacks in, every number out of the gateway.

Each message is recorded through the gateway while its callbacks come, each callback is sent once,
at its own time whether or not the door has answered those before; and in the end every number of
every report must be what was told. A run whose numbers differ is a failed run.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import grpc.aio

from libs.bench.broker_control import BrokerControl, broker_control
from libs.bench.door import PATH, SECRET
from libs.bench.inside import outside_metadata
from libs.bench.latencies import Latencies
from libs.bench.load_door import Answer
from libs.bench.load_plan import LoadPlan, TruthOfPlan
from libs.bench.load_process import LoadProcess, load_process
from libs.bench.machine import RunningMachine
from libs.bench.meta_bodies import MetaBodies
from libs.bench.numbers import NumbersDiffer, require_numbers, wait_for_numbers
from libs.bench.probes import Probes
from libs.bench.records import RECORDS_A_CALL, Recorder, record_request
from libs.bench.request_files import RequestFile, request_file
from libs.bench.results import Row
from libs.bench.sizes import Sizes
from libs.bench.whole_rows import BacklogSample, Outcome, rows_of
from libs.runtime.broker import CHANGES_STREAM, EVENTS_STREAM
from libs.simulator.gateway import Gateway
from libs.simulator.truth import Truth

_CAMPAIGNS = 3
_CALLBACKS_PER_MESSAGE = 2.9  # about; what a plan of some size comes to
_LEAD_S = 1.0  # between the order to begin and the beginning
_SETTLE_MAX_S = 120.0


@dataclass(frozen=True, slots=True)
class Prepared:
    """Everything that will be sent, and what the reports must say when it was."""

    callbacks: RequestFile
    records: RequestFile
    messages: int
    truths: dict[str, Truth]


def measure_end_to_end(
    machine: RunningMachine, sizes: Sizes, lost: tuple[int, ...] = ()
) -> list[Row]:
    """Load everything at a steady rate.

    Args:
        machine: what is loaded.
        sizes: `rate` callbacks a second for `whole_s`.
        lost: numbers of callbacks that are lost on the way, to see that the run fails.

    Raises:
        NumbersDiffer: a report does not say what was told; a callback was never answered 200.
        NotDrained: the backlog was not worked off in time.
    """
    messages = max(20, round(sizes.rate * sizes.whole_s / _CALLBACKS_PER_MESSAGE))
    plan = LoadPlan(
        name=f"bench-whole-{time.time_ns()}",
        campaigns=_CAMPAIGNS,
        start_time_s=int(time.time()) - 3600,
        # Callbacks of a message within ten seconds of its record, and any order among messages.
        spread=max(10, min(messages // 4, round(10 * sizes.rate / _CALLBACKS_PER_MESSAGE))),
    )
    with ExitStack() as stack:
        prepared = _prepare(stack, plan, messages)
        load = stack.enter_context(load_process())
        return asyncio.run(_run(machine, sizes, prepared, load, lost))


def _prepare(stack: ExitStack, plan: LoadPlan, messages: int) -> Prepared:
    truth = TruthOfPlan(plan)

    def callbacks() -> Iterator[bytes]:
        bodies = MetaBodies(SECRET, PATH)
        for form, one in enumerate(plan.in_order(range(messages))):
            yield bodies.request([one.told], form)

    def records() -> Iterator[bytes]:
        for start in range(0, messages, RECORDS_A_CALL):
            part = range(start, min(start + RECORDS_A_CALL, messages))
            for message in part:
                truth.add(message, plan.things(message))
            yield record_request(plan, part)

    return Prepared(
        callbacks=stack.enter_context(request_file(callbacks(), 1)),
        records=stack.enter_context(request_file(records(), RECORDS_A_CALL)),
        messages=messages,
        truths={name: truth.truth(name) for name in plan.campaign_ids()},
    )


async def _run(
    machine: RunningMachine,
    sizes: Sizes,
    prepared: Prepared,
    load: LoadProcess,
    lost: tuple[int, ...],
) -> list[Row]:
    async with (
        broker_control(machine.nats) as control,
        Gateway(machine.gateway, machine.api_key) as gateway,
        grpc.aio.insecure_channel(machine.gateway) as channel,
    ):
        recorder = Recorder(channel, outside_metadata(machine))
        probes = await Probes.prepare(gateway, machine.ingest, sizes)
        await control.drain(EVENTS_STREAM)
        await control.drain(CHANGES_STREAM)
        machine.forget_peaks()
        start_at_s = time.monotonic() + _LEAD_S
        watch = machine.watch_cpu(load=load.pid)
        samples: list[BacklogSample] = []
        sampling = asyncio.create_task(_sample(control, samples, start_at_s))
        probing = asyncio.create_task(probes.run(start_at_s, sizes.whole_s))
        recording = asyncio.create_task(_record(recorder, prepared, sizes, start_at_s))
        answer = await asyncio.to_thread(
            load.send,
            machine.ingest,
            prepared.callbacks,
            seconds=prepared.callbacks.count / sizes.rate,
            connections=sizes.connections,
            rate=sizes.rate,
            start_at_s=start_at_s,
            lost=lost,
        )
        record_latencies = await recording
        _refuse_unanswered(answer)
        sampling.cancel()
        settle_s = await wait_for_numbers(gateway, prepared.truths, _SETTLE_MAX_S, control.is_idle)
        cpu = watch.stop()
        visible = await probing
        # It must stay right when nothing is left to do.
        await control.drain(EVENTS_STREAM)
        await control.drain(CHANGES_STREAM)
        await require_numbers(gateway, prepared.truths | probes.truth())
        return rows_of(
            Outcome(
                rate=sizes.rate,
                answer=answer,
                records=prepared.messages,
                record_latencies=record_latencies,
                visible=visible,
                backlog=samples,
                settle_s=settle_s,
                cpu=cpu,
                peaks_mib=machine.peaks_mib(),
            )
        )


async def _record(
    recorder: Recorder, prepared: Prepared, sizes: Sizes, start_at_s: float
) -> Latencies:
    """Record the messages at their own steady rate; latencies from when each call was due."""
    latencies = Latencies()
    seconds = prepared.callbacks.count / sizes.rate
    tasks: set[asyncio.Task[None]] = set()

    async def one(request: bytes, due_s: float) -> None:
        await recorder.record(request)
        latencies.add(time.monotonic() - due_s)

    for number, request in enumerate(prepared.records.each()):
        due_s = start_at_s + number * seconds / prepared.records.count
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))
        task = asyncio.create_task(one(request, due_s))
        tasks.add(task)
        if finished := {each for each in tasks if each.done()}:
            tasks -= finished
            await asyncio.gather(*finished)
    await asyncio.gather(*tasks)
    return latencies


async def _sample(control: BrokerControl, samples: list[BacklogSample], start_at_s: float) -> None:
    """Once a second: what waits in the streams, and how much went through them."""
    first = await control.last_sequence(EVENTS_STREAM)
    while True:
        await asyncio.sleep(max(0.0, start_at_s + len(samples) + 1 - time.monotonic()))
        pending = await control.pending()
        stored = await control.last_sequence(EVENTS_STREAM) - first
        samples.append(
            BacklogSample(
                at_s=time.monotonic() - start_at_s,
                events_pending=pending.events,
                changes_pending=pending.changes,
                events_stored=stored,
            )
        )


def _refuse_unanswered(answer: Answer) -> None:
    if answer.unanswered:
        raise NumbersDiffer(
            f"{answer.unanswered} of {answer.used} callbacks were never answered 200"
        )
