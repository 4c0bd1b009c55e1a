import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from libs.embedded import postgres_runner
from libs.embedded.errors import EmbeddedError
from libs.embedded.identity import unprivileged
from libs.embedded.postgres_server import PostgresServer


@pytest.fixture(scope="module")
async def module_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PostgresServer]:
    server = PostgresServer(tmp_path_factory.mktemp("module") / "postgres")
    yield server
    await server.stop()


@pytest.fixture
async def server(module_server: PostgresServer) -> PostgresServer:
    """A running server; making its files takes a second, so tests share them."""
    if module_server.pid is None:
        await module_server.start()
    return module_server


@pytest.fixture
def folder(server: PostgresServer) -> Path:
    return server._folder


async def _ask(url: str, question: str) -> object:
    connection = await asyncpg.connect(url, ssl=False)
    try:
        return await connection.fetchval(question)
    finally:
        await connection.close()


async def test_it_is_durable_and_private(server: PostgresServer) -> None:
    """An answered OK is on disk, and nobody else on the machine or the network gets in."""
    shown = {
        name: await _ask(server.url, f"SHOW {name}")
        for name in (
            "fsync",
            "synchronous_commit",
            "full_page_writes",
            "listen_addresses",
            "unix_socket_directories",
            "server_encoding",
            "TimeZone",
            "password_encryption",
        )
    }

    assert shown == {
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "server_encoding": "UTF8",
        "TimeZone": "UTC",
        "password_encryption": "scram-sha-256",
    }


async def test_a_wrong_password_is_refused(server: PostgresServer) -> None:
    """Loopback is shared by every user of the machine."""
    with pytest.raises(asyncpg.InvalidPasswordError):
        await _ask(f"postgresql://bluetick:guess@127.0.0.1:{server.port}/bluetick", "SELECT 1")


async def test_the_password_is_for_the_owners_eyes(folder: Path) -> None:
    """The file with the password is closed to others, and no other copy is left."""
    assert (folder / "connection.json").stat().st_mode & 0o777 == 0o600
    assert not (folder / "initial_password").exists()
    assert (folder / "cluster").stat().st_mode & 0o777 == 0o700


async def test_data_and_address_survive_a_kill(server: PostgresServer) -> None:
    """Clients reconnect to where they were and find what was committed."""
    url = server.url
    await _ask(url, "CREATE TABLE kept AS SELECT 42 AS answer")
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    await server.wait()

    await server.start()

    assert server.url == url
    assert await _ask(url, "SELECT answer FROM kept") == 42


async def test_data_and_address_survive_a_stop(tmp_path: Path) -> None:
    """A folder is a machine: starting it again tomorrow gives the same one."""
    first = PostgresServer(tmp_path / "postgres")
    await first.start()
    url = first.url
    await _ask(url, "CREATE TABLE kept AS SELECT 42 AS answer")
    await first.stop()

    second = PostgresServer(tmp_path / "postgres")
    await second.start()

    assert second.url == url
    assert await _ask(second.url, "SELECT answer FROM kept") == 42
    await second.stop()


async def test_a_stale_pid_file_does_not_stop_a_start(tmp_path: Path) -> None:
    """After a crash the pid in it may belong to a living stranger; PostgreSQL would give up."""
    first = PostgresServer(tmp_path / "postgres")
    await first.start()
    pid_file = tmp_path / "postgres" / "cluster" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    await first.stop()
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")

    second = PostgresServer(tmp_path / "postgres")
    await second.start()

    assert await _ask(second.url, "SELECT 1") == 1
    await second.stop()


async def test_an_interrupted_first_start_is_done_again(tmp_path: Path) -> None:
    """initdb may be killed half-way; what it left is no database yet."""
    cluster = tmp_path / "postgres" / "cluster"
    cluster.mkdir(parents=True, mode=0o700)
    (cluster / "base").mkdir()
    (cluster / "base" / "half").write_text("x")

    server = PostgresServer(tmp_path / "postgres")
    await server.start()

    assert await _ask(server.url, "SELECT 1") == 1
    await server.stop()


async def test_two_servers_never_share_a_folder(server: PostgresServer, folder: Path) -> None:
    """Two would destroy each other's data."""
    with pytest.raises(EmbeddedError, match="in use by another"):
        await PostgresServer(folder).start()

    assert await _ask(server.url, "SELECT 1") == 1


async def test_data_of_another_version_is_left_alone(tmp_path: Path) -> None:
    """An upgrade is a decision; guessing would cost the data."""
    cluster = tmp_path / "postgres" / "cluster"
    cluster.mkdir(parents=True, mode=0o700)
    (cluster / "PG_VERSION").write_text("15\n")

    with pytest.raises(EmbeddedError, match="PostgreSQL 15"):
        await PostgresServer(tmp_path / "postgres").start()

    assert [path.name for path in cluster.iterdir()] == ["PG_VERSION"]


async def test_a_taken_port_is_told(server: PostgresServer, tmp_path: Path) -> None:
    """A port that was asked for is not silently exchanged for another."""
    with pytest.raises(EmbeddedError, match="does not start"):
        await PostgresServer(tmp_path / "other", port=server.port).start()


async def test_open_clients_do_not_delay_the_end(server: PostgresServer) -> None:
    """Services hold pools; a stop must not wait for them."""
    connection = await asyncpg.connect(server.url, ssl=False)
    busy = asyncio.create_task(connection.execute("SELECT pg_sleep(60)"))
    await asyncio.sleep(0.05)

    await asyncio.wait_for(server.stop(), 5)

    with pytest.raises((asyncpg.PostgresError, ConnectionError)):
        await busy
    connection.terminate()


async def test_every_way_to_be_unprivileged_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which one is taken depends on the user and the container: none may be a dead end.

    The kernel may deny user namespaces; then the refusal says so, and nothing else.
    """
    tried = []
    for number, identity in enumerate(unprivileged()):
        monkeypatch.setattr(postgres_runner, "unprivileged", lambda only=identity: iter([only]))
        server = PostgresServer(tmp_path / str(number))
        try:
            await server.start()
        except EmbeddedError as error:
            assert identity.namespace, error
            assert "cannot make a user namespace" in str(error)
            continue
        assert await _ask(server.url, "SELECT 1") == 1
        await server.stop()
        tried.append(identity.name)

    assert tried
