"""Connections and heads within limits: a stranger's are closed before a provider's are missed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from services.ingest.adapters.connection_book import ConnectionBook, ConnectionLimits
from services.ingest.adapters.request_body import BodyLimits
from services.ingest.domain.refusals import DELAY_S_MAX, Refusals
from tests.ingest.meta_bodies import change, dump, envelope, signature, status
from tests.ingest.two_ways import OneDoor, two_doors

BODY = dump(envelope(change(statuses=[status()])))
STRANGER, OTHER = "127.0.0.2", "127.0.0.3"


def post(*more: str) -> bytes:
    """A callback that is taken, with more headers."""
    lines = [
        "POST /callbacks/meta/acct_1 HTTP/1.1", "Host: x", f"Content-Length: {len(BODY)}",
        *(f"{name}: {value}" for name, value in signature(BODY).items()), *more,
    ]  # fmt: skip
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + BODY


@asynccontextmanager
async def opened(**limits: Any) -> AsyncIterator[OneDoor]:
    async with two_doors(connections=ConnectionLimits(**limits)) as doors:
        yield doors.short


async def connect(
    door: OneDoor, sent: bytes = b"", address: str = STRANGER
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection from another address, on which something was sent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port, local_addr=(address, 0))
    writer.write(sent)
    await writer.drain()
    return reader, writer


async def ask(door: OneDoor, address: str) -> bytes:
    """Send a good callback on a connection of its own; return the first line of the answer."""
    return await _answer(door, post(), address)


async def _answer(door: OneDoor, request: bytes, address: str) -> bytes:
    reader, writer = await connect(door, request, address)
    try:
        async with asyncio.timeout(5):
            return (await reader.readuntil(b"\r\n\r\n")).partition(b"\r\n")[0]
    finally:
        writer.close()


@pytest.mark.parametrize("sent", [b"", b"POST /callbacks/meta/acct_1 HTTP/1.1\r\nHost:", post()])
async def test_connections_that_are_of_no_use_yield_to_one_that_is(sent: bytes) -> None:
    """Thousands that are idle, or send half a head, or were used once, keep nobody out."""
    async with opened(connections_max=20, request_timeout_s=60) as door:
        held = [await connect(door, sent) for _ in range(20)]
        if sent == post():
            for reader, _ in held:
                await reader.readuntil(b"\r\n\r\n")

        answers = [await ask(door, OTHER) for _ in range(30)]

        assert set(answers) == {b"HTTP/1.1 200 OK"}
        assert await asyncio.wait_for(held[0][0].read(), 5) == b""
        for _, writer in held:
            writer.close()


async def test_one_address_does_not_take_the_places_of_others() -> None:
    """What is too many for it costs its own connections, not those of a provider."""
    async with opened(connections_per_address_max=5) as door:
        reader, writer = await connect(door, post(), OTHER)
        await reader.readuntil(b"\r\n\r\n")
        held = [await connect(door) for _ in range(40)]
        await ask(door, STRANGER)

        writer.write(post())
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")
        writer.close()
        for _, one in held:
            one.close()


async def test_whoever_waits_for_an_answer_stays() -> None:
    """Its callback is being stored: closing it would have it sent twice."""

    class Held:
        address, is_idle, useless_since_s = "a", False, None

        def give_up(self) -> None:
            pytest.fail("it waits for an answer")

    book = ConnectionBook(ConnectionLimits(connections_max=2), Refusals(10.0))

    assert [book.enter(Held()) for _ in range(3)] == [True, True, False]
    assert len(book) == 2


@pytest.mark.parametrize(
    ("more", "http_status"),
    [
        ([f"x-{n}: 1" for n in range(20)], b"200"),
        ([f"x-{n}: 1" for n in range(150)], b"431"),
        (["x-a: " + "a" * 20_000], b"200"),
        (["x-a: " + "a" * 40_000], b"431"),
    ],
)
async def test_a_flood_of_headers_is_refused_on_both_ways(
    more: list[str], http_status: bytes
) -> None:
    """Also one that comes in a single packet."""
    async with two_doors() as doors:
        for door in doors.both():
            answer = await door.send([post(*more, "Connection: close")])

            assert answer.startswith(b"HTTP/1.1 " + http_status)
            assert (http_status == b"200") == bool(door.sink.stored)


async def test_the_lines_of_a_body_are_no_headers_wherever_the_head_ends() -> None:
    """Pieces may be cut anywhere, in the blank line as well."""
    head, _, _ = post().partition(b"\r\n\r\n")
    head = head.replace(b"POST", b"PUT")
    body = b"\n" * len(BODY)
    async with two_doors() as doors:
        for cut in range(-2, 6):
            sent = head + b"\r\n\r\n" + body
            pieces = [sent[:20], sent[20 : len(head) + cut], sent[len(head) + cut :]]

            assert (await doors.short.send(pieces))[:12] == b"HTTP/1.1 405"


async def test_a_packet_of_a_thousand_requests_is_cut_off() -> None:
    """Each would wait for the one before it, and is kept meanwhile."""
    async with two_doors() as doors:
        for door in doors.both():
            await door.send([post() * 200])

            assert len(door.sink.stored) <= 20
            await _until(lambda desk=door.door.desk: not desk.requests_in_flight)


async def test_an_idle_connection_is_closed_in_its_time() -> None:
    """And not while it is used."""
    async with opened(idle_timeout_s=0.3) as door:
        reader, writer = await connect(door)
        for _ in range(4):
            writer.write(post())
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")
            await asyncio.sleep(0.1)

        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()


async def test_an_account_that_holds_much_leaves_room_for_others() -> None:
    """Bodies that do not end are held for as long as a request may take."""
    path, body = "/callbacks/twilio/acct_1", b"x" * 18_000
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 19000\r\n\r\n".encode()
    limits = BodyLimits(body_bytes_max=20_000, bytes_in_flight_max=300_000)
    async with two_doors(connections=ConnectionLimits(request_timeout_s=60), body=limits) as doors:
        for door in doors.both():
            held = [await connect(door, head + body) for _ in range(20)]
            await _until(lambda desk=door.door.desk: desk.bodies.bytes_in_flight > 80_000)

            assert await ask(door, OTHER) == b"HTTP/1.1 200 OK"
            # The same account, for somebody else: refused for what it is and not for its size.
            assert (await _answer(door, head.replace(b"19000", b"18000") + body, OTHER))[:12] == (
                b"HTTP/1.1 401"
            )
            assert door.door.desk.bodies.bytes_in_flight <= 100_000
            for _, writer in held:
                writer.close()
            await _until(lambda desk=door.door.desk: not desk.bodies.bytes_in_flight)


def test_refusals_at_a_modest_pace_come_at_once_and_those_of_a_flood_late() -> None:
    """A second's worth is free, nobody waits for more than two, and a calm second forgets it."""
    refusals = Refusals(per_s_max=10.0)

    delays = [refusals.delay_s("a", now_s=100.0) for _ in range(100)]

    assert delays[:10] == [0.0] * 10
    assert delays == sorted(delays)
    assert delays[-1] == pytest.approx(DELAY_S_MAX)
    assert refusals.delay_s("b", now_s=100.0) == 0.0
    assert refusals.delay_s("a", now_s=104.0) == 0.0
    steady = [refusals.delay_s("c", now_s=100.0 + n / 9) for n in range(1_000)]
    assert max(steady) == 0.0


async def test_only_the_refused_wait_and_their_connections_are_not_read_meanwhile() -> None:
    """On both ways; a provider behind the same proxy hears its 200 as ever."""
    wrong = post().replace(b"sha256=", b"sha256=0")
    async with two_doors(refusals_per_s_max=5.0) as doors:
        for door in doors.both():
            flood = await connect(door, wrong * 8)
            await _until(lambda door=door: len(door.book.lines) >= 6)

            assert await ask(door, STRANGER) == b"HTTP/1.1 200 OK"
            assert b"".join(line.encode() for line, *_ in door.book.lines).count(b"refused") <= 7
            flood[1].close()


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():
            await asyncio.sleep(0.01)
