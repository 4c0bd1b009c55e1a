"""Puts status together: the only file that knows use cases, adapters and settings."""

import gc
import time
from collections.abc import Mapping
from functools import partial

from bluetick.v1 import ingest_service_pb2, message_service_pb2, snapshot_service_pb2
from bluetick.v1.event_pb2 import EventBatch
from bluetick.v1.ingest_service_pb2_grpc import add_IngestServiceServicer_to_server
from bluetick.v1.message_service_pb2_grpc import add_MessageServiceServicer_to_server
from bluetick.v1.snapshot_service_pb2_grpc import add_SnapshotServiceServicer_to_server
from bluetick.v1.webhook_service_pb2_grpc import add_WebhookServiceServicer_to_server

from libs.catalogue.standing import configure
from libs.runtime import logs
from libs.runtime.broker import EVENTS_STREAM, Broker
from libs.runtime.checkpoints import Checkpoints
from libs.runtime.chores import run_chore
from libs.runtime.clock import Clock, SystemClock
from libs.runtime.consumer import PullConsumer
from libs.runtime.database import Database
from libs.runtime.footing import (
    open_broker,
    open_database,
    run_consumer,
    settle,
    start_probe_server,
)
from libs.runtime.lifecycle import Scope
from libs.runtime.listeners import load_listeners
from libs.runtime.rpc_server import RpcServer
from libs.runtime.set_aside_shelf import SetAsideShelf
from libs.runtime.settings import PREFIX
from libs.runtime.sizes import CHANGE_BYTES_MAX
from services.status.adapters.change_feed import ChangeFeed
from services.status.adapters.due_rows import DueRows
from services.status.adapters.export_rows import ExportRows
from services.status.adapters.flow_positions import DURABLE, FlowPositions, serve_progress
from services.status.adapters.health_rows import HealthRows
from services.status.adapters.index_client import AnalyticsIndex
from services.status.adapters.lane_connection import (
    JANITOR_SESSION,
    LANE_SESSION,
    LaneConnection,
)
from services.status.adapters.listener_consumers import ListenerConsumers
from services.status.adapters.outbox_store import OutboxStore
from services.status.adapters.quarantine_shelf import IngestRereader, QuarantineShelfRows
from services.status.adapters.readers import MessageRows, OptOutRows, QuarantineRows
from services.status.adapters.rpc_services import CallbackRpc, MessageRpc, SnapshotRpc
from services.status.adapters.snapshot_rows import SnapshotRows
from services.status.adapters.tables import metadata
from services.status.adapters.transactions import StatusTransactions
from services.status.adapters.webhook_rpc import WebhookRpc
from services.status.adapters.webhook_site import open_webhooks
from services.status.apply_events import ApplyEvents
from services.status.domain.attribution import HOUR_US
from services.status.domain.silence import Patience
from services.status.export_messages import ExportMessages
from services.status.forget_old_reports import forget_old_reports
from services.status.forget_unrecorded import keep_forgetting
from services.status.keep_listeners import keep_listeners
from services.status.lanes import Lanes
from services.status.log_events import LogEvent
from services.status.replay_quarantine import ReplayQuarantine
from services.status.rules import Rules
from services.status.settings import StatusSettings
from services.status.sweep_outbox import SweepOutbox
from services.status.tell_silence import TellSilence

_log = logs.get_logger()
# What a batch is made of dies with it, without cycles: looking for some costs a tenth of the time.
_GC_THRESHOLDS = (100_000, 50, 100)


