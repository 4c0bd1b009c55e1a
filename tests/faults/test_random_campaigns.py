"""Random campaigns of every provider, told in a wild order, while processes are killed -9.

Each report must equal the truth that was counted from what was told, and at the end a recount of
everything must find each number as it is shown.
"""

import asyncio
import random
import time

import grpc
import pytest

from libs.embedded.demo_accounts import signing_secret
from libs.simulator.facts import Channel
from libs.simulator.registry import every_channel
from libs.simulator.run import Verdict, simulate
from libs.simulator.simulation import Fallback, Simulation
from libs.testkit.up import running_up
from tests.faults.commands import bluetick
from tests.faults.killing import MARKS, kill_again_and_again

pytestmark = pytest.mark.early

_SEED = 20_261_129
_AT_ONCE = 4
_ATTEMPTS_MAX = 5


def a_campaign(machine: dict, number: int, attempt: int = 0) -> Simulation:
    """Make one up; the same number gives the same one, under a name of the attempt's own."""
    chance = random.Random(f"{_SEED}:{number}")
    provider, channel = chance.choice(every_channel())
    return Simulation(
        gateway=machine["gateway"],
        ingest_url=machine["ingest"],
        api_key=machine["api_keys"]["admin"],
        secret=signing_secret(provider),
        campaign_id=f"random-{number}-{attempt}",
        message_count=chance.randint(1, 40),
        seed=chance.randrange(2**32),
        provider=provider,
        channel=channel,
        chaos=chance.choice(("none", "mild", "wild", "wild")),
        # Whoever WhatsApp does not reach gets an SMS, from the same provider or another.
        fallback=_fallback(chance, provider) if channel is Channel.WHATSAPP else None,
        concurrency=chance.randint(1, 8),
        wait_max_s=150,
    )


def _fallback(chance: random.Random, provider: str) -> Fallback:
    names = [name for name, channel in every_channel() if channel is Channel.SMS]
    other = (
        chance.choice([provider, provider, *names]) if provider in names else chance.choice(names)
    )
    return Fallback(provider=other, secret=signing_secret(other))


def wrong(simulation: Simulation, verdict: Verdict) -> list[str]:
    """Return what is not the truth, in words to repeat it by."""
    told = [f"{one.name} {one.reported} for {one.expected}" for one in verdict.differences]
    if not verdict.is_complete:
        told.append("its report was never complete")
    return [f"{simulation.campaign_id} ({simulation.provider}): {one}" for one in told]


@pytest.mark.parametrize(
    ("campaigns", "pause_s"),
    [
        pytest.param(8, (2.0, 4.0), id="short", marks=[pytest.mark.long, pytest.mark.timeout(300)]),
        pytest.param(
            1_000, (1.5, 6.0), id="long", marks=[pytest.mark.long, pytest.mark.timeout(3_600)]
        ),
    ],
)
async def test_random_campaigns_are_exact_while_processes_are_killed(
    campaigns: int, pause_s: tuple[float, float]
) -> None:
    """A machine can lose any process at any line, any number of times."""
    async with running_up("--ephemeral") as up:
        began = time.monotonic()
        killing = asyncio.create_task(
            kill_again_and_again(up.process.pid, random.Random(_SEED), pause_s)
        )
        faults = await tell_all(up.said, campaigns)
        # Six kills at least, of which each part had one.
        await asyncio.sleep(max(0.0, began + len(MARKS) * (pause_s[1] + 0.5) - time.monotonic()))
        killing.cancel()
        killed = await killing
        print(f"{campaigns} campaigns, killed: {killed}")
        assert not faults, "\n".join(faults)
        assert set(killed) == set(MARKS) and min(killed.values()) > 0

        await until_it_answers(up.said)
        code, said = await bluetick(up.said, "verify", limit_s=600)
        assert code == 0, said
        assert "every number is as it was shown" in said
        code, errors = await up.end()
    assert code == 0, errors


async def tell_all(machine: dict, campaigns: int) -> list[str]:
    """Tell campaigns, some at a time; return all that is wrong with them."""
    numbers = iter(range(campaigns))
    faults: list[str] = []

    async def work() -> None:
        for number in numbers:
            faults.extend(await tell(machine, number))

    await asyncio.gather(*(work() for _ in range(_AT_ONCE)))
    return faults


async def until_it_answers(machine: dict) -> None:
    """Return when the last one killed is back: a campaign goes through."""
    assert not await tell(machine, -1)


async def tell(machine: dict, number: int) -> list[str]:
    """Tell one campaign; return what is wrong with it."""
    for attempt in range(_ATTEMPTS_MAX):
        simulation = a_campaign(machine, number, attempt)
        try:
            return wrong(simulation, await simulate(simulation, lambda _done, _all: None))
        except grpc.aio.AioRpcError as error:
            # Its very first call gives up soon, for people who mistyped the address.
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
            await asyncio.sleep(1)
    return [f"random-{number} could not even begin {_ATTEMPTS_MAX} times"]
