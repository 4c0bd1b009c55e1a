"""Programs that follow changes, over gRPC and over the broker, while everything is killed."""

import asyncio
import os
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path

import nats
import pytest
from bluetick.v1.change_pb2 import MessageChangedBatch

from libs.testkit.tied import tied
from libs.testkit.up import running_up
from tests.faults.follow import line
from tests.faults.killing import find
from tests.system.load import Load
from tests.system.outside import Outside

pytestmark = pytest.mark.early

_PROGRAM = Path(__file__).with_name("follow.py")
_PAUSE_S = 1.5
_FOLLOWED_S = 60.0


@dataclass
class Follower:
    """One program, in as many lives as it is given."""

    folder: Path
    words: tuple[str, ...]
    process: asyncio.subprocess.Process | None = None
    lives: int = 0
    output: list[bytes] = field(default_factory=list)

    async def live(self) -> None:
        self.folder.mkdir(exist_ok=True)
        self.lives += 1
        how, *rest = self.words
        self.process = await asyncio.create_subprocess_exec(
            *tied(sys.executable, str(_PROGRAM), how, str(self.folder), *rest),
            stderr=asyncio.subprocess.PIPE,
        )

    async def die(self) -> None:
        assert self.process is not None
        assert self.process.stderr is not None
        if self.process.returncode is None:
            self.process.kill()
        self.output.append(await self.process.stderr.read())
        await self.process.wait()

    def given(self) -> list[list[str]]:
        """What each life wrote down."""
        return [file.read_text().splitlines(keepends=True) for file in self.folder.glob("life-*")]


async def test_followers_miss_nothing_while_broker_status_and_themselves_are_killed(
    tmp_path: Path,
) -> None:
    """What other teams do about a change is done for every change, and once in each life."""
    async with running_up("--ephemeral") as up:
        machine = up.said
        followers = [
            Follower(
                tmp_path / "grpc",
                ("grpc", machine["gateway"], machine["api_keys"]["reader"]),
            ),
            Follower(tmp_path / "nats", ("nats", machine["nats_listener"])),
        ]
        for follower in followers:
            await follower.live()
        outside = Outside(machine)
        load = Load(outside, "followed", pause_s=0.1)

        async def kill() -> None:
            for _ in range(2):
                for name in ("nats", "status"):
                    await asyncio.sleep(_PAUSE_S)
                    os.kill(machine["pids"][name], signal.SIGKILL)
                for follower in followers:
                    await asyncio.sleep(_PAUSE_S / 2)
                    await follower.die()
                    await follower.live()
                machine["pids"] |= await _pids(up.process.pid)

        await asyncio.gather(load.run_for(6 * _PAUSE_S, workers=2), kill())
        await outside.complete_report("followed", limit_s=90)
        await outside.close()
        truth = await _published(machine["nats"])
        await _until_followed(followers, truth)
        for follower in followers:
            await follower.die()
            assert all(not text for text in follower.output), follower.output
        code, errors = await up.end()
    assert code == 0, errors

    assert len({one.split()[0] for one in truth}) == load.message_count > 200
    for follower in followers:
        lives = follower.given()
        assert follower.lives == 3
        assert {one for life in lives for one in life} == truth
        for life in lives:
            assert len(life) == len(set(life))


async def _until_followed(followers: list[Follower], truth: set[str]) -> None:
    end = asyncio.get_running_loop().time() + _FOLLOWED_S
    while asyncio.get_running_loop().time() < end:
        if all(truth == {one for life in each.given() for one in life} for each in followers):
            return
        await asyncio.sleep(0.2)


async def _published(url: str) -> set[str]:
    """Return all that is on CHANGES, read by the operator."""
    client = await nats.connect(url)
    stream = client.jetstream()
    found: set[str] = set()
    last = (await stream.stream_info("CHANGES")).state.last_seq
    consumer = await stream.pull_subscribe("bluetick.changes.v1.>", stream="CHANGES")
    seen = 0
    while seen < last:
        for message in await consumer.fetch(100, timeout=10):
            seen = message.metadata.sequence.stream
            found |= set(map(line, MessageChangedBatch.FromString(message.data).changes))
    await client.close()
    return found


async def _pids(up_pid: int) -> dict[str, int]:
    """Return where broker and status run after they were started again."""
    found: dict[str, int] = {}
    async with asyncio.timeout(30):
        while len(found) < 2:
            await asyncio.sleep(0.1)
            for name in ("nats", "status"):
                if (pid := find(up_pid, name)) is not None:
                    found[name] = pid
    return found
