"""What services stand on, opened the same way by all of them; each use is one line of a wiring.

    probes       first, so that a service that waits for something says so
    database     pools and watch; waits for a server that is starting, ends on one that refuses us
    broker       connection, streams and their watch; the chain of sizes is checked
    consumer     runs until the service ends, then finishes what it has in hand
    settle       last: ready

Each registers what it needs with the service's readiness and how it is closed with its scope.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import MetaData

from libs.runtime.broker import Broker
from libs.runtime.consumer import PullConsumer
from libs.runtime.database import Database
from libs.runtime.database_watch import DatabaseWatch
from libs.runtime.lifecycle import Scope, settle
from libs.runtime.migrate import revisions
from libs.runtime.probe_http import start_probe_server
from libs.runtime.settings import RuntimeSettings
from libs.runtime.sizes import check_sizes

__all__ = ["open_broker", "open_database", "run_consumer", "settle", "start_probe_server"]


async def open_database(
    scope: Scope,
    settings: RuntimeSettings,
    service: str,
    tables: MetaData,
    sizes: Mapping[str, int],
) -> dict[str, Database]:
    """Return the pools of a service that cannot work without its database, by name.

    Args:
        scope: closes them.
        settings: address and limits.
        service: the service's name, which is also its schema's.
        tables: what its code needs in that schema.
        sizes: connections of each pool; reads must not wait for what consumers hold.

    Raises:
        DatabaseMisconfigured: wrong password or name.
    """
    pools = {
        name: Database.lazy(
            settings.database_url,
            pool_size=size,
            statement_timeout_s=settings.database_statement_timeout_s,
            lock_timeout_s=settings.database_lock_timeout_s,
            application=f"bluetick-{service}",
        )
        for name, size in sizes.items()
    }
    for pool in pools.values():
        scope.defer(pool.close)
    head, known = revisions(service)
    watch = DatabaseWatch(
        settings.database_url,
        pools,
        application=f"bluetick-{service}",
        tables=tables,
        schema=service,
        head=head,
        known=known,
    )
    scope.readiness.need("database", lambda: watch.fault)
    scope.spawn(watch.run(scope.stopping), "database_watch")
    for pool in pools.values():
        await pool.wait_until_answered()
    return pools


async def open_broker(
    scope: Scope,
    settings: RuntimeSettings,
    service: str,
    *,
    needs: Sequence[tuple[str, int]] = (),
) -> Broker:
    """Return the connection, with all streams there as the settings want them.

    Args:
        scope: closes it.
        settings: address and limits.
        service: the service's name.
        needs: (setting, bytes of the largest broker message that it leads to).

    Raises:
        BrokerUnsuitable: it could lose what it acknowledged, or refuses a stream.
        SizesUnfit: it takes no message as large as a setting allows.
    """
    broker = await Broker.connect(settings, service)
    scope.defer(broker.close)
    scope.readiness.need("broker", lambda: "" if broker.healthy else "it does not answer")
    check_sizes(broker.payload_bytes_max, needs)
    await broker.ensure_streams()
    scope.readiness.need("streams", lambda: broker.streams.fault)
    scope.spawn(broker.streams.watch(scope.stopping), "stream_watch")
    return broker


def run_consumer(scope: Scope, name: str, consumer: PullConsumer) -> None:
    """Run a consumer until the scope closes."""
    scope.readiness.need(name, lambda: consumer.fault)
    scope.spawn(consumer.run(), name)
    scope.defer(consumer.stop)
