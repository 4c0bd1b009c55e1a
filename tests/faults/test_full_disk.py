"""The broker's disk is full for a while: callbacks are refused, none is lost."""

import asyncio
import time

import httpx
import pytest

from libs.embedded.data_folder import TemporaryFolder
from libs.embedded.port_plan import free_ports
from libs.testkit.up import running_up
from tests.embedded.small_disk import fill, mounted
from tests.faults.site import MENDED_S
from tests.system.load import Load
from tests.system.outside import Outside

pytestmark = pytest.mark.early

_SMALL = {
    "BLUETICK_EVENTS_BYTES_MAX": str(8 * 1024**2),
    "BLUETICK_CHANGES_BYTES_MAX": str(8 * 1024**2),
    "BLUETICK_SET_ASIDE_BYTES_MAX": str(4 * 1024**2),
}


async def test_a_machine_whose_broker_had_no_room_goes_on_when_there_is_some() -> None:
    """The broker by itself would stay frozen for ever."""
    folder = TemporaryFolder()
    data = folder.path / "data"
    data.mkdir()
    ports = {name: str(port) for name, port in free_ports().items()}
    settings = {**ports, **_SMALL}
    try:
        with mounted(data / "nats", size_mib=64) as disk:
            async with running_up("--data-dir", str(data), **settings) as up:
                outside = Outside(up.said)
                load = Load(outside, "full-disk", pause_s=0.2)
                telling = asyncio.create_task(load.until_stopped(workers=2))
                await asyncio.sleep(1)
                ballast = fill(disk)
                await _until_ready(up.said["ingest"], is_ready=False)
                await asyncio.sleep(2)
                ballast.unlink()
                since = time.monotonic()
                await _until_ready(up.said["ingest"], is_ready=True)
                print(f"full disk: takes callbacks {time.monotonic() - since:.1f} s after")
                await asyncio.sleep(1)
                load.stop()
                await telling
                report = await outside.complete_report(load.campaign_id)
                found = {name: report.counters.get(name) for name in load.counters()}
                assert found == load.counters()
                assert not report.gaps
                await outside.close()
    finally:
        folder.remove()


async def _until_ready(url: str, *, is_ready: bool) -> None:
    async with asyncio.timeout(MENDED_S), httpx.AsyncClient(timeout=5) as client:
        while True:
            try:
                answer = await client.get(f"{url}/readyz")
            except httpx.HTTPError:
                await asyncio.sleep(0.1)
                continue
            if (answer.status_code == 200) is is_ready:
                return
            await asyncio.sleep(0.1)
