"""Every event that status logs: level, moment, fields. Never a body, an address or a secret."""

from typing import Literal

LogEvent = Literal[
    # info. Consumers run and the gRPC server listens. Fields: grpc_port, probe_port, workers.
    "status.opened",
    # warning. Changes are committed, the broker does not take them; the sweeper will publish
    # them. Fields: batches, error.
    "changes.publish_failed",
    # error. PostgreSQL refuses the content of an event; it is in quarantine. Fields: error.
    "event.refused_by_store",
    # warning. Change batches that a crash or an outage left behind are published. Fields: batches.
    "outbox.swept",
    # warning. The sweeper could not work; it tries again at its next turn. Fields: error.
    "outbox.sweep_failed",
    # warning. What the health of callbacks needs no longer could not be deleted; tried again later.
    # Fields: error.
    "reports.forgetting_failed",
    # warning. The question how far the flow has come could not be answered; whoever asked keeps
    # the older answer. Fields: error.
    "progress.unanswered",
]