async def build(scope: Scope, settings: StatusSettings, clock: Clock | None = None) -> int:
    """Start everything; return the port of the gRPC server.

    What is built last closes first: the consumers finish their batches while broker and database
    are still open.

    Raises:
        AccountsProblem: the listeners file cannot be used.
        CatalogueProblem: a table of the operator's cannot be used.
        BrokerUnsuitable, SizesUnfit, DatabaseMisconfigured: see libs/runtime/footing.py.
        OSError, RuntimeError: a port is taken.
    """
    clock = clock or SystemClock()
    configure(settings)
    await start_probe_server(scope, settings.status_probe_host, settings.status_probe_port)
    sizes = {"all": settings.database_pool_size}
    database = (await open_database(scope, settings, "status", metadata, sizes))["all"]
    broker = await open_broker(scope, settings, "status", needs=_largest_messages(settings))
    outbox = OutboxStore(
        database,
        broker,
        _connection(scope, settings, "janitor", JANITOR_SESSION),
        entries_max=settings.status_outbox_entries_max,
    )
    rules = _rules(settings)
    apply_events = ApplyEvents(StatusTransactions(database), outbox, clock, rules)
    callbacks = _callback_rpc(settings, database, broker, clock, apply_events)
    snapshots = SnapshotRpc(SnapshotRows(database), clock)
    flow = FlowPositions(broker, database)
    feed = await _open_feed(scope, settings, flow, clock)
    index = _index(scope, settings)
    messages = MessageRpc(  # type: ignore[abstract]
        MessageRows(database),
        index,
        ExportMessages(index, index, ExportRows(database)),
        feed,
        OptOutRows(database),
        heartbeat_s=settings.status_watch_heartbeat_s,
    )
    webhooks = open_webhooks(scope, settings, database, feed, clock)
    port = await _serve_rpc(scope, settings, messages, callbacks, snapshots, webhooks)
    _sweep(scope, settings, outbox, clock)
    lanes = await _open_lanes(scope, settings, apply_events, outbox)
    checkpoints = Checkpoints(
        database, broker, schema="status", stream=EVENTS_STREAM, consumer=DURABLE
    )
    run_chore(scope, "checkpoints", partial(checkpoints.keep, scope.stopping))
    _consume(scope, settings, broker, lanes, checkpoints)
    _do_chores(scope, database, clock)
    silence = TellSilence(DueRows(database), apply_events, clock, rules.patience)
    run_chore(scope, "silence", partial(silence.keep_telling, scope.stopping))
    listeners = load_listeners(settings.listeners_file)
    keeping = partial(keep_listeners, ListenerConsumers(broker), listeners, scope.stopping)
    run_chore(scope, "listeners", keeping)
    await serve_progress(broker, flow, clock)
    settle(scope)
    gc.set_threshold(*_GC_THRESHOLDS)
    opened: LogEvent = "status.opened"
    _log.info(opened, grpc_port=port, lanes=settings.status_lanes)
    return port


def _index(scope: Scope, settings: StatusSettings) -> AnalyticsIndex:
    index = AnalyticsIndex(settings.status_analytics_target, settings.internal_token)
    scope.defer(index.close)
    return index


def _rules(settings: StatusSettings) -> Rules:
    return Rules(
        reply_window_us=settings.status_reply_window_h * HOUR_US,
        change_batch_bytes_max=settings.status_change_batch_bytes_max,
        unrecorded_days=settings.status_unrecorded_days,
        patience=Patience(
            days=settings.status_report_missing_days,
            sms_days=settings.status_report_missing_sms_days,
            email_days=settings.status_report_missing_email_days,
        ),
    )


def _callback_rpc(
    settings: StatusSettings,
    database: Database,
    broker: Broker,
    clock: Clock,
    apply_events: ApplyEvents,
) -> CallbackRpc:
    async def apply(batch: EventBatch) -> None:
        await apply_events.apply([batch], clock.now_us())

    replays = ReplayQuarantine(
        QuarantineShelfRows(database), IngestRereader(broker), apply, time.monotonic
    )
    return CallbackRpc(  # type: ignore[abstract]
        QuarantineRows(database),
        replays,
        HealthRows(database),
        SetAsideShelf(broker),
        clock,
        replay_limit_s=settings.status_replay_limit_s,
        silent_after_h=settings.status_silent_after_h,
    )


async def _open_feed(
    scope: Scope, settings: StatusSettings, flow: FlowPositions, clock: Clock
) -> ChangeFeed:
    # A connection of its own: a week of changes that somebody reads again delays no event.
    broker = await Broker.connect(settings, "status-watch")
    scope.defer(broker.close)
    feed = ChangeFeed(broker, flow, clock, kept_bytes_max=settings.status_watch_kept_bytes_max)
    scope.defer(feed.close)
    run_chore(scope, "watch_positions", partial(feed.keep_looking, scope.stopping))
    return feed


