"""The door's server: uvicorn with a protocol of our own."""

import math
from typing import Any

import uvicorn

from services.ingest.adapters.connection_book import ConnectionBook, ConnectionLimits
from services.ingest.adapters.door_protocol import DoorProtocol
from services.ingest.adapters.short_way import ShortWay
from services.ingest.domain.refusals import Refusals


def door_config(
    app: Any,
    *,
    host: str,
    port: int,
    limits: ConnectionLimits,
    refusals: Refusals,
    drain_s: int,
    short_way: ShortWay | None = None,
) -> uvicorn.Config:
    """Return the set-up of the door's server; without ``short_way`` all takes the long one."""
    protocol = type(
        "BoundDoorProtocol",
        (DoorProtocol,),
        {"limits": limits, "book": ConnectionBook(limits, refusals), "short_way": short_way},
    )
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        # Not a line for each request that is none: strangers would write the log.
        log_level="error",
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        # Ours know which ones yield; what is worked on at once is the desk's matter.
        limit_concurrency=None,
        # For the long way uvicorn has a timer of its own, in whole seconds.
        timeout_keep_alive=math.ceil(limits.idle_timeout_s),
        timeout_graceful_shutdown=drain_s,
    )
