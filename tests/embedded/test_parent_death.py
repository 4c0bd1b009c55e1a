import asyncio
import json
import os
import sys
from pathlib import Path

from libs.embedded.leftovers import processes_in
from libs.embedded.nats_server import NatsServer
from libs.embedded.postgres_server import PostgresServer

_PROGRAM = Path(__file__).with_name("parentless.py")


async def test_servers_end_with_a_killed_parent_and_start_again(tmp_path: Path) -> None:
    """A test run or a machine that is killed must leave no server behind, nor a locked folder.

    PostgreSQL runs as another user then, which is when the kernel forgets such a wish: hence
    the order in the launcher.
    """
    parent = await asyncio.create_subprocess_exec(
        sys.executable, str(_PROGRAM), str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    pids = json.loads(await asyncio.wait_for(parent.stdout.readline(), 30))

    parent.kill()
    await parent.wait()

    async with asyncio.timeout(10):
        while any(_runs(pid) for pid in pids):
            await asyncio.sleep(0.02)
    for server in (PostgresServer(tmp_path / "postgres"), NatsServer(tmp_path / "nats")):
        await server.start()
        await server.stop()


async def test_a_server_that_outlived_its_parent_is_ended_by_the_next_start(
    tmp_path: Path,
) -> None:
    """Where the kernel could not tie it to its parent, the folder still leads to it.

    The parent is stopped, not killed, and the lock taken from it: the server still runs.
    """
    first = PostgresServer(tmp_path / "postgres")
    await first.start()
    assert first._lock is not None
    first._lock.release()

    second = PostgresServer(tmp_path / "postgres", port=None)
    await second.start()

    cluster = tmp_path / "postgres" / "cluster"
    assert first.pid not in processes_in(cluster, "postgres")
    assert second.pid in processes_in(cluster, "postgres")
    await second.stop()
    await first.stop()


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A container without an init keeps the dead on the list.
    return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
