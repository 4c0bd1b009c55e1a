import asyncio
import json
import os
import signal
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import nats
import nats.errors
import pytest
from nats.aio.client import Client
from nats.js.api import StreamConfig

from libs.embedded.errors import EmbeddedError
from libs.embedded.nats_server import NatsServer
from libs.embedded.ports import is_free
from libs.embedded.supervisor import Supervisor
from tests.embedded.small_disk import fill, mounted


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    server = NatsServer(tmp_path / "nats")
    await server.start()
    yield server
    await server.stop()


def _monitored(server: NatsServer, path: str) -> dict[str, Any]:
    with urllib.request.urlopen(server.monitor_url + path, timeout=5) as answer:
        content: dict[str, Any] = json.load(answer)
    return content


async def test_an_acknowledgement_means_on_disk(server: NatsServer, tmp_path: Path) -> None:
    """Services refuse a broker that syncs later."""
    jetstream = await asyncio.to_thread(_monitored, server, "/jsz")

    assert jetstream["config"]["sync_always"] is True
    assert Path(jetstream["config"]["store_dir"]).is_relative_to(tmp_path)


async def test_it_listens_on_loopback_only(server: NatsServer) -> None:
    """A broker for this machine is none for the network."""
    variables = await asyncio.to_thread(_monitored, server, "/varz")

    assert variables["host"] == "127.0.0.1"
    assert variables["http_host"] == "127.0.0.1"
    assert variables["max_payload"] == 8 * 1024 * 1024


async def test_nobody_gets_in_without_the_password(server: NatsServer, tmp_path: Path) -> None:
    """Loopback is shared by every user of the machine."""
    with pytest.raises(nats.errors.Error):
        await nats.connect(f"nats://127.0.0.1:{server.port}", allow_reconnect=False)

    for name in ("nats.conf", "connection.json"):
        assert (tmp_path / "nats" / name).stat().st_mode & 0o777 == 0o600


async def test_acknowledged_messages_survive_a_kill(server: NatsServer) -> None:
    """200 was answered for them."""
    url = server.url
    client = await nats.connect(url)
    await client.jetstream().add_stream(StreamConfig(name="KEPT", subjects=["kept"]))
    await client.jetstream().publish("kept", b"a")
    await client.close()
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    await server.wait()

    await server.start()

    assert server.url == url
    client = await nats.connect(url)
    assert (await client.jetstream().stream_info("KEPT")).state.messages == 1
    await client.close()


async def test_two_servers_never_share_a_folder(server: NatsServer, tmp_path: Path) -> None:
    """NATS itself does not notice, and both would write the same streams."""
    with pytest.raises(EmbeddedError, match="in use by another"):
        await NatsServer(tmp_path / "nats").start()


async def test_stop_frees_its_ports(server: NatsServer) -> None:
    """A stopped machine leaves nothing behind."""
    await server.stop()

    assert is_free(server.port)


async def test_a_broker_whose_disk_was_full_is_started_again_when_there_is_room(
    tmp_path: Path,
) -> None:
    """It stays frozen by itself: what it refused once, it refuses for ever."""
    with mounted(tmp_path / "disk", size_mib=40) as disk:
        server = NatsServer(disk / "nats", log=tmp_path / "nats.log")
        await server.start()
        said: list[str] = []
        supervisor = Supervisor(said.append)
        supervisor.watch(server)
        supervisor.thaw(server)
        client = await nats.connect(server.url, max_reconnect_attempts=-1)
        await client.jetstream().add_stream(StreamConfig(name="KEPT", subjects=["kept"]))
        kept = 1
        await _published(client)

        ballast = fill(disk)
        while await _published(client):
            kept += 1
        assert said == []  # a new start would not help
        ballast.unlink()
        while not await _published(client):  # until the time-out of the test
            await asyncio.sleep(0.1)

        assert said[0] == "nats stopped writing when its disk was full; there is room again"
        info = await client.jetstream().stream_info("KEPT")
        assert info.state.messages > kept  # some may be stored whose answer came too late
        await client.close()
        await supervisor.release()
        await server.stop()


async def _published(client: Client) -> bool:
    try:
        answer = await client.request("kept", bytes(100_000), timeout=0.5)
    except (nats.errors.Error, TimeoutError):
        return False
    return "error" not in json.loads(answer.data)
