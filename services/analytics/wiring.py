"""Puts analytics together: the only file that knows use cases, adapters and settings."""

import gc
from functools import partial
from types import ModuleType

import msgspec
from bluetick.v1 import (
    analytics_service_pb2,
    campaign_service_pb2,
    message_index_service_pb2,
    rebuild_service_pb2,
)
from bluetick.v1.analytics_service_pb2_grpc import add_AnalyticsServiceServicer_to_server
from bluetick.v1.campaign_service_pb2_grpc import add_CampaignServiceServicer_to_server
from bluetick.v1.message_index_service_pb2_grpc import add_MessageIndexServiceServicer_to_server
from bluetick.v1.rebuild_service_pb2_grpc import add_RebuildServiceServicer_to_server

from libs.catalogue.standing import configure
from libs.runtime import logs
from libs.runtime.broker import CHANGES_STREAM, Broker
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
from libs.runtime.rpc_server import RpcServer
from services.analytics.adapters.analytics_rpc import AnalyticsRpc
from services.analytics.adapters.campaign_rpc import CampaignRpc
from services.analytics.adapters.campaign_store import PostgresCampaigns
from services.analytics.adapters.cell_store import CellStore
from services.analytics.adapters.change_consumer import ChangeConsumer, LostAndFound
from services.analytics.adapters.chores import (
    keep_following,
    keep_forgetting,
    keep_mending,
    keep_settling,
)
from services.analytics.adapters.dictionary import Dictionary
from services.analytics.adapters.flow_probe import DURABLE, BrokerFlowProbe
from services.analytics.adapters.folded_sequences import FoldedSequences, StreamPlace
from services.analytics.adapters.generation_store import Generations
from services.analytics.adapters.list_numbers import MessageNumbers
from services.analytics.adapters.list_rpc import MessageIndexRpc
from services.analytics.adapters.list_store import ListStore
from services.analytics.adapters.old_rows import OldRows
from services.analytics.adapters.rebuild_rpc import RebuildRpc
from services.analytics.adapters.report_store import PostgresReports
from services.analytics.adapters.snapshot_client import StatusSnapshots
from services.analytics.adapters.tables import metadata
from services.analytics.domain.families.registry import FAMILIES
from services.analytics.domain.frames import FrameBook
from services.analytics.domain.moves import Planner
from services.analytics.domain.sequences import StreamState
from services.analytics.domain.watermark import Watermark
from services.analytics.fold_changes import Folding
from services.analytics.follow_progress import follow_progress
from services.analytics.log_events import LogEvent
from services.analytics.mend_restored import mend_restored
from services.analytics.rebuild_cells import Rebuild
from services.analytics.settings import AnalyticsSettings

_log = logs.get_logger()
# Decoded batches are many small objects that die together; with the default thresholds a third of
# a fold's time goes to the collector looking at them.
_GC_THRESHOLDS = (50_000, 50, 100)
# Connections that write campaigns: few, and none of those that reports are read by.
_WRITES_POOL_SIZE = 2


async def build(scope: Scope, settings: AnalyticsSettings, clock: Clock | None = None) -> int:
    """Start everything; return the port of the gRPC server.

    What is built last closes first: the consumers finish their batches while broker and database
    are still open.

    Raises:
        CatalogueProblem: a table of the operator's cannot be used.
        BrokerUnsuitable, SizesUnfit, DatabaseMisconfigured: see libs/runtime/footing.py.
        OSError, RuntimeError: a port is taken.
    """
    clock = clock or SystemClock()
    configure(settings)
    await start_probe_server(scope, settings.analytics_probe_host, settings.analytics_probe_port)
    workers = settings.analytics_workers
    sizes = {
        # A fold holds one connection and may need another to look into the dictionary.
        "folds": 2 * workers + 2,
        "reads": settings.database_pool_size,
        "writes": _WRITES_POOL_SIZE,
    }
    stores = _Stores(**await open_database(scope, settings, "analytics", metadata, sizes))
    broker = await open_broker(scope, settings, "analytics")
    watermark = Watermark()
    place = StreamPlace(await BrokerFlowProbe(broker).made_us())
    flow = _Flow(
        stores,
        Folding(Planner(FAMILIES), FrameBook()),
        broker,
        place,
        clock,
        Dictionary(stores.folds),
        MessageNumbers(stores.folds),
    )
    rebuild = _rebuild(scope, settings, flow, watermark)
    port = await _serve_rpc(scope, settings, flow, watermark, rebuild)
    _consume(scope, settings, flow)
    _do_chores(scope, settings, flow, watermark)
    _mend(scope, settings, flow, watermark, rebuild)
    settle(scope)
    gc.set_threshold(*_GC_THRESHOLDS)
    opened: LogEvent = "analytics.opened"
    shard = settings.shard_of(0)
    _log.info(opened, grpc_port=port, workers=workers, shard=shard)
    return port


class _Stores(msgspec.Struct, frozen=True):
    """Pools, so that neither locks nor folds keep a report waiting for a connection."""

    folds: Database
    reads: Database
    writes: Database


class _Flow(msgspec.Struct, frozen=True):
    """What folds and chores share."""

    stores: _Stores
    folding: Folding
    broker: Broker
    place: StreamPlace
    clock: Clock

    dictionary: Dictionary
    numbers: MessageNumbers

    def store(self, shard: int) -> CellStore:
        """Return a store that writes to a shard."""
        folds = self.stores.folds
        return CellStore(folds, self.dictionary, FAMILIES, shard, self.place, self.numbers)

    def forget(self) -> None:
        """Take nothing for true that was read from another database."""
        self.folding.book.forget()
        self.dictionary.forget()
        self.numbers.forget()


