"""Every event that ingest logs: level, moment, fields. Never a body, a number or a secret.

A callback that is recorded is counted, not logged: a line each would cost more than the callback.
"""

from typing import Literal

LogEvent = Literal[
    # info. The door and the gRPC server listen. Fields: http_port, grpc_port, accounts.
    "doors.opened",
    # info. Somebody with a key of role ADMIN changed something. Fields: rpc, tenant_id; of what:
    # provider and account, or key_id.
    "admin.changed",
    # info. Accounts were put, changed or removed by call, and this replica works with them. Fields:
    # accounts.
    "accounts.changed",
    # warning. Stored accounts cannot be read; those that are known are worked with. error, with
    # exception: a fault of ours. Fields: why.
    "accounts.unread",
    # error. A secret of a stored account is sealed with a key that is not here; its callbacks are
    # answered 503. Fields: provider, account.
    "account.sealed",
    # warning. An account of the accounts file stands before a stored one of the same address.
    # Fields: provider, account.
    "account.shadowed",
    # info. Secrets that another key had sealed are sealed with the first one now. Fields: secrets.
    "secrets.resealed",
    # warning. A callback was turned away; at most one line a second and reason, the rest only
    # counted. Fields: provider, account, reason, http_status, suppressed.
    "callback.refused",
    # warning. The broker did not acknowledge; the provider was told to try again. At most one
    # line a second. Fields: provider, account, suppressed.
    "callback.postponed",
    # error. A provider's parser raised; the body is in quarantine. Fields: provider, exception.
    "callback.parser_crashed",
    # warning. A tracked link could not be followed now; the person was told to try again. At most
    # one line a second and reason. Fields: why, suppressed.
    "link.postponed",
    # error. The door itself failed; answered 503. Fields: exception.
    "door.crashed",
    # error. One event or quarantined body is larger than the broker takes, which the check at the
    # start rules out; its sender is told to try again. Fields: limit_bytes.
    "item.too_large",
    # error. A sender could not be told how its callback ended; a bug of ours. Fields: exception.
    "answer.crashed",
    # warning. A quarantined callback was to be read again, and nobody was told how that went; it
    # stays in quarantine. error, with exception: a bug of ours. Fields: error.
    "replay.unanswered",
    # warning. The broker does not take the doors' reports; they are sent with the next ones.
    # Fields: reports.
    "reports.postponed",
    # info. A subscription to SNS was confirmed, as its account allows. Fields: host.
    "subscription.confirmed",
    # warning. A certificate or a confirmation could not be had from SNS. Fields: host, why.
    "outside.failed",
]
