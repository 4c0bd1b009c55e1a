import asyncio
import http.client
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from services.ingest.adapters import sns_certificates
from services.ingest.adapters.sns_certificates import REQUESTS_PER_MINUTE_MAX, SnsCertificates
from tests.ingest.sns_signing import CERTIFICATE_URL, SUBSCRIBE_URL, signer

_, PEM = signer("amazon")


class Amazon:
    """A server that stands where Amazon's would, and the requests it was sent."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.hosts: list[str] = []
        self.paths: list[str] = []
        self.answers: Callable[[str], tuple[int, bytes]] = lambda path: (200, PEM.encode())

    def connect(self, host: str, timeout_s: float) -> http.client.HTTPConnection:
        self.hosts.append(host)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)


@contextmanager
def _served() -> Iterator[Amazon]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            amazon.paths.append(self.path)
            status, body = amazon.answers(self.path)
            self.send_response(status)
            if status in (301, 302):
                self.send_header("location", f"http://127.0.0.1:{amazon.port}/elsewhere")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        amazon = Amazon(server.server_port)
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield amazon
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def amazon() -> Iterator[Amazon]:
    with _served() as served:
        yield served


async def test_a_certificate_is_fetched_once(amazon: Amazon) -> None:
    """A thousand callbacks a second must not become requests to Amazon."""
    store = SnsCertificates(amazon.connect)

    found = await asyncio.gather(*(store.certificate(CERTIFICATE_URL) for _ in range(20)))

    assert set(found) == {PEM}
    assert amazon.paths == ["/SimpleNotificationService-abc123.pem"]
    assert amazon.hosts == ["sns.eu-west-1.amazonaws.com"]


@pytest.mark.parametrize(
    "url",
    [
        "http://sns.eu-west-1.amazonaws.com/SimpleNotificationService-abc123.pem",
        "https://evil.test/SimpleNotificationService-abc123.pem",
        "https://sns.eu-west-1.amazonaws.com:1/SimpleNotificationService-abc123.pem",
        "https://a@sns.eu-west-1.amazonaws.com/SimpleNotificationService-abc123.pem",
        "https://127.0.0.1/SimpleNotificationService-abc123.pem",
        SUBSCRIBE_URL,
        "",
    ],
)
async def test_nothing_else_is_ever_opened(amazon: Amazon, url: str) -> None:
    """The last guard, should the first one ever fail."""
    store = SnsCertificates(amazon.connect)

    assert await store.certificate(url) == ""
    if url != SUBSCRIBE_URL:
        assert await store.confirm(url) is False
    assert await store.confirm(CERTIFICATE_URL) is False
    assert amazon.hosts == []


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, b"no"),
        (302, b""),
        (500, PEM.encode()),
        (200, b"<html>"),
        (200, b""),
        (200, b"\xff" * 100),
        (200, PEM.encode() + b" " * 100_000),
    ],
)
async def test_what_is_no_certificate_is_none_and_not_asked_for_again(
    amazon: Amazon, status: int, body: bytes
) -> None:
    """A redirect could lead anywhere; a body could be endless."""
    amazon.answers = lambda path: (status, body)
    store = SnsCertificates(amazon.connect)

    assert await store.certificate(CERTIFICATE_URL) == ""
    assert await store.certificate(CERTIFICATE_URL) == ""
    assert amazon.paths == ["/SimpleNotificationService-abc123.pem"]


async def test_strangers_cannot_make_us_call_for_ever(amazon: Amazon) -> None:
    """Anybody can name a thousand files on Amazon's host."""
    amazon.answers = lambda path: (404, b"")
    store = SnsCertificates(amazon.connect)

    for number in range(REQUESTS_PER_MINUTE_MAX + 20):
        await store.certificate(CERTIFICATE_URL.replace("abc123", f"x{number}"))

    assert len(amazon.paths) == REQUESTS_PER_MINUTE_MAX


async def test_a_server_that_dawdles_is_left(
    amazon: Amazon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The provider waits for our answer meanwhile."""
    monkeypatch.setattr(sns_certificates, "REQUEST_TIMEOUT_S", 0.2)
    with _served() as slow:
        released = asyncio.Event()
        loop = asyncio.get_running_loop()

        def wait(path: str) -> tuple[int, bytes]:
            asyncio.run_coroutine_threadsafe(released.wait(), loop).result()
            return 200, PEM.encode()

        slow.answers = wait
        try:
            assert await SnsCertificates(slow.connect).certificate(CERTIFICATE_URL) == ""
        finally:
            released.set()
            await asyncio.sleep(0)


async def test_nobody_answering_is_no_certificate() -> None:
    """Amazon may be out of reach; the callback is asked for again."""

    def refuse(host: str, timeout_s: float) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", 1, timeout=timeout_s)

    assert await SnsCertificates(refuse).certificate(CERTIFICATE_URL) == ""


async def test_a_subscription_is_confirmed_at_amazon(amazon: Amazon) -> None:
    """And only a 200 says that it is."""
    store = SnsCertificates(amazon.connect)

    assert await store.confirm(SUBSCRIBE_URL) is True
    amazon.answers = lambda path: (403, b"")
    assert await store.confirm(SUBSCRIBE_URL) is False

    assert amazon.paths == ["/?Action=ConfirmSubscription&Token=t0k"] * 2
