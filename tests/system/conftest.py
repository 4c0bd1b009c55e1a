"""A whole machine, as a user starts it, and clients that speak to it from outside."""

from collections.abc import AsyncIterator

import pytest

from libs.testkit.up import running_up
from tests.system.outside import Outside


@pytest.fixture(scope="session")
async def machine() -> AsyncIterator[dict]:
    """What `bluetick up --ephemeral --json` said, while it runs."""
    # Webhooks come to a server on this machine.
    closed = {"BLUETICK_STATUS_WEBHOOK_IS_CLOSED_NETWORK": "true"}
    async with running_up("--ephemeral", **closed) as up:
        yield up.said
        code, errors = await up.end()
        assert code == 0, errors


@pytest.fixture
async def outside(machine: dict) -> AsyncIterator[Outside]:
    """Clients of the machine: HTTP to the door, gRPC to the gateway."""
    clients = Outside(machine)
    yield clients
    await clients.close()
