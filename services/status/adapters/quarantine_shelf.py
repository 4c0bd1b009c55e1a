"""The quarantine as a replay needs it, and the way to ingest."""

from collections.abc import Sequence

import msgspec
from bluetick.v1.event_pb2 import Quarantined
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError

from libs.runtime import replay
from libs.runtime.broker import Broker, BrokerUnavailable
from libs.runtime.database import Database
from services.status.adapters import quarantine_sql, tables
from services.status.adapters.kept_store import storable

_NAMES = [column.name for column in tables.quarantine.columns]


class QuarantineShelfRows:
    """``replay_quarantine.QuarantineShelf`` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def oldest(self, tenant_id: str, limit: int) -> list[bytes]:
        """Read keys, oldest first."""
        async with self._database.transaction() as connection:
            rows = await connection.fetch(quarantine_sql.OLDEST_QUARANTINE, tenant_id, limit)
        return [row[0] for row in rows]

    async def read(self, tenant_id: str, keys: Sequence[bytes]) -> list[Quarantined]:
        """Read whole entries."""
        async with self._database.transaction() as connection:
            rows = await connection.fetch(quarantine_sql.READ_QUARANTINE, tenant_id, list(keys))
        return [Quarantined(**dict(zip(_NAMES, row, strict=True))) for row in rows]

    async def count(self, tenant_id: str, keys: Sequence[bytes] | None) -> int:
        """Count entries."""
        wanted = None if keys is None else list(keys)
        async with self._database.transaction() as connection:
            found: int = await connection.fetchval(
                quarantine_sql.COUNT_QUARANTINE, tenant_id, wanted
            )
        return found

    async def close(self, tenant_id: str, key: bytes) -> None:
        """Delete the entry and remember until which receipt."""
        async with self._database.transaction() as connection:
            await connection.execute(quarantine_sql.CLOSE_QUARANTINE, tenant_id, key)

    async def explain(self, tenant_id: str, key: bytes, reason: str, detail: str) -> None:
        """Overwrite the reason."""
        async with self._database.transaction() as connection:
            await connection.execute(
                quarantine_sql.EXPLAIN_QUARANTINE,
                tenant_id,
                key,
                storable(reason),
                storable(detail),
            )


class IngestRereader:
    """``replay_quarantine.Rereader`` over the broker."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def reread(self, kept: Quarantined, timeout_s: float) -> replay.Reread | None:
        """Ask one of ingest's replicas."""
        try:
            answer = await self._broker.client.request(
                replay.SUBJECT, kept.SerializeToString(), timeout=timeout_s
            )
            return replay.decode(answer.data)
        except NoRespondersError as error:
            raise BrokerUnavailable("no ingest is there") from error
        except (TimeoutError, msgspec.MsgspecError):
            return None
        except (NatsError, OSError) as error:
            raise BrokerUnavailable(type(error).__name__) from error
