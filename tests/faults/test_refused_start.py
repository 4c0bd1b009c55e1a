"""A service that can never start says why at once, and does not wait for a cure."""

import asyncio
import os
import sys
from urllib.parse import urlsplit, urlunsplit

import pytest

from libs.runtime.settings import RuntimeSettings

pytestmark = pytest.mark.early

_PATIENCE_S = 30


async def _ended(service: str, **environment: str) -> tuple[int, str]:
    """Exit code and log of a service that is expected to end by itself."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("BLUETICK_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        f"services.{service}",
        stderr=asyncio.subprocess.PIPE,
        env={
            **clean,
            **environment,
            "BLUETICK_INTERNAL_TOKEN": "a-token-for-tests",
            f"BLUETICK_{service.upper()}_GRPC_PORT": "0",
            f"BLUETICK_{service.upper()}_PROBE_PORT": "0",
        },
    )
    try:
        _, log = await asyncio.wait_for(process.communicate(), _PATIENCE_S)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, log.decode()


@pytest.mark.parametrize("service", ["status", "analytics"])
async def test_a_wrong_password_ends_the_start_with_its_name(
    service: str, broker_settings: RuntimeSettings, database_url: str
) -> None:
    """It was told after a minute as "no PostgreSQL answers"."""
    parts = urlsplit(database_url)
    wrong = f"{parts.username}:wrong@{parts.hostname}:{parts.port}"

    code, log = await _ended(
        service,
        BLUETICK_NATS_URL=broker_settings.nats_url,
        BLUETICK_NATS_MONITOR_URL=broker_settings.nats_monitor_url,
        BLUETICK_DATABASE_URL=urlunsplit(parts._replace(netloc=wrong)),
    )

    assert code == 1
    assert "refuses user or password" in log
    assert "wrong@" not in log


async def test_a_stream_that_the_broker_refuses_ends_the_start_with_its_reason(
    broker_settings: RuntimeSettings, database_url: str
) -> None:
    """It was tried for ever as a race that was lost."""
    code, log = await _ended(
        "status",
        BLUETICK_NATS_URL=broker_settings.nats_url,
        BLUETICK_NATS_MONITOR_URL=broker_settings.nats_monitor_url,
        BLUETICK_DATABASE_URL=database_url,
        BLUETICK_NATS_REPLICAS="3",
    )

    assert code == 1
    assert "refuses stream EVENTS" in log
    assert "BLUETICK_NATS_REPLICAS" in log
