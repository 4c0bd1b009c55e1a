"""Requests to servers of strangers' choice: whom they go to, and what servers may do."""

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from libs.testkit.clock import ManualClock
from services.status.adapters.webhook_poster import WebhookPoster
from services.status.domain.webhook_urls import target_of
from tests.status.webhook_receiver import Receiver


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.0.0.7", "169.254.169.254", "::1", "::ffff:127.0.0.1", "192.168.1.1"],
)
async def test_no_request_goes_to_a_private_address(
    clock: ManualClock, receiver: Receiver, address: str
) -> None:
    """Written as it is, behind a name, or behind a name with a public address beside it."""
    host = f"[{address}]" if ":" in address else address

    async def resolve(name: str, port: int) -> list[str]:
        return ["93.184.216.34", address] if name == "two.example" else [address]

    poster = WebhookPoster(clock, is_closed=False, timeout_s=2, resolve=resolve)
    for url in (f"https://{host}/", "https://one.example/", "https://two.example:8443/x"):
        posted = await poster.post(url, [], b"{}")
        assert (posted.status, "not public" in posted.failure) == (0, True)
        assert "not public" in await poster.check(target_of(url, is_closed=False))
    by_system = WebhookPoster(clock, is_closed=False, timeout_s=2)
    for url in (f"https://{host}/", "https://localhost/", "https://127.1/", "https://2130706433/"):
        assert "not public" in (await by_system.post(url, [], b"{}")).failure
    assert "https" in (await by_system.post(receiver.url(), [], b"{}")).failure
    assert not receiver.requests
    await by_system.close()
    await poster.close()


async def test_tls_proves_the_name_at_the_address_that_was_judged(
    clock: ManualClock, tmp_path: Path
) -> None:
    """The connection goes to an address, and still only the name's owner can answer."""
    cert, key = a_certificate(tmp_path, "hook.example")
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(cert, key)
    receiver = await Receiver(tls=serving).start()
    asked = []

    async def resolve(name: str, port: int) -> list[str]:
        asked.append(name)
        return ["127.0.0.1"]

    trusting = ssl.create_default_context(cafile=str(cert))
    poster = WebhookPoster(clock, is_closed=True, timeout_s=5, resolve=resolve, tls=trusting)
    for host, failure in (
        ("hook.example", ""),
        ("other.example", "its certificate is not trusted"),
    ):
        posted = await poster.post(f"https://{host}:{receiver.port}/", [], b"{}")
        assert posted.failure.startswith(failure) and bool(posted.failure) == bool(failure)
    stranger = WebhookPoster(clock, is_closed=True, timeout_s=5, resolve=resolve)
    posted = await stranger.post(f"https://hook.example:{receiver.port}/", [], b"{}")
    assert posted.failure.startswith("its certificate is not trusted")

    assert [request.headers["host"] for request in receiver.requests] == [
        f"hook.example:{receiver.port}"
    ]
    assert asked == ["hook.example", "other.example", "hook.example"]
    for one in (poster, stranger):
        await one.close()
    await receiver.stop()


async def test_connections_and_answers_of_every_kind_are_borne(
    clock: ManualClock, receiver: Receiver
) -> None:
    """Whatever a server does, the next request is a request again."""
    poster = WebhookPoster(clock, is_closed=True, timeout_s=0.5)

    async def failure() -> str:
        return (await poster.post(receiver.url(), [("webhook-id", "a")], b"{}")).failure

    assert await failure() == ""
    receiver.closes = True  # kept connections end while nobody uses them
    assert [await failure() for _ in range(3)] == ["", "", ""]
    receiver.closes = False
    receiver.raw = b"HTTP/1.1 200 OK\r\ncontent-length: 999999999\r\n\r\n" + b"x" * 200_000
    assert await failure() == ""
    receiver.raw = b"no http\r\n\r\n"
    assert "RemoteProtocolError" in await failure()
    receiver.raw = b""
    receiver.delay_s = 5
    assert await failure() == "no answer within 0.5 s"
    receiver.delay_s = 0
    later = format_datetime(datetime.fromtimestamp(clock.now_us() / 1e6 + 90, UTC), usegmt=True)
    for word, wait_s in ((later, 90), ("-1", 0), ("soon", 0), ("9" * 30, 86_400)):
        receiver.answer = lambda _, word=word: (503, {"retry-after": word})
        posted = await poster.post(receiver.url(), [], b"{}")
        assert (posted.failure, posted.retry_after_s) == ("answered 503", wait_s)
    await receiver.stop()
    gone = WebhookPoster(clock, is_closed=True, timeout_s=0.5)
    assert "failed" in (await gone.post(receiver.url(), [], b"{}")).failure
    for url in ("https://no-such-name.invalid/", f"https://{'a' * 80}.example/"):
        assert (await gone.post(url, [], b"{}")).status == 0
    await poster.close()
    await gone.close()


def a_certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    cert_file, key_file = folder / "cert.pem", folder / "key.pem"
    cert_file.write_bytes(made.public_bytes(pem))
    key_file.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return cert_file, key_file


async def test_a_connection_that_nobody_uses_is_closed(
    clock: ManualClock, receiver: Receiver
) -> None:
    """Each is a file that is open, here and there."""
    poster = WebhookPoster(clock, is_closed=True, timeout_s=2, idle_s=0.05)
    posts = (poster.post(receiver.url(), [("webhook-id", "a")], b"{}") for _ in range(5))
    assert {posted.failure for posted in await asyncio.gather(*posts)} == {""}
    async with asyncio.timeout(10):
        while receiver.open_count:
            await asyncio.sleep(0.01)
    assert (await poster.post(receiver.url(), [], b"{}")).status == 200
    await poster.close()
    async with asyncio.timeout(10):
        while receiver.open_count:
            await asyncio.sleep(0.01)
