"""`bluetick doctor` and `bluetick replay` on a machine of their own."""

import asyncio
import json
import os
import signal
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import grpc
import nats
import pytest
from bluetick.v1.common_pb2 import MESSAGE_STATE_DELIVERED
from bluetick.v1.message_service_pb2 import GetMessageRequest
from bluetick.v1.message_service_pb2_grpc import MessageServiceStub

from libs.embedded.port_plan import DEFAULT_PORTS
from libs.runtime.broker import EVENTS_SUBJECT, SET_ASIDE_STREAM, SET_ASIDE_SUBJECT
from libs.testkit import builders
from libs.testkit.up import Up, running_up

pytestmark = pytest.mark.early

_PATIENCE_S = 20.0


class Machine:
    """A running machine and its folder."""

    def __init__(self, up: Up, folder: Path) -> None:
        self.up = up
        self.folder = folder

    async def bluetick(
        self, *arguments: str, stdin: str = "", **environment: str
    ) -> tuple[int, str]:
        """Run a command as a person would in another terminal; exit code and all output."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "libs.cli.main", *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            env={"PATH": "/usr/bin:/bin", "COLUMNS": "200", "TERM": "dumb",
                 "BLUETICK_DATA_DIR": str(self.folder), **environment},
        )  # fmt: skip
        output, _ = await asyncio.wait_for(process.communicate(stdin.encode()), 60)
        return process.returncode or 0, output.decode()

    async def replay(self, *arguments: str) -> tuple[int, str]:
        said = self.up.said
        return await self.bluetick(
            "replay", *arguments,
            BLUETICK_GATEWAY=said["gateway"], BLUETICK_API_KEY=said["api_keys"]["sender"],
        )  # fmt: skip

    async def signs(self, **environment: str) -> tuple[int, list[dict[str, str]]]:
        code, output = await self.bluetick("doctor", "--json", **environment)
        return code, json.loads(output)

    async def keep(self, *quarantined: Any) -> None:
        """Put callbacks into quarantine, as an older ingest would have."""
        client = await nats.connect(self.up.said["nats"])
        batch = builders.a_batch(quarantined=quarantined).SerializeToString()
        await client.jetstream().publish(EVENTS_SUBJECT, batch)
        await client.close()
        await self.until_listed(quarantined[-1].quarantine_key.hex())

    async def until_listed(self, text: str) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        while text not in (await self.replay("--list"))[1]:
            assert time.monotonic() < deadline, text

    async def state(self, provider_message_id: str) -> int:
        """State of a message; 0 while nothing is known of it."""
        metadata = (("authorization", f"Bearer {self.up.said['api_keys']['admin']}"),)
        async with grpc.aio.insecure_channel(self.up.said["gateway"]) as channel:
            request = GetMessageRequest(provider="meta", provider_message_id=provider_message_id)
            try:
                answer = await MessageServiceStub(channel).GetMessage(request, metadata=metadata)
            except grpc.aio.AioRpcError:
                return 0
            return answer.message.state


@pytest.fixture(scope="module")
async def machine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Machine]:
    folder = tmp_path_factory.mktemp("machine")
    ports = dict.fromkeys(DEFAULT_PORTS, "0")
    settings = {"BLUETICK_INGEST_DOOR_REPORT_INTERVAL_S": "0.3"}
    async with running_up("--data-dir", str(folder), **ports, **settings) as up:
        yield Machine(up, folder)
        await up.end()
    assert not (folder / "running.json").exists()


def a_readable_part(name: str) -> Any:
    """An item of Meta's that today's code can read."""
    status = {"id": name, "status": "delivered", "timestamp": "1785899940", "recipient_id": "1415"}
    return builders.a_quarantined(
        "STATUS_WORD_MISSING",
        quarantine_key=name.encode().ljust(16, b"."),
        detail="entry[0].changes[0].value.statuses[7]: status missing",
        body=json.dumps(status).encode(),
        is_part=True,
    )


async def test_a_healthy_machine_is_found_and_found_healthy(machine: Machine) -> None:
    """The first command after `bluetick up`: no address, no key, no alarm."""
    code, page = await machine.bluetick("doctor")
    signs_code, signs = await machine.signs()

    assert (code, signs_code) == (0, 0), page
    assert {sign["area"] for sign in signs} == {
        "broker", "database", "services", "accounts", "API keys", "callbacks",
    }  # fmt: skip
    assert not [sign for sign in signs if sign["verdict"] == "WRONG"]
    fine = {sign["subject"] for sign in signs if sign["verdict"] == "FINE"}
    assert {
        "durability", "health", "stream EVENTS", "stream SET_ASIDE", "schema status",
        "ingest", "status", "analytics", "gateway",
    } <= fine  # fmt: skip


async def test_what_was_set_aside_is_told(machine: Machine) -> None:
    """It counts nowhere, and no tenant sees it: whoever runs the system must."""
    client = await nats.connect(machine.up.said["nats"])
    jetstream = client.jetstream()
    await jetstream.publish(f"{SET_ASIDE_SUBJECT}.status", b"odd")
    try:
        code, signs = await machine.signs()
    finally:
        await jetstream.purge_stream(SET_ASIDE_STREAM)
        await client.close()

    found = next(sign for sign in signs if sign["subject"] == "set aside")
    assert (code, found["verdict"]) == (1, "WRONG")
    assert found["says"].startswith("1 broker messages")


async def test_a_service_that_is_not_ready_is_told_with_its_reason(machine: Machine) -> None:
    """`status` says that PostgreSQL is away; the doctor passes it on."""
    running = machine.folder / "running.json"
    said = running.read_text()
    with HTTPServer(("127.0.0.1", 0), _NotReady) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        changed = json.loads(said)
        changed["ready_urls"]["status"] = f"http://127.0.0.1:{server.server_port}/readyz"
        running.write_text(json.dumps(changed))
        try:
            code, signs = await machine.signs()
        finally:
            running.write_text(said)
            server.shutdown()

    found = [s for s in signs if s["area"] == "services" and s["verdict"] == "WRONG"]
    assert (code, len(found)) == (1, 1)
    assert found[0]["says"] == "It is not ready: PostgreSQL does not answer"


class _NotReady(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(503)
        self.end_headers()
        self.wfile.write(b"PostgreSQL does not answer\n")

    def log_message(self, *_: object) -> None:
        pass


async def test_each_thing_that_is_wrong_is_named_with_its_cure(machine: Machine) -> None:
    """An exit code alone sends nobody to the right place."""
    odd = machine.folder / "odd_accounts.json"
    odd.write_text('{"accounts": [{"provider": "mera", "account": "a", "tenant": "demo"}]}')
    code, signs = await machine.signs(
        BLUETICK_NATS_URL="nats://127.0.0.1:1",
        BLUETICK_DATABASE_URL="postgresql://127.0.0.1:1/none",
        BLUETICK_ACCOUNTS_FILE=str(odd),
        BLUETICK_API_KEYS_FILE=str(machine.folder / "none.json"),
        BLUETICK_API_KEY="a stranger's",
    )

    assert code == 1
    wrong = {(s["area"], s["subject"]) for s in signs if s["verdict"] == "WRONG" and s["cure"]}
    assert wrong == {
        ("broker", "connection"), ("database", "connection"), ("accounts", "addresses"),
        ("accounts", "secrets (file)"), ("accounts", "of the tenant"),
        ("API keys", "file"), ("callbacks", "gateway"),
    }  # fmt: skip


async def test_refused_callbacks_show_up_within_seconds(machine: Machine) -> None:
    """The usual first mistake: another secret at the provider than in the accounts file."""
    url = f"{machine.up.said['ingest']}/callbacks/meta/acct_1"
    request = urllib.request.Request(url, data=b"{}", method="POST")
    with pytest.raises(urllib.error.HTTPError, match="401"):
        await asyncio.to_thread(urllib.request.urlopen, request)

    deadline = time.monotonic() + _PATIENCE_S
    while True:
        code, signs = await machine.signs()
        found = [sign for sign in signs if "refused: SIGNATURE_MISSING" in sign["says"]]
        if found or time.monotonic() > deadline:
            break

    assert (code, [sign["subject"] for sign in found]) == (1, ["meta/acct_1"])
    assert "secret" in found[0]["cure"]


async def test_an_account_is_put_rotated_and_shut_from_a_terminal(machine: Machine) -> None:
    """Secrets come by stdin and are never shown; the doctor names what proves nothing."""
    said = machine.up.said
    admin = {"BLUETICK_GATEWAY": said["gateway"], "BLUETICK_API_KEY": said["api_keys"]["admin"]}
    place = ("meta", "by_hand")

    code, put = await machine.bluetick("accounts", "put", *place, "--word", "w=INFO", **admin)
    _, bare = await machine.signs(**admin)
    _, rotated = await machine.bluetick(
        "accounts", "rotate", *place, "app_secret", stdin="s-e-c-r-e-t\n", **admin
    )
    _, disabled = await machine.bluetick("accounts", "disable", *place, **admin)
    _, listed = await machine.bluetick("accounts", "list", **admin)
    _, after = await machine.signs(**admin)
    _, deleted = await machine.bluetick("accounts", "delete", *place, **admin)

    assert (code, put.splitlines()) == (0, ["meta/by_hand: open", "  no secret"])
    told = {sign["subject"]: sign["says"] for sign in bare if sign["verdict"] == "WRONG"}
    assert told["secrets (by call)"].startswith("Without a secret: meta/by_hand.")
    assert "app_secret" in rotated
    assert disabled.startswith("meta/by_hand: disabled")
    assert "meta/by_hand" in listed
    assert "s-e-c-r-e-t" not in put + rotated + disabled + listed
    assert [s["says"] for s in after if s["subject"] == "disabled"] == [
        "meta/by_hand: callbacks are answered 503."
    ]
    assert deleted == "meta/by_hand is removed.\n"


async def test_a_key_is_made_used_and_revoked_from_a_terminal(machine: Machine) -> None:
    """The key alone is on stdout, so that a script can take it."""
    said = machine.up.said
    admin = {"BLUETICK_GATEWAY": said["gateway"], "BLUETICK_API_KEY": said["api_keys"]["admin"]}

    code, made = await machine.bluetick("keys", "create", "admin", "--title", "By hand", **admin)
    told, key = made.splitlines()
    key_id = told.split()[1].rstrip(";")
    mine = {**admin, "BLUETICK_API_KEY": key}
    _, listed = await machine.bluetick("keys", "list", **mine)
    _, revoked = await machine.bluetick("keys", "revoke", key_id, **admin)

    assert code == 0
    assert key_id in listed
    assert "By hand" in listed
    assert key not in listed
    assert revoked == f"{key_id} is revoked.\n"


async def test_a_replay_brings_what_can_be_read_now_and_keeps_the_rest(machine: Machine) -> None:
    """The whole way: CLI, gateway, status, ingest, EVENTS, status again."""
    odd = builders.a_quarantined(quarantine_key=b"never-readable-1", body=b"{", is_part=False)
    await machine.keep(a_readable_part("wamid.REPLAY"), odd)

    code, table = await machine.replay("--all")
    again, rest = await machine.replay("--all")

    assert code == again == 1, table
    assert "1 read, 1 stay" in table
    assert "0 read, 1 stay" in rest
    assert "BODY_NOT_JSON" in (await machine.replay("--list"))[1]
    deadline = time.monotonic() + _PATIENCE_S
    while await machine.state("wamid.REPLAY") != MESSAGE_STATE_DELIVERED:
        assert time.monotonic() < deadline


async def test_while_ingest_hangs_nothing_leaves_and_the_answer_is_honest(
    machine: Machine,
) -> None:
    """Between a question and its answer anybody may die."""
    part = a_readable_part("wamid.HANGS")
    await machine.keep(part)
    pid = machine.up.said["pids"]["ingest"]
    os.kill(pid, signal.SIGSTOP)
    try:
        code, table = await machine.replay(part.quarantine_key.hex())
    finally:
        os.kill(pid, signal.SIGCONT)
    after, later = await machine.replay(part.quarantine_key.hex())

    assert (code, "NO_ANSWER" in table) == (1, True)
    assert "0 read, 1 stay" in table
    assert after == 0, later
    assert "1 read, 0 stay" in later


async def test_replay_asks_which(machine: Machine) -> None:
    """A command that changes something by default is run by accident."""
    code, text = await machine.replay()

    assert code == 2
    assert "--all" in text


async def test_what_was_set_aside_is_put_back_by_the_operator_alone(machine: Machine) -> None:
    """After a repair one command brings it back; what still fails comes here again by itself."""
    said = machine.up.said

    async def as_role(role: str, *arguments: str) -> tuple[int, str]:
        key = said["api_keys"][role]
        return await machine.bluetick(
            "replay", "--set-aside", *arguments,
            BLUETICK_GATEWAY=said["gateway"], BLUETICK_API_KEY=key,
        )  # fmt: skip

    client = await nats.connect(said["nats"])
    await client.jetstream().publish(EVENTS_SUBJECT, b"\xff\xff no batch")
    deadline = time.monotonic() + _PATIENCE_S
    while "NOT_AN_EVENT_BATCH" not in (listed := (await as_role("operator", "--list"))[1]):
        assert time.monotonic() < deadline, listed

    refused, why = await as_role("admin", "--list")
    code, told = await as_role("operator")
    callbacks, _ = await machine.bluetick(
        "replay", "--list",
        BLUETICK_GATEWAY=said["gateway"], BLUETICK_API_KEY=said["api_keys"]["operator"],
    )  # fmt: skip

    assert "status EVENTS/" in listed
    assert refused == callbacks == 1
    assert "OPERATOR" in why
    assert "put back" in told
    assert code == 0
    while "NOT_AN_EVENT_BATCH" not in (await as_role("operator", "--list"))[1]:
        assert time.monotonic() < deadline + _PATIENCE_S
    await client.jetstream().purge_stream(SET_ASIDE_STREAM)
    await client.close()
