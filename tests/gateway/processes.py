"""A gateway in a process of its own."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import grpc

from libs.runtime.settings import PREFIX
from libs.testkit.tied import tied
from services.gateway.settings import GatewaySettings
from tests.gateway.ports import free_port


@dataclass
class GatewayProcess:
    """A running gateway, and a connection to it."""

    process: asyncio.subprocess.Process
    address: str
    web: str
    channel: grpc.aio.Channel
    log: bytes = b""

    async def end(self) -> int:
        """Wait for its end; return its exit code."""
        _, self.log = await asyncio.wait_for(self.process.communicate(), 30)
        assert self.process.returncode is not None
        return self.process.returncode


@contextlib.asynccontextmanager
async def running_gateway(
    settings: GatewaySettings, api_keys_file: Path
) -> AsyncIterator[GatewayProcess]:
    """Run a gateway of ``settings`` on free ports until the block ends."""
    ports = {name: free_port() for name in ("grpc", "web", "probe")}
    process = await asyncio.create_subprocess_exec(
        *tied(sys.executable, "-m", "services.gateway"),
        env=environment_of(settings, api_keys_file, ports),
        stderr=asyncio.subprocess.PIPE,
    )
    address = f"127.0.0.1:{ports['grpc']}"
    try:
        async with grpc.aio.insecure_channel(address) as channel:
            await asyncio.wait_for(channel.channel_ready(), 20)
            yield GatewayProcess(process, address, f"http://127.0.0.1:{ports['web']}", channel)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def environment_of(
    settings: GatewaySettings, api_keys_file: Path, ports: dict[str, int]
) -> dict[str, str]:
    """Return the variables that give a process these settings."""
    told = {name: str(getattr(settings, name)) for name in settings.model_fields_set}
    told |= {f"gateway_{name}_port": str(port) for name, port in ports.items()}
    told["api_keys_file"] = str(api_keys_file)
    variables = {PREFIX + name.upper(): value for name, value in told.items()}
    return {"PATH": os.environ["PATH"], **variables}
