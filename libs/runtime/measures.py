"""Every metric of what all services stand on: name, unit, meaning, and when to look.

docs/operations.md says which of them to alert on.
"""

from typing import Final

from libs.runtime import metrics

# -- readiness -------------------------------------------------------------------------------------

READY: Final = metrics.gauge("ready", "1 while the service can work; /readyz says what is missing")

# -- consumers -------------------------------------------------------------------------------------

CONSUMER_LAG: Final = metrics.gauge(
    "consumer_lag_messages", "Broker messages that nobody has handled yet", ("consumer",)
)
CONSUMER_IN_HAND: Final = metrics.gauge(
    "consumer_unacknowledged_messages",
    "Broker messages given to some replica and not acknowledged",
    ("consumer",),
)
CONSUMER_STOPPED: Final = metrics.gauge(
    "consumer_stopped", "1 while a fault of ours stops this replica's consumer", ("consumer",)
)
CONSUMER_FAILURES: Final = metrics.counter(
    "consumer_failures_total", "Batches that could not be handled, by verdict",
    ("consumer", "verdict"),
)  # fmt: skip
CONSUMER_MADE: Final = metrics.counter(
    "consumer_made_total", "Times that the durable consumer was made, or made again", ("consumer",)
)
WENT_BACK: Final = metrics.counter(
    "consumer_went_back_total",
    "Times that a consumer began again from the database's checkpoint: restored, or restarted",
    ("consumer", "why"),
)
SET_ASIDE: Final = metrics.counter(
    "set_aside_total", "Broker messages kept for the operator in SET_ASIDE", ("consumer",)
)
HANDLE_SECONDS: Final = metrics.histogram(
    "consumer_handle_duration_seconds", "Time to handle one batch, failures included",
    ("consumer",),
)  # fmt: skip
BEHIND_SECONDS: Final = metrics.histogram(
    "consumer_behind_seconds",
    "From the broker's storing of a batch's oldest message to its acknowledgement here",
    ("consumer",),
    (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 15, 60, 300, 1800),
)

# -- streams ---------------------------------------------------------------------------------------

STREAM_FILL: Final = metrics.gauge(
    "stream_fill_ratio", "Bytes in the stream of the bytes that it may hold, 0 to 1", ("stream",)
)
STREAM_BYTES: Final = metrics.gauge("stream_bytes", "Bytes in the stream", ("stream",))
STREAM_MADE: Final = metrics.counter(
    "stream_made_total", "Times that the stream was made, or made again", ("stream",)
)

# -- database --------------------------------------------------------------------------------------

POOL_IN_USE: Final = metrics.gauge(
    "database_pool_in_use_connections", "Connections of the pool at work", ("pool",)
)
POOL_SIZE: Final = metrics.gauge(
    "database_pool_connections", "Connections that the pool may have", ("pool",)
)
DATABASE_SECONDS: Final = metrics.histogram(
    "database_ping_duration_seconds", "Time in which PostgreSQL answers SELECT 1"
)
