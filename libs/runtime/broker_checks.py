"""Is there a broker, and does its acknowledgement mean what we promise others?"""

import asyncio
import json
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from libs.runtime import logs
from libs.runtime.settings import RuntimeSettings

_log = logs.get_logger()


class BrokerUnsuitable(Exception):
    """The broker must not be used as it is set up; the message says what to change."""


async def wait_for_port(url: str) -> None:
    """Return when something listens: the client's own first connect waits 2 s after a refusal."""
    parts = urlsplit(url)
    delay_s = 0.05
    while True:
        try:
            _, writer = await asyncio.open_connection(parts.hostname, parts.port or 4222)
            writer.close()
            return
        except OSError as error:
            _log.warning("broker.unreachable", error=error.strerror or str(error), retry_s=delay_s)
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, 2.0)


def check_durability(settings: RuntimeSettings) -> None:
    """Make sure, by the broker's own word, that its acknowledgement means "on disk".

    Raises:
        BrokerUnsuitable: it syncs later, or its monitoring address does not answer.
    """
    if settings.nats_allow_lazy_sync:
        return
    if not settings.nats_monitor_url:
        _log.warning("broker.durability_unknown", cure="set BLUETICK_NATS_MONITOR_URL")
        return
    address = settings.nats_monitor_url.rstrip("/") + "/jsz"
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:  # noqa: S310 operator's own URL
            config: dict[str, Any] = json.load(answer).get("config", {})
    except (OSError, ValueError) as error:
        raise BrokerUnsuitable(
            f"BLUETICK_NATS_MONITOR_URL: {address} does not answer: {error}"
        ) from error
    if not config.get("sync_always"):
        raise BrokerUnsuitable(
            "The broker acknowledges before it syncs to disk. Set `sync_interval: always` in its "
            "jetstream block, or BLUETICK_NATS_ALLOW_LAZY_SYNC=true to accept the loss."
        )
