import asyncio

from libs.embedded.errors import EmbeddedError
from libs.embedded.supervisor import Supervisor


class _Part:
    """A process that ends when the test says so."""

    name = "status"

    def __init__(self, failures: int = 0) -> None:
        self.pid = 1
        self.failures = failures
        self.ended = asyncio.Event()
        self.started_again = asyncio.Event()

    async def start(self) -> None:
        if self.failures:
            self.failures -= 1
            raise EmbeddedError("Port 1 is taken.", cure="Free it.")
        self.pid += 1
        self.ended.clear()
        self.started_again.set()

    async def wait(self) -> int:
        await self.ended.wait()
        return -9

    async def stop(self) -> None:
        self.ended.set()


async def test_what_ends_unasked_is_started_again() -> None:
    """A crash costs seconds, not a night, and is told."""
    said: list[str] = []
    supervisor, part = Supervisor(said.append), _Part()
    supervisor.watch(part)

    part.ended.set()
    await asyncio.wait_for(part.started_again.wait(), 5)
    await asyncio.sleep(0)

    assert part.pid == 2
    assert said == [
        "status ended (SIGKILL); it is started again",
        "status runs again (pid 2)",
    ]
    await supervisor.release()


async def test_a_failing_start_is_tried_again() -> None:
    """What kept it from starting may pass."""
    said: list[str] = []
    supervisor, part = Supervisor(said.append), _Part(failures=2)
    supervisor.watch(part)

    part.ended.set()
    await asyncio.wait_for(part.started_again.wait(), 5)

    assert said.count("status does not start: Port 1 is taken. Free it.") == 2
    await supervisor.release()


async def test_what_ends_after_release_stays_ended() -> None:
    """A stop is no crash."""
    said: list[str] = []
    supervisor, part = Supervisor(said.append), _Part()
    supervisor.watch(part)
    await supervisor.release()

    await part.stop()
    await asyncio.sleep(0.2)

    assert part.pid == 1
    assert said == []
