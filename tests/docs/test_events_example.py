"""The consumer in docs/events.md runs as it stands there."""

import asyncio
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import nats
import pytest
from bluetick.v1.change_pb2 import MessageChanged, MessageChangedBatch, MessageImage

PAGE = Path(__file__).parents[2] / "docs" / "events.md"
QUIET_S = 0.2


async def test_the_example_goes_on_after_a_time_in_which_nothing_happens(
    nats_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever copies it has a consumer by night, too; only its minute is made shorter here."""
    found = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    code, count = re.subn(r"timeout=60\b", f"timeout={QUIET_S}", found.group(1))
    assert count == 1
    example: dict[str, Any] = {}
    exec(code, example)
    opened = []
    connect = nats.connect

    async def remembered(url: str) -> nats.NATS:
        opened.append(await connect(url))
        return opened[-1]

    monkeypatch.setattr(nats, "connect", remembered)
    client = await nats.connect(nats_url)
    stream = client.jetstream()
    await stream.add_stream(name="CHANGES", subjects=["bluetick.changes.v1.>"])

    running = asyncio.create_task(example["main"](nats_url, "acme"))
    await asyncio.sleep(3 * QUIET_S)
    change = MessageChanged(message_ref="ref-7", new_image=MessageImage(failure_code="131026"))
    batch = MessageChangedBatch(changes=[change]).SerializeToString()
    await stream.publish("bluetick.changes.v1.acme.undelivered", batch)
    told = ""
    async with asyncio.timeout(20):
        while not told and not running.done():
            await asyncio.sleep(0.02)
            told = capsys.readouterr().out
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    # Whoever is left open tries for minutes to find a broker that has ended.
    for one in opened:
        await one.close()

    assert told.split() == ["ref-7", "131026"]