async def _serve_rpc(
    scope: Scope,
    settings: StatusSettings,
    message_rpc: MessageRpc,
    callback_rpc: CallbackRpc,
    snapshot_rpc: SnapshotRpc,
    webhook_rpc: WebhookRpc,
) -> int:
    messages = message_service_pb2.DESCRIPTOR.services_by_name["MessageService"].full_name
    ingest = ingest_service_pb2.DESCRIPTOR.services_by_name["IngestService"].full_name
    snapshot = snapshot_service_pb2.DESCRIPTOR.services_by_name["SnapshotService"].full_name
    server = RpcServer(
        internal_token=settings.internal_token,
        services=[
            (add_MessageServiceServicer_to_server, message_rpc, messages),
            (add_IngestServiceServicer_to_server, callback_rpc, ingest),
            (add_SnapshotServiceServicer_to_server, snapshot_rpc, snapshot),
            (add_WebhookServiceServicer_to_server, webhook_rpc, "bluetick.v1.WebhookService"),
        ],
    )
    return await server.start(settings.status_grpc_host, settings.status_grpc_port, scope)


def _sweep(scope: Scope, settings: StatusSettings, outbox: OutboxStore, clock: Clock) -> None:
    sweeper = SweepOutbox(
        outbox,
        clock,
        age_s=settings.status_sweep_age_s,
        batches_max=settings.status_sweep_batches_max,
    )
    sweeping = partial(sweeper.run, settings.status_sweep_interval_s, scope.stopping)
    run_chore(scope, "outbox_sweeper", sweeping)


def _do_chores(scope: Scope, database: Database, clock: Clock) -> None:
    reports = partial(forget_old_reports, HealthRows(database), clock, scope.stopping)
    run_chore(scope, "old_reports", reports)
    unrecorded = partial(keep_forgetting, DueRows(database), clock, scope.stopping)
    run_chore(scope, "unrecorded", unrecorded)


def _connection(
    scope: Scope, settings: StatusSettings, name: str, session: Mapping[str, str]
) -> LaneConnection:
    connection = LaneConnection(
        settings.database_url,
        session,
        name=f"bluetick-status-{name}",
        statement_timeout_s=settings.database_statement_timeout_s,
        lock_timeout_s=settings.status_lane_lock_timeout_s,
    )
    scope.defer(connection.close)
    return connection


async def _open_lanes(
    scope: Scope, settings: StatusSettings, apply_events: ApplyEvents, outbox: OutboxStore
) -> Lanes:
    connections = [
        _connection(scope, settings, f"lane-{number}", LANE_SESSION)
        for number in range(settings.status_lanes)
    ]
    lanes = Lanes(
        apply_events,
        outbox,
        connections,
        events_max=settings.status_batch_events_max,
        linger_s=settings.status_lane_linger_ms / 1_000,
    )
    lanes.start()
    scope.defer(outbox.settle)
    scope.defer(lanes.close)
    return lanes


def _consume(
    scope: Scope,
    settings: StatusSettings,
    broker: Broker,
    lanes: Lanes,
    checkpoints: Checkpoints,
) -> None:
    consumer = PullConsumer(
        broker,
        stream=EVENTS_STREAM,
        durable=DURABLE,
        handle=lanes.handle,
        concurrent_max=settings.status_batches_max,
        batch_messages_max=settings.status_batch_messages_max,
        batch_bytes_max=settings.status_batch_bytes_max,
        start=checkpoints.start,
    )
    run_consumer(scope, "event_consumer", consumer)


def _largest_messages(settings: StatusSettings) -> list[tuple[str, int]]:
    # Cut after the change that passes the limit.
    name = f"{PREFIX}STATUS_CHANGE_BATCH_BYTES_MAX"
    return [(name, settings.status_change_batch_bytes_max + CHANGE_BYTES_MAX)]
