import asyncio
import contextlib
from collections.abc import Callable

import grpc
from bluetick.v1 import analytics_service_pb2 as pb
from bluetick.v1 import change_pb2
from nats.js.errors import NotFoundError

from libs.runtime import progress, set_aside
from libs.runtime.broker import CHANGES_STREAM, SET_ASIDE_STREAM, Broker, changes_subject
from libs.runtime.settings import RuntimeSettings
from tests.analytics import fixture_a
from tests.analytics.building import CAMPAIGN, T0, TENANT, batches_of
from tests.analytics.calling import Caller, running

# Above the time after which the broker gives an unacknowledged message out again.
_LIMIT_S = 60


async def publish(broker: Broker, batches: list[change_pb2.MessageChangedBatch]) -> int:
    subject, seq = changes_subject(TENANT, "delivered"), 0
    for batch in batches:
        ack = await broker.publish(
            subject, batch.SerializeToString(), msg_id=batch.batch_id, stream=CHANGES_STREAM
        )
        seq = ack.seq
    return seq


async def report_when(
    call: Caller, is_it: Callable[[pb.GetCampaignReportResponse], bool]
) -> pb.GetCampaignReportResponse:
    request = pb.GetCampaignReportRequest(campaign_id=CAMPAIGN)
    async with asyncio.timeout(_LIMIT_S):
        while True:
            try:
                report = await call(call.analytics.GetCampaignReport, request)
                if is_it(report):
                    return report
            except grpc.aio.AioRpcError as error:
                # Until its first message is folded.
                if error.code() is not grpc.StatusCode.NOT_FOUND:
                    raise
            await asyncio.sleep(0.02)


async def answer_progress(broker: Broker, answer: Callable[[], progress.Progress]) -> None:
    async def reply(message: object) -> None:
        await message.respond(progress.encode(answer()))  # type: ignore[attr-defined]

    await broker.client.subscribe(progress.SUBJECT, queue=progress.QUEUE, cb=reply)


async def test_changes_on_the_stream_become_a_report(
    broker: Broker, broker_settings: RuntimeSettings, database_url: str
) -> None:
    """The whole service: broker in, gRPC out."""
    async with running(broker_settings, database_url) as call:
        await publish(broker, batches_of(fixture_a.changes(), 5))

        report = await report_when(call, lambda it: dict(it.counters) == fixture_a.EXPECTED)

    assert dict(report.counters) == fixture_a.EXPECTED


async def test_two_replicas_share_the_work_and_give_the_same_numbers(
    broker: Broker, broker_settings: RuntimeSettings, database_url: str
) -> None:
    """Scaling is adding replicas, nothing else."""
    async with (
        running(broker_settings, database_url) as one,
        running(broker_settings, database_url) as two,
    ):
        await publish(broker, batches_of(fixture_a.changes(), 1))

        reports = [
            await report_when(call, lambda it: dict(it.counters) == fixture_a.EXPECTED)
            for call in (one, two)
        ]

    assert reports[0].counters == reports[1].counters


async def test_a_restart_neither_loses_nor_repeats(
    broker: Broker, broker_settings: RuntimeSettings, database_url: str
) -> None:
    """Whatever was not acknowledged comes again; whatever was folded is skipped."""
    batches = batches_of(fixture_a.changes(), 1)
    async with running(broker_settings, database_url):
        await publish(broker, batches[:12])
    async with running(broker_settings, database_url) as call:
        await publish(broker, batches[12:])
        # The same batches under other ids of the broker: only `applied` can tell.
        for batch in batches:
            payload = batch.SerializeToString()
            subject = changes_subject(TENANT, "delivered")
            msg_id = f"again-{batch.batch_id}"
            await broker.publish(subject, payload, msg_id=msg_id, stream=CHANGES_STREAM)

        await consumed(broker)
        report = await report_when(call, lambda it: True)

    assert dict(report.counters) == fixture_a.EXPECTED


async def consumed(broker: Broker) -> None:
    async with asyncio.timeout(_LIMIT_S):
        while True:
            # It is made a moment after the service has opened.
            with contextlib.suppress(NotFoundError):
                found = await broker.jetstream.consumer_info(CHANGES_STREAM, "analytics")
                if found.num_pending == 0 and found.num_ack_pending == 0:
                    return
            await asyncio.sleep(0.02)


async def test_poison_on_the_stream_does_not_stop_it(
    broker: Broker, broker_settings: RuntimeSettings, database_url: str
) -> None:
    """It is kept with its reason, and what comes behind it is folded."""
    async with running(broker_settings, database_url) as call:
        subject = changes_subject(TENANT, "read")
        await broker.publish(subject, b"\xff\xff", msg_id="poison", stream=CHANGES_STREAM)
        await publish(broker, batches_of(fixture_a.changes(), 50))

        await report_when(call, lambda it: it.counters["targeted"] == 12)
        await consumed(broker)

    kept = await broker.jetstream.get_msg(SET_ASIDE_STREAM, 1)
    assert kept.data == b"\xff\xff"
    assert kept.headers is not None
    assert kept.headers[set_aside.REASON] == "NOT_A_BATCH"


async def test_a_report_says_until_when_it_is_complete(
    broker: Broker, broker_settings: RuntimeSettings, database_url: str
) -> None:
    """What status promises is promised on only once its changes are in the cells."""
    told = [progress.Progress(complete_until_us=T0 - 1, changes_seq=0)]
    await answer_progress(broker, lambda: told[-1])
    async with running(broker_settings, database_url) as call:
        seq = await publish(broker, batches_of(fixture_a.changes(), 1))
        told.append(progress.Progress(complete_until_us=T0, changes_seq=seq))

        complete = await report_when(call, lambda it: it.complete_until_time.ToMicroseconds() == T0)

    assert dict(complete.counters) == fixture_a.EXPECTED


async def test_without_status_nothing_is_promised(
    broker: Broker, broker_settings: RuntimeSettings, database_url: str
) -> None:
    """Reports go on while status is down; they only stop promising more."""
    async with running(broker_settings, database_url) as call:
        await publish(broker, batches_of(fixture_a.changes(), 50))

        report = await report_when(call, lambda it: it.counters["targeted"] == 12)

    assert not report.HasField("complete_until_time")
