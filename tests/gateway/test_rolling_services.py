"""A service behind the gateway is replaced under load, and no caller notices."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from bluetick.v1 import ingest_service_pb2 as pb
from bluetick.v1 import ingest_service_pb2_grpc as rpc

from libs.runtime.lifecycle import Scope
from libs.runtime.rpc_server import RpcServer
from services.gateway.settings import GatewaySettings
from tests.gateway.conftest import TOKEN
from tests.gateway.stand_ins import call

_RECORD = "/bluetick.v1.IngestService/RecordMessages"
_CALLERS = 40


class _Replica(rpc.IngestServiceServicer):
    """Takes records, each in 5 ms."""

    def __init__(self) -> None:
        self.scope, self.address, self.taken = Scope(), "", 0

    async def start(self) -> "_Replica":
        """Listen."""
        services = [(rpc.add_IngestServiceServicer_to_server, self, "bluetick.v1.IngestService")]
        server = RpcServer(internal_token=TOKEN, services=services)
        self.address = f"127.0.0.1:{await server.start('127.0.0.1', 0, self.scope)}"
        return self

    async def RecordMessages(self, _request: Any, _context: Any) -> Any:
        """Count a call."""
        self.taken += 1
        await asyncio.sleep(0.005)
        return pb.RecordMessagesResponse()


@pytest.fixture
async def replicas() -> AsyncIterator[list[_Replica]]:
    """Three replicas of ingest."""
    started = [await _Replica().start() for _ in range(3)]
    yield started
    for replica in started:
        await replica.scope.close()


@pytest.fixture
def settings(settings: GatewaySettings, replicas: list[_Replica]) -> GatewaySettings:
    """A gateway before them."""
    addresses = ",".join(replica.address for replica in replicas)
    return settings.model_copy(update={"gateway_ingest_target": f"ipv4:{addresses}"})


async def test_writes_survive_the_end_of_two_of_three_replicas_under_load(
    channel: grpc.aio.Channel, replicas: list[_Replica]
) -> None:
    """Who sends records must not have to guess which of them arrived."""
    outcomes: Counter[str] = Counter()
    stop = asyncio.Event()

    async def ask() -> None:
        while not stop.is_set():
            try:
                await call(channel, _RECORD, timeout_s=20)
                outcomes["OK"] += 1
            except grpc.aio.AioRpcError as error:
                outcomes[f"{error.code().name}: {error.details()}"] += 1

    callers = [asyncio.create_task(ask()) for _ in range(_CALLERS)]
    async with asyncio.timeout(20):
        while not all(replica.taken for replica in replicas):
            await asyncio.sleep(0.01)
    for replica in replicas[:2]:
        await asyncio.sleep(0.3)
        await replica.scope.close()
    await asyncio.sleep(0.3)
    stop.set()
    await asyncio.gather(*callers)

    assert set(outcomes) == {"OK"}
    # What was answered was done, once.
    assert sum(replica.taken for replica in replicas) == outcomes["OK"]
