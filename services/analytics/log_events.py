"""Every event that analytics logs: level, moment, fields. Never an address or a secret."""

from typing import Literal

LogEvent = Literal[
    # info. Consumers run and the gRPC server listens. Fields: grpc_port, workers, shard.
    "analytics.opened",
    # warning. How far the flow has come could not be learned; reports say the older time.
    # Once when it begins. Fields: error.
    "progress.unknown",
    # info. How far the flow has come is known again.
    "progress.known",
    # error. More, or fewer, broker messages are known to be missing in the numbers. Fields: gaps.
    "gaps.changed",
    # warning. Sums that wait for locked rows could not be looked at; tried again. Fields: error.
    "postponed.kept",
    # warning. A database had lost work, and the numbers of a tenant were counted anew. Fields:
    # tenant_id.
    "numbers.mended",
    # info. Numbers that are to be counted anew could not be yet; tried again. Fields: error.
    "mending.postponed",
    # info. Marks of old batches were deleted. Fields: rows.
    "applied.forgotten",
    # warning. Old marks could not be deleted; tried again at the next turn. Fields: error.
    "applied.kept",
]
