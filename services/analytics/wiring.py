"""Puts analytics together: the only file that knows use cases, adapters and settings."""

import gc

from bluetick.v1 import analytics_service_pb2, campaign_service_pb2
from bluetick.v1.analytics_service_pb2_grpc import add_AnalyticsServiceServicer_to_server
from bluetick.v1.campaign_service_pb2_grpc import add_CampaignServiceServicer_to_server

from libs.catalogue.standing import configure
from libs.runtime import logs
from libs.runtime.broker import CHANGES_STREAM, Broker
from libs.runtime.clock import Clock, SystemClock
from libs.runtime.consumer import PullConsumer
from libs.runtime.database import Database
from libs.runtime.lifecycle import Scope
from libs.runtime.probe_http import start_probe_server
from libs.runtime.rpc_server import RpcServer
from services.analytics.adapters.analytics_rpc import AnalyticsRpc
from services.analytics.adapters.campaign_rpc import CampaignRpc
from services.analytics.adapters.campaign_store import PostgresCampaigns
from services.analytics.adapters.cell_store import CellStore
from services.analytics.adapters.change_consumer import ChangeConsumer
from services.analytics.adapters.chores import keep_following, keep_forgetting
from services.analytics.adapters.flow_probe import DURABLE, BrokerFlowProbe
from services.analytics.adapters.report_store import PostgresReports
from services.analytics.domain.watermark import Watermark
from services.analytics.log_events import LogEvent
from services.analytics.settings import AnalyticsSettings

_log = logs.get_logger()
# Decoded batches are many small objects that die together; with the default thresholds a third of
# a fold's time goes to the collector looking at them.
_GC_THRESHOLDS = (50_000, 50, 100)


async def build(scope: Scope, settings: AnalyticsSettings, clock: Clock | None = None) -> int:
    """Start everything; return the port of the gRPC server.

    What is built last closes first: the consumers finish their batches while broker and database
    are still open.

    Raises:
        CatalogueProblem: a table of the operator's cannot be used.
        BrokerUnsuitable: the broker could lose what it acknowledged.
        OSError, RuntimeError: a port is taken.
    """
    clock = clock or SystemClock()
    configure(settings)
    database = await Database.connect(
        settings.database_url,
        # Each worker holds one while it folds; reports must not wait for them.
        pool_size=settings.database_pool_size + settings.analytics_workers,
        statement_timeout_s=settings.database_statement_timeout_s,
        lock_timeout_s=settings.database_lock_timeout_s,
        application="bluetick-analytics",
    )
    scope.defer(database.close)
    broker = await Broker.connect(settings, "analytics")
    scope.defer(broker.close)
    await broker.ensure_streams()
    watermark = Watermark()
    port = await _serve_rpc(scope, settings, database, watermark, clock)
    consumers = _consume(scope, settings, database, broker, clock)
    _do_chores(scope, settings, database, broker, watermark, clock)

    def probe() -> tuple[bool, str]:
        faults = [one.fault for one in consumers if one.fault]
        if not broker.healthy:
            faults.append("the broker does not answer")
        return not faults, "; ".join(faults)

    host = settings.analytics_probe_host
    await start_probe_server(scope, host, settings.analytics_probe_port, probe)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
    scope.ready()
    opened: LogEvent = "analytics.opened"
    shard = settings.shard_of(0)
    _log.info(opened, grpc_port=port, workers=settings.analytics_workers, shard=shard)
    return port


async def _serve_rpc(
    scope: Scope,
    settings: AnalyticsSettings,
    database: Database,
    watermark: Watermark,
    clock: Clock,
) -> int:
    analytics = analytics_service_pb2.DESCRIPTOR.services_by_name["AnalyticsService"].full_name
    campaigns = campaign_service_pb2.DESCRIPTOR.services_by_name["CampaignService"].full_name
    analytics_rpc = AnalyticsRpc(PostgresReports(database), watermark, clock)  # type: ignore[abstract]
    campaign_rpc = CampaignRpc(PostgresCampaigns(database), clock)  # type: ignore[abstract]
    server = RpcServer(
        internal_token=settings.internal_token,
        services=[
            (add_AnalyticsServiceServicer_to_server, analytics_rpc, analytics),
            (add_CampaignServiceServicer_to_server, campaign_rpc, campaigns),
        ],
    )
    return await server.start(settings.analytics_grpc_host, settings.analytics_grpc_port, scope)


def _consume(
    scope: Scope, settings: AnalyticsSettings, database: Database, broker: Broker, clock: Clock
) -> list[PullConsumer]:
    consumers = []
    for worker in range(settings.analytics_workers):
        changes = ChangeConsumer(CellStore(database, settings.shard_of(worker)), clock)
        consumer = PullConsumer(
            broker,
            stream=CHANGES_STREAM,
            durable=DURABLE,
            handle=changes.handle,
            batch_messages_max=settings.analytics_batch_messages_max,
            batch_bytes_max=settings.analytics_batch_bytes_max,
        )
        scope.spawn(consumer.run(), f"change_consumer_{worker}")
        scope.defer(consumer.stop)
        consumers.append(consumer)
    return consumers


def _do_chores(
    scope: Scope,
    settings: AnalyticsSettings,
    database: Database,
    broker: Broker,
    watermark: Watermark,
    clock: Clock,
) -> None:
    interval_s = settings.analytics_progress_interval_s
    following = keep_following(BrokerFlowProbe(broker), watermark, interval_s, scope.stopping)
    scope.spawn(following, "progress_follower")
    forgetting = keep_forgetting(
        CellStore(database, settings.shard_of(0)),
        clock,
        retention_h=settings.applied_retention_h,
        interval_s=settings.analytics_cleaning_interval_s,
        rows_max=settings.analytics_cleaning_rows_max,
        stopping=scope.stopping,
    )
    scope.spawn(forgetting, "applied_cleaner")
