"""Real services of one process each on loopback, and a real gateway in front of them."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from libs.runtime.api_keys import hash_of
from libs.runtime.lifecycle import Scope
from services.gateway.settings import GatewaySettings
from services.gateway.wiring import build
from tests.gateway.stand_ins import Backend

KEYS = {
    "admin-key-of-demo": ("demo", "ADMIN"),
    "sender-key-of-demo": ("demo", "SENDER"),
    "reader-key-of-demo": ("demo", "READER"),
    "reader-key-of-other": ("other", "READER"),
}
TOKEN = "a-token-between-services"


@pytest.fixture(scope="session")
def api_keys_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A keys file with one key per role, and one of another tenant."""
    path = tmp_path_factory.mktemp("keys") / "api_keys.json"
    entries = [
        {"sha256": hash_of(key), "tenant": tenant, "role": role}
        for key, (tenant, role) in KEYS.items()
    ]
    path.write_text(json.dumps({"keys": entries}))
    return path


@pytest.fixture
async def backend() -> AsyncIterator[Backend]:
    """The three services behind the gateway, each its own server."""
    started = await Backend.start()
    yield started
    await started.stop()


@pytest.fixture
def settings(backend: Backend, api_keys_file: Path) -> GatewaySettings:
    """Settings of a gateway on free ports."""
    return GatewaySettings(
        internal_token=TOKEN,
        api_keys_file=str(api_keys_file),
        gateway_grpc_host="127.0.0.1",
        gateway_web_host="127.0.0.1",
        gateway_grpc_port=0,
        gateway_web_port=0,
        gateway_probe_port=0,
        gateway_ingest_target=backend.ingest.target,
        gateway_status_target=backend.status.target,
        gateway_analytics_target=backend.analytics.target,
        gateway_upstream_check_s=0.2,
        gateway_unready_s=0,
        gateway_drain_s=3,
    )


@pytest.fixture
async def gateway(settings: GatewaySettings) -> AsyncIterator[str]:
    """Address of a running gateway."""
    scope = Scope()
    port = await build(scope, settings)
    yield f"127.0.0.1:{port}"
    await scope.close()


@pytest.fixture
async def channel(gateway: str) -> AsyncIterator[grpc.aio.Channel]:
    """A connection to the gateway."""
    async with grpc.aio.insecure_channel(gateway) as opened:
        yield opened
