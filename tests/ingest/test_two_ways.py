import asyncio
import random
import re
from collections.abc import AsyncIterator
from typing import Any

import httptools
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.ingest.adapters.request_body import BodyLimits
from services.ingest.providers.provider import AsksOutside, Callback
from tests.ingest.fuzzed_doors import targets
from tests.ingest.meta_bodies import change, dump, envelope, signature, status
from tests.ingest.two_ways import BODY_BYTES_MAX, TwoDoors, two_doors

# Made once, here: inside a property the first call would differ from the second.
TARGETS = [target for target in targets().values() if not isinstance(target.provider, AsksOutside)]
PATH = "/callbacks/meta/acct_1"
BODY = dump(envelope(change(statuses=[status()])))
LAST = b"GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
ENDINGS = ("", "/", "?a=b", "?a=b%20c&d=?", "?", "#x", "?a=b#c", "%31", "/..", "?" + "q" * 5_000)
_CONTROLS = re.compile("[\x00-\x1f\x7f]")


def _request(callback: Callback, path: str, chance: random.Random) -> bytes:
    """Return the callback as HTTP, plainly more often than not."""
    target = f"{path}?{callback.query}" if callback.query else path
    if chance.random() < 0.3:
        target += chance.choice(ENDINGS)
    if chance.random() < 0.05:
        target = f"http://elsewhere.example{target}"
    headers = [("host", "hooks.example.com")]
    headers += [(name, _CONTROLS.sub("", value)) for name, value in callback.headers.items()]
    if chance.random() < 0.2:
        headers.append(chance.choice(headers))
    if chance.random() < 0.1:
        odd = (
            ("connection", "close"), ("connection", "keep-alive"), ("expect", "100-continue"),
            ("upgrade", "websocket"), ("connection", "upgrade"), ("x-odd", "\xe9\xff"),
        )  # fmt: skip
        headers.append(chance.choice(odd))
    method = callback.method if chance.random() < 0.9 else chance.choice(("GET", "HEAD", "PUT"))
    version = "1.1" if chance.random() < 0.95 else "1.0"
    framing, body = _framed(callback.body, chance)
    lines = [f"{method} {target} HTTP/{version}"]
    lines += [f"{chance.choice((name, name.title()))}: {value}" for name, value in headers]
    head = "\r\n".join([*lines, *framing]).encode("latin-1", "replace")
    return head + b"\r\n\r\n" + body


def _framed(body: bytes, chance: random.Random) -> tuple[list[str], bytes]:
    how = chance.random()
    if how < 0.8:
        return [f"Content-Length: {len(body)}"], body
    if how < 0.9:
        half = len(body) // 2
        parts = [part for part in (body[:half], body[half:]) if part]
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
        return ["Transfer-Encoding: chunked"], chunks + b"0\r\n\r\n"
    return [], body


def _conversation(chance: random.Random) -> tuple[list[bytes], int, bytes]:
    """Return what is sent on one connection: requests, in pieces of any length, how many; the rest.

    The rest is sent when these are answered. It ends the connection at once if it is no request,
    and what was not answered until then never is: on the long way, that would be chance.
    """
    sent, count = b"", 0
    rest = LAST if chance.random() < 0.9 else _post()[:-5]
    for _ in range(chance.randint(1, 3)):
        target = chance.choice(TARGETS)
        callback = target.made_up(chance) if chance.random() < 0.6 else chance.choice(target.seeds)
        name = chance.choice((target.account.account,) * 4 + ("bare", "nobody"))
        request = _request(callback, f"/callbacks/{target.provider.name}/{name}", chance)
        head, end, body = request.partition(b"\r\n\r\n")
        if _is_one(request):
            sent, count = sent + request, count + 1
        elif _is_one(head + end):
            sent, count, rest = sent + head + end, count + 1, body
            break
        else:
            rest = request
            break
    cuts = sorted(chance.sample(range(1, len(sent)), chance.choice((0, 0, 1, 3)))) if sent else []
    pieces = [sent[a:b] for a, b in zip([0, *cuts], [*cuts, len(sent)], strict=True)]
    if rest == LAST and chance.random() < 0.5:
        # A request may also come before the one before it is answered.
        pieces[-1] += rest
        return pieces, count + 1, b""
    return pieces, count, rest


class _Ends:
    """Counts the requests that a parser has read to their end."""

    def __init__(self) -> None:
        self.count = 0

    def on_message_complete(self) -> None:
        self.count += 1


def _is_one(sent: bytes) -> bool:
    """Say whether servers read one request of HTTP, to its end and not beyond."""
    ends = _Ends()
    parser = httptools.HttpRequestParser(ends)
    try:
        parser.feed_data(sent)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade):
        return False
    return ends.count == 1


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(chance=st.randoms(use_true_random=False), is_away=st.booleans())
async def test_both_ways_answer_and_store_the_same(
    doors: TwoDoors, chance: random.Random, is_away: bool
) -> None:
    """A provider must not notice which way its callback took, whatever it sends and how."""
    pieces, count, rest = _conversation(chance)
    for door in doors.both():
        door.forget(is_away=is_away)

    answers = await asyncio.gather(*[door.send(pieces, count, rest) for door in doors.both()])

    # What a sender reads whose connection was reset is chance.
    if b"reset" not in answers:
        assert answers[0] == answers[1], (pieces, rest)
    assert doors.short.sink.stored == doors.long.sink.stored
    assert doors.short.book.lines == doors.long.book.lines
    assert doors.long.sink.soon_count == 0
    for door in doors.both():
        assert door.door.desk.requests_in_flight == 0
        assert door.door.desk.bodies.bytes_in_flight == 0


