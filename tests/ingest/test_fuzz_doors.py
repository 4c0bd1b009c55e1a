import asyncio
import os
import random
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path

import httpx
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.runtime.lifecycle import Scope
from libs.runtime.settings import RuntimeSettings
from libs.testkit.tied import tied
from services.ingest.providers.provider import AsksOutside, Callback
from services.ingest.providers.registry import PROVIDERS
from services.ingest.settings import IngestSettings
from services.ingest.wiring import build
from tests.ingest.fuzzed_doors import REFUSALS, Target, check, targets

NAMES = [provider.name for provider in PROVIDERS]
# Made once, here: inside a property the first call would differ from the second.
TARGETS = targets()
# What the door may answer to what somebody sends; 503 is for our own troubles.
ANSWERS = REFUSALS | {200, 404, 413}
FUZZ_S = float(os.environ.get("FUZZ_S", "600"))
BODY_BYTES_MAX = 20_000


@pytest.mark.parametrize("name", NAMES)
def test_the_callbacks_that_fuzzing_starts_from_are_read(name: str) -> None:
    """Changing what is refused anyway would try nothing out."""
    target = TARGETS[name]

    for seed in target.seeds:
        check(target, seed)
        reading = target.provider.parse(seed, target.account)
        assert reading.batch.events, seed


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=120, deadline=None)
@given(chance=st.randoms(use_true_random=False))
def test_no_callback_makes_a_dialect_raise_or_answer_what_it_may_not(
    name: str, chance: random.Random
) -> None:
    """A parser that raises would make the provider repeat the same callback for days."""
    target = TARGETS[name]

    check(target, target.made_up(chance))


@pytest.fixture
async def http(
    broker_settings: RuntimeSettings, tmp_path: Path
) -> AsyncIterator[httpx.AsyncClient]:
    file = tmp_path / "accounts.json"
    accounts = [target.account for target in TARGETS.values()]
    file.write_bytes(msgspec.json.encode({"accounts": accounts}))
    scope = Scope()
    settings = IngestSettings(
        nats_url=broker_settings.nats_url,
        nats_monitor_url=broker_settings.nats_monitor_url,
        accounts_file=str(file),
        public_url="https://hooks.example.com",
        ingest_http_host="127.0.0.1",
        ingest_http_port=0,
        ingest_grpc_host="127.0.0.1",
        ingest_grpc_port=0,
        ingest_body_bytes_max=BODY_BYTES_MAX,
    )
    port, _ = await build(scope, settings)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as http:
        yield http
    await scope.close()


async def _send(
    http: httpx.AsyncClient, target: Target, callback: Callback, chance: random.Random
) -> None:
    methods = ["POST", "POST", "POST", "GET", "HEAD", "PUT", "DELETE"]
    name, account = target.provider.name, target.account.account
    paths = [f"/callbacks/{name}/{account}"] * 8 + [f"/callbacks/{name}/nobody", "/callbacks/x"]
    headers = {
        name: "".join(letter for letter in value if 32 <= ord(letter) < 127).strip()[:4_000]
        for name, value in callback.headers.items()
    }
    query = f"?{callback.query}" if callback.query else ""
    body = callback.body * (200 if chance.random() < 0.02 else 1)
    request = http.build_request(
        chance.choice(methods), chance.choice(paths) + query, content=body, headers=headers
    )
    answer = await http.send(request)
    assert answer.status_code in ANSWERS, (request, callback, answer)


def _for_the_door(target: Target, chance: random.Random) -> Callback:
    """A callback for a running service, which would call others if it were properly asked to."""
    if isinstance(target.provider, AsksOutside):
        target = msgspec.structs.replace(target, suites=[])
    return target.made_up(chance)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(chance=st.randoms(use_true_random=False))
async def test_no_callback_makes_the_door_answer_what_it_may_not(
    http: httpx.AsyncClient, chance: random.Random
) -> None:
    """One worker serves all providers: what kills it for one kills it for all."""
    for target in TARGETS.values():
        calls = [_send(http, target, _for_the_door(target, chance), chance) for _ in range(3)]
        await asyncio.gather(*calls)

    assert (await http.get("/healthz")).status_code == 200


@pytest.mark.long
@pytest.mark.timeout(FUZZ_S * 2 + 300)
async def test_ten_minutes_of_anything_at_every_door(
    http: httpx.AsyncClient, tmp_path: Path
) -> None:
    """What a hundred examples do not find, half a million may. A find names its seed."""
    share_s = FUZZ_S / 3
    guided = _start_guided(share_s * 2, tmp_path) if find_spec("atheris") else None
    seed = time.time_ns()
    deadline = time.monotonic() + share_s
    while time.monotonic() < deadline:
        seed += 1
        target = TARGETS[NAMES[seed % len(NAMES)]]
        callback = target.made_up(random.Random(seed))
        try:
            check(target, callback)
        except Exception as error:
            raise AssertionError(f"{target.provider.name}, seed {seed}: {callback}") from error
    deadline = time.monotonic() + share_s
    while time.monotonic() < deadline:
        seed += 1
        chance = random.Random(seed)
        target = TARGETS[NAMES[seed % len(NAMES)]]
        await _send(http, target, _for_the_door(target, chance), chance)
    assert (await http.get("/healthz")).status_code == 200
    if guided is not None:
        output, _ = await asyncio.to_thread(guided.communicate, timeout=share_s * 2 + 120)
        assert guided.returncode == 0, output[-4_000:]


def _start_guided(seconds: float, folder: Path) -> subprocess.Popen[str]:
    """Start the fuzzer that is guided by coverage, in a process of its own: it ends its process."""
    return subprocess.Popen(
        tied(
            *(sys.executable, "-m", "tests.ingest.guided_fuzzing"), str(int(seconds)), str(folder)
        ),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
