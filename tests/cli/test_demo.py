import asyncio
import os
import subprocess
import sys

import asyncpg
import nats
import pytest

from libs.embedded.surroundings import without_servers

pytestmark = pytest.mark.early

# Each alone would keep our clients from our servers.
_HOSTILE = {
    "PGHOST": "192.0.2.1",
    "PGSSLMODE": "verify-full",
    "PGTARGETSESSIONATTRS": "standby",
    "http_proxy": "http://127.0.0.1:9",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "BLUETICK_INGEST_HTTP_PORT": "none",
    "BLUETICK_ACCOUNTS_FILE": "/nowhere/accounts.json",
    "BLUETICK_API_KEYS_FILE": "/nowhere/keys.json",
}


async def test_a_demo_touches_no_server_of_the_callers_environment(
    empty_database_url: str, nats_url: str
) -> None:
    """A shell that has the address of production is where people type `make demo`."""
    servers = {"BLUETICK_DATABASE_URL": empty_database_url, "BLUETICK_NATS_URL": nats_url}

    done = await asyncio.to_thread(_demo, {**os.environ, **_HOSTILE, **servers})

    assert done.returncode == 0, done.stdout + done.stderr
    assert "equal the truth" in done.stdout
    assert await _schemas(empty_database_url) == ["public"]
    client = await nats.connect(nats_url)
    assert await client.jetstream().streams_info() == []
    await client.close()


def test_a_proxy_that_the_caller_excepts_hosts_from_stays() -> None:
    """What they need to reach the world is theirs to say; this machine is not the world."""
    kept = without_servers({"NO_PROXY": "intranet", "http_proxy": "http://proxy", "PGUSER": "me"})

    assert kept == {
        "http_proxy": "http://proxy",
        "no_proxy": "intranet,127.0.0.1,localhost",
        "NO_PROXY": "intranet,127.0.0.1,localhost",
    }


def _demo(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "libs.cli.main", "demo", "--messages", "50"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )


async def _schemas(url: str) -> list[str]:
    connection = await asyncpg.connect(url, ssl=False)
    try:
        rows = await connection.fetch(
            "SELECT nspname FROM pg_namespace"
            " WHERE nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema'"
        )
    finally:
        await connection.close()
    return [row["nspname"] for row in rows]
