"""Places and turns between accounts: whatever one of them does, the next one gets on."""

import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.adapters.turns import TurnLimits, Turns, WaitedTooLong
from services.ingest.domain.fair_queue import FairQueue
from services.ingest.domain.fair_share import Load, Party, fits

TOTAL = 1_000


class House:
    """Takes what fits, as the door does."""

    def __init__(self, accounts: int, addresses: int) -> None:
        self.held = 0
        self.parties = [
            Party(load) for load in (Load() for _ in range(accounts)) for _ in range(addresses)
        ]

    def take(self, party: Party, more: int) -> bool:
        fit = fits(
            more,
            own=party.byte_count,
            account=party.account.byte_count,
            held=self.held,
            total=TOTAL,
        )
        if fit:
            party.byte_count += more
            party.account.byte_count += more
            self.held += more
        return fit


@given(
    accounts=st.integers(1, 6),
    addresses=st.integers(1, 4),
    wishes=st.lists(st.tuples(st.integers(0, 23), st.integers(1, 40)), max_size=400),
)
def test_the_next_account_always_finds_as_much_as_any_has(
    accounts: int, addresses: int, wishes: list[tuple[int, int]]
) -> None:
    """However many take all they get, and in whatever order."""
    house = House(accounts, addresses)

    for index, more in wishes:
        house.take(house.parties[index % len(house.parties)], more)

    free = TOTAL - house.held
    for party in house.parties:
        assert party.account.byte_count <= free
        assert party.byte_count <= free
    newcomer = Party(Load())
    assert house.take(newcomer, free // 3)


@given(addresses=st.integers(1, 5))
def test_addresses_that_take_all_they_get_leave_room_for_another_of_their_account(
    addresses: int,
) -> None:
    """A flood of strangers at an account's address must not shut its provider out."""
    house = House(1, addresses)

    for party in house.parties:
        while house.take(party, 1):
            pass

    assert house.take(Party(house.parties[0].account), 1)


def test_whoever_has_spent_least_comes_first_and_others_in_their_order() -> None:
    """By account, then by address, and what was spent long ago counts no more."""
    heavy, light = Load(), Load()
    flood, provider, other = Party(heavy), Party(heavy), Party(light)
    queue: FairQueue[str] = FairQueue()
    flood.spend(3.0, now_s=0.0)
    other.spend(1.0, now_s=0.0)
    for party, job in ((flood, "f1"), (flood, "f2"), (provider, "p"), (other, "o1"), (other, "o2")):
        queue.put(party, job)

    assert [queue.pop(0.1) for _ in range(5)] == ["o1", "o2", "p", "f1", "f2"]

    other.spend(100.0, now_s=0.2)
    flood.spend(1.0, now_s=60.0)
    queue.put(flood, "f")
    queue.put(other, "o")
    assert queue.pop(60.0) == "o"


def _work(
    turns: Turns,
    party: Party,
    seconds: float,
    done: list[str],
    name: str,
) -> None:
    """Hold the loop for so long, as reading a body does."""
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        pass
    done.append(name)
    turns.spent(party, began)


async def test_a_quick_callback_does_not_wait_for_all_the_slow_ones_before_it() -> None:
    """A thousand connections of one account may bring theirs in one turn of the loop."""
    turns = Turns(TurnLimits(turn_s=0.004))
    hostile, good = Party(Load()), Party(Load())
    done: list[str] = []
    for _ in range(20):
        if turns.is_over:
            turns.later(hostile, lambda _: _work(turns, hostile, 0.002, done, "hostile"))
        else:
            _work(turns, hostile, 0.002, done, "hostile")
    assert turns.is_over
    turns.later(good, lambda _: _work(turns, good, 0.0, done, "good"))

    while turns.waiting_count:
        await asyncio.sleep(0)

    assert len(done) == 21
    assert done.index("good") <= 3


async def test_large_bodies_come_one_in_a_turn_and_few_at_once() -> None:
    """Between two of them everybody else gets on, and the broker's queue stays short."""
    turns = Turns(TurnLimits(large_bodies_at_once_max=2))
    party, other = Party(Load()), Party(Load())
    under_way = 0
    most = 0
    done: list[str] = []

    async def large(name: str) -> None:
        nonlocal under_way, most
        async with turns.large(party):
            _work(turns, party, 0.001, done, name)
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0.01)  # the broker
            under_way -= 1

    tasks = [asyncio.create_task(large(f"large {n}")) for n in range(6)]
    await asyncio.sleep(0)
    turns.later(other, lambda _: done.append("small"))
    await asyncio.gather(*tasks)

    assert most == 2
    assert len(done) == 7
    assert done.index("small") <= 1
    assert turns.waiting_count == 0


async def test_one_that_waited_too_long_is_asked_to_come_again() -> None:
    """Its sender has given up by then."""
    turns = Turns(TurnLimits(large_bodies_at_once_max=1, wait_s_max=0.02))
    party = Party(Load())

    async with turns.large(party):
        with pytest.raises(WaitedTooLong):
            async with turns.large(party):
                pytest.fail("the place was not free")

    async with turns.large(party):
        pass


async def test_one_who_leaves_while_waiting_keeps_no_place() -> None:
    """Nor in the very moment of its turn."""
    turns = Turns(TurnLimits(large_bodies_at_once_max=1))
    party = Party(Load())

    async def enter() -> None:
        async with turns.large(party):
            await asyncio.sleep(0)

    for turns_before in range(4):
        task = asyncio.create_task(enter())
        for _ in range(turns_before):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async with asyncio.timeout(2), turns.large(party):
        pass
