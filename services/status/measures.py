"""Every metric of this service, with its meaning."""

from libs.runtime import metrics

EVENTS_APPLIED = metrics.counter("status_events_applied", "Events applied, repeats included")
CHANGES_STORED = metrics.counter("status_changes_stored", "Moves of messages")
NOTICES_KEPT = metrics.counter("status_notices_kept", "Events about no message, repeats included")
QUARANTINED = metrics.counter("status_quarantined", "Callbacks or parts set aside", ("reason",))
TRANSACTION_SECONDS = metrics.histogram(
    "status_transaction_duration_seconds", "From decoded batch to commit"
)
OUTBOX_SWEPT = metrics.counter(
    "status_outbox_swept", "Change batches that a crash left and the sweeper published"
)
MESSAGES_REATTRIBUTED = metrics.counter(
    "status_messages_reattributed", "Moves of messages by acts told without a message"
)
OUTBOX_ENTRIES = metrics.gauge("status_outbox_entries", "Change batches not yet published")
OUTBOX_AGE_SECONDS = metrics.gauge(
    "status_outbox_age_seconds", "Age of the oldest change batch that is not yet published"
)
OUTBOX_ASIDE = metrics.gauge(
    "status_outbox_aside_entries", "Change batches that the broker can never take as they stand"
)
REPORTS_MISSED = metrics.counter(
    "status_reports_missed", "Messages told as undelivered since no report came in time"
)
MESSAGES_FORGOTTEN = metrics.counter(
    "status_messages_forgotten", "Messages removed that no sender had recorded in time"
)
WATCHES = metrics.gauge("status_watches", "Watches of changes that are open")
CHANGES_WATCHED = metrics.counter(
    "status_changes_watched", "Changes sent to those who watch, each as often as it was sent"
)
WEBHOOK_ENDPOINTS = metrics.gauge(
    "status_webhook_endpoints", "Webhook endpoints that this replica sends to"
)
WEBHOOKS_POSTED = metrics.counter(
    "status_webhooks_posted", "Requests to webhook endpoints, each attempt", ("outcome",)
)
WEBHOOKS_DEAD = metrics.counter(
    "status_webhooks_dead", "Changes that a webhook endpoint did not take for a day"
)
