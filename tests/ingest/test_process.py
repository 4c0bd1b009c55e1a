import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from libs.embedded.ports import free_port
from libs.runtime.broker import Broker
from libs.runtime.settings import RuntimeSettings
from libs.testkit.tied import tied
from tests.ingest.meta_bodies import ACCOUNT, change, dump, envelope, signature, status
from tests.ingest.stored_events import stored_events

PATH = "/callbacks/meta/acct_1"


class Ingest:
    """The service as a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process = process
        self.http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20)

    async def wait_until_ready(self) -> None:
        async with asyncio.timeout(30):
            while True:
                try:
                    if (await self.http.get("/readyz")).status_code == 200:
                        return
                except httpx.TransportError:
                    assert self.process.returncode is None
                await asyncio.sleep(0.05)


@pytest.fixture
async def ingest(
    broker: Broker, broker_settings: RuntimeSettings, tmp_path: Path
) -> AsyncIterator[Ingest]:
    accounts = tmp_path / "accounts.json"
    account = {
        "provider": "meta",
        "account": "acct_1",
        "tenant": "demo",
        "secrets": ACCOUNT.secrets,
    }
    accounts.write_text(json.dumps({"accounts": [account]}))
    http_port, grpc_port = free_port(), free_port()
    process = await asyncio.create_subprocess_exec(
        *tied(sys.executable, "-m", "services.ingest"),
        env={
            **os.environ,
            "BLUETICK_NATS_URL": broker_settings.nats_url,
            "BLUETICK_NATS_MONITOR_URL": broker_settings.nats_monitor_url,
            "BLUETICK_ACCOUNTS_FILE": str(accounts),
            "BLUETICK_INGEST_HTTP_HOST": "127.0.0.1",
            "BLUETICK_INGEST_HTTP_PORT": str(http_port),
            "BLUETICK_INGEST_GRPC_HOST": "127.0.0.1",
            "BLUETICK_INGEST_GRPC_PORT": str(grpc_port),
            "BLUETICK_INTERNAL_TOKEN": "a-token-for-tests-only",
        },
        stderr=asyncio.subprocess.PIPE,
    )
    ingest = Ingest(process, http_port)
    await ingest.wait_until_ready()
    yield ingest
    await ingest.http.aclose()
    if process.returncode is None:
        process.kill()
    await process.wait()


async def _post(ingest: Ingest, number: int) -> tuple[int, int]:
    body = dump(envelope(change(statuses=[status(id=f"wamid.{number}")])))
    try:
        answer = await ingest.http.post(PATH, content=body, headers=signature(body))
    except httpx.TransportError:
        return number, 0
    return number, answer.status_code


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_stop_is_clean_soon_and_loses_nothing_that_was_answered(
    ingest: Ingest, broker: Broker, number: signal.Signals
) -> None:
    """Every deployment stops a service; none may cost a callback."""
    posting = [asyncio.create_task(_post(ingest, n)) for n in range(40)]
    await asyncio.sleep(0.02)
    ingest.process.send_signal(number)

    answers = await asyncio.gather(*posting)
    async with asyncio.timeout(15):
        _, errors = await ingest.process.communicate()

    stored = {event.provider_message_id for event in await stored_events(broker)}
    assert ingest.process.returncode == 0, errors.decode()
    assert {f"wamid.{n}" for n, code in answers if code == 200} <= stored


async def test_a_kill_loses_nothing_that_was_answered(ingest: Ingest, broker: Broker) -> None:
    """200 means durable, whatever happens to the process the moment after."""
    posting = [asyncio.create_task(_post(ingest, n)) for n in range(60)]
    await asyncio.wait(posting, return_when=asyncio.FIRST_COMPLETED)
    ingest.process.kill()

    answers = await asyncio.gather(*posting)

    stored = {event.provider_message_id for event in await stored_events(broker)}
    answered = {f"wamid.{n}" for n, code in answers if code == 200}
    assert answered
    assert answered <= stored


async def test_logs_hold_no_body_and_no_number(ingest: Ingest) -> None:
    """A log is read by more people than the data."""
    body = dump(envelope(change(statuses=[status(recipient_id="4915123456789")])))
    await ingest.http.post(PATH, content=body, headers=signature(body, "wrong"))
    await ingest.http.post(PATH, content=body, headers=signature(body))
    ingest.process.terminate()

    _, errors = await ingest.process.communicate()

    assert b"callback.refused" in errors
    assert b"4915123456789" not in errors
    assert b"wamid" not in errors
