"""Every event that status logs: level, moment, fields. Never a body, an address or a secret."""

from typing import Literal

LogEvent = Literal[
    # info. Consumers run and the gRPC server listens. Fields: grpc_port, lanes.
    "status.opened",
    # warning. Changes are committed, the broker does not take them; the sweeper will publish
    # them. Fields: batches, error.
    "changes.publish_failed",
    # error. PostgreSQL refuses the content of an event; it is in quarantine. Fields: error.
    "event.refused_by_store",
    # warning. Change batches that a crash or an outage left behind are published. Fields: batches.
    "outbox.swept",
    # error. A change batch that the broker can never take lies aside; the mark of completeness
    # waits for it. Fields: outbox_id, payload_bytes.
    "outbox.set_aside",
    # warning. The sweeper could not work; it tries again at its next turn. Fields: error.
    "outbox.sweep_failed",
    # info. Messages were removed that no sender had recorded in time. Fields: messages.
    "messages.forgotten",
    # warning. Such messages could not be removed; tried again later. Fields: error.
    "messages.forgetting_failed",
    # info. No report came of messages in time; they count as undelivered. Fields: messages.
    "reports.missed",
    # warning. That could not be told of some; tried again later. Fields: error.
    "reports.missing_untold",
    # warning. What the health of callbacks needs no longer could not be deleted; tried again later.
    # Fields: error.
    "reports.forgetting_failed",
    # warning. The question how far the flow has come could not be answered; whoever asked keeps
    # the older answer. Fields: error.
    "progress.unanswered",
    # info. The stream of changes cannot be read; it is tried again. Fields: error.
    "changes.unreadable",
    # error. A message on CHANGES is none of ours; who watches is not told of it. Fields: seq,
    # payload_bytes.
    "changes.undecodable",
    # warning. Analytics does not say which messages are behind a number. Fields: code, error.
    "index.unavailable",
    # info. The consumer of another team was made. Fields: listener, tenant.
    "listener.made",
    # warning. It could not be made or looked at; tried again. Fields: listener, error.
    "listener.unmade",
    # warning. The stream had forgotten changes before an endpoint took them. Fields: tenant,
    # endpoint.
    "webhook.missed",
    # warning. An endpoint answered 410 and is disabled. Fields: tenant, endpoint.
    "webhook.gone",
    # error. No key of BLUETICK_ACCOUNT_KEYS opens an endpoint's secret. Fields: tenant, endpoint.
    "webhook.sealed",
    # info. Broker or database are away; sending begins again. Fields: tenant, endpoint, error.
    "webhook.interrupted",
    # error. A fault of ours; sending begins again. Fields: tenant, endpoint, why.
    "webhook.failed",
    # warning. Nobody knows which endpoints are this replica's; tried again. Fields: error.
    "webhooks.unleased",
    # warning. Old dead letters could not be deleted; tried again later. Fields: error.
    "webhooks.forgetting_failed",
]
