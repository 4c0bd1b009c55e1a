"""Settings of analytics: its ports, its batches, what it forgets."""

import os
import socket
from hashlib import blake2b

from pydantic import Field

from libs.runtime.settings import RuntimeSettings

SHARDS = 8


class AnalyticsSettings(RuntimeSettings):
    """What analytics needs beyond what every service needs."""

    analytics_grpc_host: str = Field(
        "0.0.0.0",  # noqa: S104 the gateway is another machine
        description="Address that the gRPC server binds.",
    )
    analytics_grpc_port: int = Field(
        50063, ge=0, le=65535, description="Port of the gRPC server; 0: any free one."
    )
    analytics_probe_host: str = Field(
        "0.0.0.0",  # noqa: S104 probes come from outside the container
        description="Address that health and metrics bind.",
    )
    analytics_probe_port: int = Field(
        9102, ge=0, le=65535, description="Port of health and metrics; 0: any free one."
    )
    analytics_workers: int = Field(
        2,
        ge=1,
        le=SHARDS,
        description="Folds at once: while PostgreSQL writes one, the next is summed up.",
    )
    analytics_shard: int = Field(
        -1,
        ge=-1,
        le=SHARDS - 1,
        description="Shard of the cells that the first worker writes, the others the next ones; "
        "-1: from host and process. Replicas with the same shard wait for one another on busy "
        "campaigns; the numbers are the same.",
    )
    analytics_batch_messages_max: int = Field(
        256, ge=1, le=1_000, description="Broker messages folded in one transaction."
    )
    analytics_batch_bytes_max: int = Field(
        8 * 1024**2,
        ge=1024,
        le=64 * 1024**2,
        description="Bytes folded in one transaction; bounds memory and how long rows are locked.",
    )
    analytics_progress_interval_s: float = Field(
        0.2, gt=0, le=60, description="Seconds between two looks at how far the flow has come."
    )
    analytics_status_target: str = Field(
        "dns:///127.0.0.1:50062",
        description="gRPC address of status, whose messages numbers are recounted from.",
    )
    analytics_rebuild_page_messages: int = Field(
        2_000, ge=1, le=10_000, description="Messages counted in one transaction of a rebuild."
    )
    analytics_rebuild_patience_s: float = Field(
        600.0,
        gt=0,
        le=86_400,
        description="Seconds that a rebuild waits for changes under way before it compares; more "
        "than the lag under load.",
    )
    analytics_postponed_interval_s: float = Field(
        0.5,
        gt=0,
        le=60,
        description="Seconds between two tries at sums whose rows somebody else had locked.",
    )
    analytics_postponed_sums_max: int = Field(
        100, ge=1, le=10_000, description="Such sums that are tried in one transaction."
    )
    analytics_applied_retention_h: int = Field(
        192,
        ge=2,
        le=100_000,
        description="Hours that a batch is remembered as folded; more than "
        "BLUETICK_CHANGES_RETENTION_H, or a replay would count twice.",
    )
    analytics_ledger_retention_days: int = Field(
        400,
        ge=1,
        le=36_500,
        description="Days that the ledger tells why numbers moved, by minute; the numbers stay.",
    )
    analytics_mending_interval_s: float = Field(
        5.0,
        gt=0,
        le=3_600,
        description="Seconds between two looks whether a database was restored to an older state; "
        "numbers are then counted anew.",
    )
    analytics_cleaning_interval_s: float = Field(
        60.0, gt=0, le=86_400, description="Seconds between two cleanings of what is forgotten."
    )
    analytics_cleaning_rows_max: int = Field(
        10_000, ge=1, le=1_000_000, description="Rows deleted in one statement; bounds its locks."
    )

    def shard_of(self, worker: int) -> int:
        """Return the shard that a worker of this process writes."""
        first = self.analytics_shard
        if first < 0:
            name = f"{socket.gethostname()}:{os.getpid()}".encode()
            first = blake2b(name, digest_size=1).digest()[0]
        return (first + worker) % SHARDS

    @property
    def applied_retention_h(self) -> int:
        """Hours that batches are remembered: always a day longer than the stream keeps them."""
        return max(self.analytics_applied_retention_h, self.changes_retention_h + 24)