@pytest.mark.parametrize(
    ("provider", "body"),
    [
        ("meta", b'{"object":"whatsapp_business_account","entry":[]}'),
        ("infobip", b'{"results":[]}'),
        ("brevo", b"[]"),
        ("brevo", b'{"items":[],"\\u0000":"\\u0000"}'),
        ("azure", b"[]"),
    ],
)
async def test_what_holds_nothing_needs_no_broker_on_both_ways(
    doors: TwoDoors, provider: str, body: bytes
) -> None:
    """An empty list cannot be lost; a 503 would have it told again for days."""
    target = targets()[provider]
    callback = target.signed(random.Random(1), body)
    callback = callback or msgspec.structs.replace(target.seeds[0], body=body)
    path = f"/callbacks/{provider}/{target.account.account}"
    for door in doors.both():
        door.forget(is_away=True)

    request = _post(body, path, **callback.headers)
    answers = [await door.send([request, LAST]) for door in doors.both()]

    assert answers[0] == answers[1]
    assert answers[0].startswith(b"HTTP/1.1 200 OK")
    assert doors.short.book.lines == doors.long.book.lines


def _post(body: bytes = BODY, path: str = PATH, **headers: Any) -> bytes:
    given = {"Host": "x", "Content-Length": str(len(body)), **signature(body), **headers}
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@pytest.mark.parametrize(
    ("pieces", "soon_count"),
    [
        ([_post(), LAST], 1),
        ([_post()[:40], _post()[40:-20], _post()[-20:] + LAST], 1),
        ([_post(b"not json"), LAST], 1),
        # Behind one that waits for the broker, a callback waits for its turn on the long way.
        ([_post() + _post() + LAST], 1),
        ([_post(Expect="100-continue"), LAST], 0),
        ([_post(Connection="close")], 0),
    ],
)
async def test_a_plain_callback_takes_the_short_way(pieces: list[bytes], soon_count: int) -> None:
    """What is compared above must have been two ways."""
    async with two_doors() as doors:
        answers = [await door.send(pieces) for door in doors.both()]

        assert answers[0] == answers[1]
        assert answers[0].count(b"HTTP/1.1 200 OK") == b"".join(pieces).count(b"POST")
        assert doors.short.sink.soon_count == soon_count
        assert doors.short.sink.stored == doors.long.sink.stored


async def test_a_connection_takes_the_short_way_again_and_again(doors: TwoDoors) -> None:
    """Providers keep their connections; the first callback must not be the only quick one."""
    reader, writer = await asyncio.open_connection("127.0.0.1", doors.short.port)

    for _ in range(3):
        writer.write(_post())
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")
    writer.close()

    assert doors.short.sink.soon_count == 3


@pytest.mark.parametrize(
    ("limits", "http_status"),
    [
        ({"requests_in_flight_max": 0}, 503),
        ({"body": BodyLimits(body_bytes_max=len(BODY) - 1)}, 413),
        ({"body": BodyLimits(body_bytes_max=BODY_BYTES_MAX, bytes_in_flight_max=100)}, 503),
    ],
)
async def test_a_full_door_says_the_same_on_both_ways(
    limits: dict[str, Any], http_status: int
) -> None:
    """Limits are the door's, not those of a way through it."""
    async with two_doors(**limits) as doors:
        answers = [await door.send([_post(), LAST]) for door in doors.both()]

        assert answers[0] == answers[1]
        assert answers[0].startswith(b"HTTP/1.1 %d " % http_status)
        assert doors.short.door.desk.bodies.bytes_in_flight == 0


async def test_a_head_that_does_not_end_is_refused(doors: TwoDoors) -> None:
    """Without a limit one connection could fill the memory."""
    flood = [b"POST / HTTP/1.1\r\n", *[b"x-a: %s\r\n" % (b"b" * 8_000) for _ in range(12)]]

    for door in doors.both():
        answer = await door.send(flood)
        assert answer.startswith(b"HTTP/1.1 431 ") or answer == b"reset"


async def test_a_sender_who_leaves_before_the_answer_costs_nothing(doors: TwoDoors) -> None:
    """It was stored; only nobody is there to hear it."""
    await doors.short.send([_post(), b"garbage after it\r\n\r\n"])

    assert doors.short.door.desk.requests_in_flight == 0
    assert len(doors.short.sink.stored) == 1


@pytest.fixture
async def doors() -> AsyncIterator[TwoDoors]:
    async with two_doors() as doors:
        yield doors
