"""What docs/calling.md and the examples show runs as it stands there, against a whole machine."""

import asyncio
import os
import re
import shlex
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from bluetick.v1.common_pb2 import MESSAGE_STATE_READ
from google.protobuf import descriptor_pool

from libs.testkit.tied import tied
from libs.testkit.up import running_up
from services.gateway.domain.routes import service_descriptors
from tests.system.outside import Outside, envelope, status

TOP = Path(__file__).parents[2]
PAGE = (TOP / "docs" / "calling.md").read_text(encoding="utf-8")
EXAMPLES = TOP / "examples"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
BUF_LINES = [line for line in PAGE.splitlines() if line.startswith("buf curl")]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def machine() -> AsyncIterator[dict]:
    async with running_up("--ephemeral") as up:
        yield up.said
        await up.end()


def environment(machine: dict, **more: str) -> dict[str, str]:
    """What the page's reader has exported."""
    key = machine["api_keys"]["sender"]
    return {
        **os.environ,
        "BLUETICK_GATEWAY": machine["gateway"],
        "BLUETICK_API_KEY": key,
        **more,
    }


async def started(machine: dict, *command: str, **more: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *tied(*command),
        cwd=TOP,
        env=environment(machine, **more),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


def typed(line: str, machine: dict) -> str:
    """What a shell makes of a line."""
    for name, value in environment(machine).items():
        if name.startswith("BLUETICK_"):
            line = line.replace(f"${name}", value)
    return line.replace("buf ", shlex.quote(str(Path(sys.executable).with_name("buf"))) + " ", 1)


async def ran(machine: dict, *command: str) -> str:
    """Run to the end; return what it printed."""
    process = await started(machine, *command)
    output, errors = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, errors.decode()
    return output.decode()


async def line_of(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    return (await asyncio.wait_for(process.stdout.readline(), 30)).decode()


async def killed(process: asyncio.subprocess.Process) -> str:
    process.send_signal(signal.SIGKILL)
    assert process.stderr is not None
    errors = (await process.stderr.read()).decode()
    await process.wait()
    return errors


async def read(machine: dict, name: str) -> None:
    """A message is read: no report is expected after that."""
    outside = Outside(machine)
    await outside.callback_until_taken(envelope(statuses=[status(name, "read", 1_790_000_000)]))
    await outside.close()


async def test_the_page_works_from_its_first_block_to_its_last(
    machine: dict, tmp_path: Path
) -> None:
    """In the order in which somebody reads it; each block is a program of its own."""
    first, failing, paging, following = BLOCKS
    assert await ran(machine, sys.executable, "-c", first) == "MESSAGE_STATE_ACCEPTED\n"

    failed = await ran(machine, sys.executable, "-c", failing)
    assert failed.startswith("INVALID_ARGUMENT INVALID_ARGUMENT\n{'page_size'")

    assert "order-news" in await ran(machine, sys.executable, "-c", paging)

    program = await started(
        machine, sys.executable, "-c", following, PLACE=str(tmp_path / "place"),
        PYTHONUNBUFFERED="1",
    )  # fmt: skip
    await until_there(tmp_path / "place")
    await read(machine, "wamid.PAGE")
    assert (await line_of(program)).split() == [str(MESSAGE_STATE_READ)]
    assert not await killed(program)

    assert BUF_LINES
    for line in BUF_LINES:
        assert "order-" in await ran(machine, *shlex.split(typed(line, machine)))


async def test_the_follower_in_python_goes_on_where_it_was_killed(
    machine: dict, tmp_path: Path
) -> None:
    """What happened while it was away is told first."""
    place = tmp_path / "place"
    command = (sys.executable, str(EXAMPLES / "python" / "follow.py"), str(place))
    program = await started(machine, *command)
    await until_there(place)
    await read(machine, "wamid.FIRST")
    assert "MESSAGE_STATE_READ" in await line_of(program)
    await killed(program)
    await read(machine, "wamid.SECOND")

    again = await started(machine, *command)

    assert "MESSAGE_STATE_READ" in await line_of(again)
    await killed(again)


async def test_the_listener_of_the_page_on_events_hears_its_tenant(machine: dict) -> None:
    """Its address is all that it needs."""
    page = (TOP / "docs" / "events.md").read_text(encoding="utf-8")
    block = re.findall(r"```python\n(.*?)```", page, re.DOTALL)[-1]
    program = await started(
        machine, sys.executable, "-u", "-c", block, BLUETICK_LISTENER=machine["nats_listener"]
    )
    outside = Outside(machine)
    failed = status("wamid.LOST", "failed", 1_790_000_000, errors=[{"code": 131026}])

    await outside.callback_until_taken(envelope(statuses=[failed]))

    async with asyncio.timeout(30):
        while "131026" not in await line_of(program):
            continue
    await outside.close()
    assert not await killed(program)


async def until_there(path: Path) -> None:
    async with asyncio.timeout(30):
        while not path.exists() or not path.read_text():
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("name", ["go/main.go", "typescript/follow.ts", "python/follow.py"])
def test_every_example_names_only_what_the_protos_have(name: str) -> None:
    """Not every machine compiles all of them; a field that was renamed is noticed all the same."""
    text = (EXAMPLES / name).read_text()
    watch = next(
        method
        for service in service_descriptors()
        for method in service.methods
        if method.name == "WatchChanges"
    )
    pool = descriptor_pool.Default()
    reached = {
        field.name for message in (watch.input_type, watch.output_type) for field in message.fields
    }
    for full_name in ("ChangeFilter", "MessageChanged", "MessageImage"):
        message = pool.FindMessageTypeByName(f"bluetick.v1.{full_name}")
        reached |= {field.name for field in message.fields}
    camel = {"".join(part.capitalize() for part in field.split("_")) for field in reached}

    used = set(re.findall(r"(?:change|answer|image|new_image)\.(?!changes\b)([a-z_]+)\b", text))
    used |= set(re.findall(r"\b(is_[a-z_]+)\b", text))
    found = re.findall(r"\.Get([A-Z]\w+)\(\)|\b(Is\w+Only)\b", text)
    getters = {name for pair in found for name in pair if name}

    assert "WatchChanges" in text or "client.changes" in text
    assert used - {"toString"} <= reached, used - reached
    assert getters <= camel, getters - camel
    assert used or getters
