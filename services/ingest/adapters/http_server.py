"""The door's server: uvicorn with a protocol of our own."""

from typing import Any

import uvicorn

from services.ingest.adapters.door_protocol import DoorProtocol
from services.ingest.adapters.short_way import ShortWay


def door_config(
    app: Any,
    *,
    host: str,
    port: int,
    connections_max: int,
    request_timeout_s: float,
    drain_s: int,
    short_way: ShortWay | None = None,
) -> uvicorn.Config:
    """Return the set-up of the door's server; without ``short_way`` all takes the long one."""
    protocol = type(
        "BoundDoorProtocol",
        (DoorProtocol,),
        {"request_timeout_s": request_timeout_s, "short_way": short_way},
    )
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        limit_concurrency=connections_max,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=drain_s,
    )
