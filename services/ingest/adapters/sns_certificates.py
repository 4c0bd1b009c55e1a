"""Calls to Amazon SNS: certificates, once each, and confirmations of subscriptions.

The addresses come from callbacks that are not proven yet, so each is matched against the rule in
`domain/sns_urls.py` before anything is opened; redirects are not followed, proxies not asked, and
time, bytes and the number of requests are bounded.
"""

import asyncio
import http.client
import ssl
import time
from collections import deque
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from libs.runtime import logs
from services.ingest.domain.sns_urls import is_certificate_url, is_subscribe_url
from services.ingest.log_events import LogEvent
from services.ingest.providers.sns_envelope import public_keys

_log = logs.get_logger()

Connect = Callable[[str, float], http.client.HTTPConnection]

ANSWER_BYTES_MAX: Final = 64 * 1024
REQUEST_TIMEOUT_S: Final = 5.0
# A stranger can name any file on Amazon's host: so many requests a minute, and no more.
REQUESTS_PER_MINUTE_MAX: Final = 30
# What was not there a moment ago is not asked for again at once.
MISSING_S: Final = 60.0
CERTIFICATES_MAX: Final = 64


class SnsCertificates:
    """Certificates of Amazon SNS by address, kept as long as the process lives."""

    def __init__(self, connect: Connect | None = None) -> None:
        """Call Amazon over TLS; ``connect`` (host, seconds) opens something else instead."""
        self._connect = connect or _tls_connection()
        self._known: dict[str, str] = {}
        self._missing: dict[str, float] = {}
        self._recent: deque[float] = deque()
        self._turn = asyncio.Lock()

    async def certificate(self, url: str) -> str:
        """Return the certificate at ``url`` as PEM; empty if it is refused or cannot be had now."""
        if not is_certificate_url(url):
            return ""
        known = self._known.get(url)
        if known is not None:
            return known
        # One at a time: callbacks that wait for the same certificate then find it.
        async with self._turn:
            known = self._known.get(url)
            return known if known is not None else await self._fetch(url)

    async def confirm(self, url: str) -> bool:
        """Confirm a subscription; return whether SNS answered 200."""
        if not is_subscribe_url(url):
            return False
        async with self._turn:
            confirmed = await self._get(url) is not None
        if confirmed:
            done: LogEvent = "subscription.confirmed"
            _log.info(done, host=urlsplit(url).hostname)
        return confirmed

    async def _fetch(self, url: str) -> str:
        now = time.monotonic()
        if now - self._missing.get(url, -MISSING_S) < MISSING_S:
            return ""
        pem = (await self._get(url) or b"").decode("ascii", errors="replace")
        if not public_keys(pem):
            if len(self._missing) >= CERTIFICATES_MAX:
                self._missing.clear()
            self._missing[url] = now
            return ""
        if len(self._known) >= CERTIFICATES_MAX:
            self._known.pop(next(iter(self._known)))
        self._known[url] = pem
        return pem

    async def _get(self, url: str) -> bytes | None:
        """Return the body of a 200; None for anything else."""
        why = "too many requests in a minute"
        if self._may_ask():
            try:
                return await asyncio.to_thread(_get, self._connect, url)
            except (OSError, http.client.HTTPException, ValueError) as error:
                why = f"{type(error).__name__}: {error}"
        failed: LogEvent = "outside.failed"
        _log.warning(failed, host=urlsplit(url).hostname, why=why)
        return None

    def _may_ask(self) -> bool:
        now = time.monotonic()
        while self._recent and now - self._recent[0] > 60:
            self._recent.popleft()
        if len(self._recent) >= REQUESTS_PER_MINUTE_MAX:
            return False
        self._recent.append(now)
        return True


def _get(connect: Connect, url: str) -> bytes:
    """Make one GET, in a thread.

    Raises:
        OSError, HTTPException, ValueError: no answer in time, none of 200, or one too long.
    """
    until = time.monotonic() + REQUEST_TIMEOUT_S
    place = urlsplit(url)
    connection = connect(place.hostname or "", REQUEST_TIMEOUT_S)
    try:
        path = f"{place.path}?{place.query}" if place.query else place.path
        connection.request("GET", path, headers={"Host": place.netloc, "Connection": "close"})
        response = connection.getresponse()
        if response.status != 200:
            raise ValueError(f"answered {response.status}")
        body = b""
        while chunk := response.read1(8_192):
            body += chunk
            if len(body) > ANSWER_BYTES_MAX:
                raise ValueError(f"longer than {ANSWER_BYTES_MAX} bytes")
            if time.monotonic() > until:
                raise TimeoutError("too slow")
        return body
    finally:
        connection.close()


def _tls_connection() -> Connect:
    context = ssl.create_default_context()

    def connect(host: str, timeout_s: float) -> http.client.HTTPConnection:
        return http.client.HTTPSConnection(host, 443, timeout=timeout_s, context=context)

    return connect
