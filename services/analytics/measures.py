"""Every metric of this service, with its meaning."""

from libs.runtime import metrics

CHANGES_FOLDED = metrics.counter("analytics_changes_folded", "Changes folded for the first time")
FOLD_SECONDS = metrics.histogram(
    "analytics_fold_duration_seconds", "From pulled messages to commit"
)
COMPLETE_UNTIL = metrics.gauge(
    "analytics_complete_until_seconds", "Time until which reports are complete, since 1970"
)
BATCHES_LOST = metrics.gauge(
    "analytics_batches_lost", "Broker messages known to be missing in the numbers"
)
VISIBLE_SECONDS = metrics.histogram(
    "analytics_visible_delay_seconds",
    "End to end: from the broker's storing of a callback to its change of the numbers",
    (),
    (0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800),
)
