"""Every line that the gateway logs, with its level, moment and fields."""

from typing import Literal

LogEvent = Literal[
    # info. The door listens. Fields: grpc (host:port).
    "door.opened",
    # debug. One per call, written last; metrics count them at every level. Fields: rpc, code,
    # request_id, duration_ms.
    "call.answered",
    # error. A bug in the gateway itself; the caller got INTERNAL without its text. Fields: rpc,
    # request_id, and the traceback.
    "call.broke",
    # warning. A service behind the gateway stopped answering its health check. Fields: upstream,
    # state, why (its own words).
    "upstream.lost",
    # error. A service did not take the gateway's token: both must have the same
    # BLUETICK_INTERNAL_TOKEN. Fields: upstream.
    "upstream.refused",
    # warning. Keys that were issued by call cannot be read; those that are known stay good. Fields:
    # why.
    "keys.unread",
    # info. It answers (again). Fields: upstream.
    "upstream.found",
]