async def _serve_rpc(
    scope: Scope,
    settings: AnalyticsSettings,
    flow: _Flow,
    watermark: Watermark,
    rebuild: Rebuild,
) -> int:
    stores, clock = flow.stores, flow.clock
    reports = PostgresReports(stores.reads)
    campaigns = PostgresCampaigns(stores.writes, stores.reads)
    server = RpcServer(
        internal_token=settings.internal_token,
        services=[
            (
                add_AnalyticsServiceServicer_to_server,
                AnalyticsRpc(reports, watermark, clock),  # type: ignore[abstract]
                _name(analytics_service_pb2, "AnalyticsService"),
            ),
            (
                add_CampaignServiceServicer_to_server,
                CampaignRpc(campaigns, clock),  # type: ignore[abstract]
                _name(campaign_service_pb2, "CampaignService"),
            ),
            (
                add_MessageIndexServiceServicer_to_server,
                MessageIndexRpc(ListStore(stores.reads), watermark, clock),
                _name(message_index_service_pb2, "MessageIndexService"),
            ),
            (
                add_RebuildServiceServicer_to_server,
                RebuildRpc(rebuild),
                _name(rebuild_service_pb2, "RebuildService"),
            ),
        ],
    )
    return await server.start(settings.analytics_grpc_host, settings.analytics_grpc_port, scope)


def _name(module: ModuleType, service: str) -> str:
    return str(module.DESCRIPTOR.services_by_name[service].full_name)


def _rebuild(
    scope: Scope, settings: AnalyticsSettings, flow: _Flow, watermark: Watermark
) -> Rebuild:
    snapshots = StatusSnapshots(
        settings.analytics_status_target,
        settings.internal_token,
        settings.analytics_rebuild_page_messages,
    )
    scope.defer(snapshots.close)
    store = flow.store(settings.shard_of(settings.analytics_workers))
    return Rebuild(
        store=Generations(flow.stores.folds, store, FAMILIES),
        snapshots=snapshots,
        folding=flow.folding,
        watermark=watermark,
        clock=flow.clock,
        patience_s=settings.analytics_rebuild_patience_s,
    )


def _consume(scope: Scope, settings: AnalyticsSettings, flow: _Flow) -> None:
    workers = range(settings.analytics_workers)
    stores = [flow.store(settings.shard_of(worker)) for worker in workers]
    changes = ChangeConsumer(stores, flow.folding, flow.clock)
    probe, sequences = BrokerFlowProbe(flow.broker), FoldedSequences(flow.stores.folds)
    consumer = PullConsumer(
        flow.broker,
        stream=CHANGES_STREAM,
        durable=DURABLE,
        handle=changes.handle,
        concurrent_max=settings.analytics_workers,
        batch_messages_max=settings.analytics_batch_messages_max,
        batch_bytes_max=settings.analytics_batch_bytes_max,
        start=partial(probe.first_unfolded_seq, sequences),
    )
    run_consumer(scope, "change_consumer", consumer)


def _do_chores(
    scope: Scope, settings: AnalyticsSettings, flow: _Flow, watermark: Watermark
) -> None:
    store = flow.store(settings.shard_of(settings.analytics_workers))
    probe, sequences = BrokerFlowProbe(flow.broker), FoldedSequences(flow.stores.folds)
    lost = LostAndFound(store, flow.folding, flow.clock)

    async def look() -> StreamState:
        now_us = flow.clock.now_us()
        return await follow_progress(probe, sequences, lost.fold, watermark, now_us)

    stopping, interval_s = scope.stopping, settings.analytics_progress_interval_s
    following = partial(keep_following, look, flow.place, watermark, interval_s, stopping)
    run_chore(scope, "progress_follower", following)
    settling = partial(
        keep_settling,
        store,
        interval_s=settings.analytics_postponed_interval_s,
        sums_max=settings.analytics_postponed_sums_max,
        stopping=stopping,
    )
    run_chore(scope, "postponed_settler", settling)
    forgetting = partial(
        keep_forgetting,
        OldRows(flow.stores.folds, FAMILIES),
        flow.clock,
        retention_h=settings.applied_retention_h,
        ledger_h=24 * settings.analytics_ledger_retention_days,
        interval_s=settings.analytics_cleaning_interval_s,
        rows_max=settings.analytics_cleaning_rows_max,
        stopping=stopping,
    )
    run_chore(scope, "applied_cleaner", forgetting)


def _mend(
    scope: Scope,
    settings: AnalyticsSettings,
    flow: _Flow,
    watermark: Watermark,
    rebuild: Rebuild,
) -> None:
    """Notice databases that were restored to an older state, and put right what follows."""
    folds, stopping = flow.stores.folds, scope.stopping
    checkpoints = Checkpoints(
        folds,
        flow.broker,
        schema="analytics",
        stream=CHANGES_STREAM,
        consumer=DURABLE,
        forget=flow.forget,
    )
    run_chore(scope, "checkpoints", partial(checkpoints.keep, stopping))
    probe = BrokerFlowProbe(flow.broker)
    tenants = Generations(folds, flow.store(settings.shard_of(0)), FAMILIES)
    mend = partial(mend_restored, probe, tenants, watermark, rebuild)
    mending = partial(keep_mending, mend, settings.analytics_mending_interval_s, stopping)
    run_chore(scope, "mender", mending)
