"""Every event that ingest logs: level, moment, fields. Never a body, a number or a secret.

A callback that is recorded is counted, not logged: a line each would cost more than the callback.
"""

from typing import Literal

LogEvent = Literal[
    # info. The door and the gRPC server listen. Fields: http_port, grpc_port, accounts.
    "doors.opened",
    # warning. A callback was turned away; at most one line a second and reason, the rest only
    # counted. Fields: provider, account, reason, http_status, suppressed.
    "callback.refused",
    # warning. The broker did not acknowledge; the provider was told to try again. At most one
    # line a second. Fields: provider, account, suppressed.
    "callback.postponed",
    # error. A provider's parser raised; the body is in quarantine. Fields: provider, exception.
    "callback.parser_crashed",
    # error. The door itself failed; answered 503. Fields: exception.
    "door.crashed",
]
