"""Posts to addresses of strangers' choice: HTTP/1.1 by h11, over connections of our own.

A name is looked up here, every address of it is judged, and the connection goes to the very
address that was judged: nothing can lead it elsewhere in between. Redirects are answers like
others, proxies are not asked, and time and bytes are bounded.
"""

import asyncio
import contextlib
import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from socket import IPPROTO_TCP, SOCK_STREAM, gaierror, getaddrinfo
from typing import Final

import h11

from libs.runtime.clock import Clock
from services.status.domain.public_addresses import is_public, is_reachable
from services.status.domain.webhook_urls import Target, UrlProblem, target_of
from services.status.webhook_ports import Posted

# From a name and port to addresses.
Resolve = Callable[[str, int], Awaitable[list[str]]]

ANSWER_BYTES_MAX: Final = 64 * 1024
IDLE_S: Final = 20.0
# Connections that are kept while nobody uses them, to all places together.
IDLE_MAX: Final = 128
_READ_BYTES: Final = 16 * 1024
_LOOKUPS_AT_ONCE: Final = 128
_RETRY_AFTER_MAX_S: Final = 24 * 3600.0


class _Refused(Exception):
    """Nobody may be called there; says why."""


class _Connection:
    """One connection, and how far it is in its protocol."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.state = h11.Connection(h11.CLIENT)
        self.end: asyncio.TimerHandle | None = None  # while it is idle

    def close(self) -> None:
        self.writer.close()


class WebhookPoster:
    """``webhook_ports.Poster``."""

    def __init__(
        self,
        clock: Clock,
        *,
        is_closed: bool,
        timeout_s: float,
        resolve: Resolve | None = None,
        tls: ssl.SSLContext | None = None,
        idle_s: float = IDLE_S,
    ) -> None:
        """Build it.

        Args:
            clock: for times in answers.
            is_closed: the network is closed: private addresses, http and any port may be used.
            timeout_s: for one request, look-up and answer included.
            resolve: asks the system unless given.
            tls: trusts what the system trusts unless given.
            idle_s: for which a connection is kept that nobody uses.
        """
        self._clock = clock
        self._is_closed = is_closed
        self._timeout_s = timeout_s
        # Threads of their own: names that nobody answers for keep no other work waiting.
        self._threads = ThreadPoolExecutor(_LOOKUPS_AT_ONCE, "webhook_names")
        self._resolve = resolve or self._system_resolve
        self._tls = tls or ssl.create_default_context()
        self._lookups: dict[tuple[str, int], asyncio.Future[list[str]]] = {}
        self._idle: dict[Target, deque[_Connection]] = {}
        self._idle_count = 0
        self._idle_s = idle_s

    async def post(self, url: str, headers: Sequence[tuple[str, str]], body: bytes) -> Posted:
        """See ``Poster``."""
        try:
            target = target_of(url, is_closed=self._is_closed)
            async with asyncio.timeout(self._timeout_s):
                response = await self._exchange(target, headers, body)
        except TimeoutError:
            return Posted(0, f"no answer within {self._timeout_s:g} s")
        except (UrlProblem, _Refused) as problem:
            return Posted(0, str(problem))
        except (gaierror, UnicodeError):
            return Posted(0, "its name is not known")
        except ssl.SSLCertVerificationError as error:
            return Posted(0, f"its certificate is not trusted: {error.verify_message}"[:200])
        except (OSError, h11.ProtocolError, EOFError) as error:
            return Posted(0, f"the connection failed: {type(error).__name__}")
        if 200 <= response.status_code < 300:
            return Posted(response.status_code)
        failure = f"answered {response.status_code}"
        if 300 <= response.status_code < 400:
            failure += "; redirects are not followed"
        return Posted(response.status_code, failure, self._retry_after_s(response))

    async def check(self, target: Target) -> str:
        """Return why nobody may be called there; empty: it may be, or is not known by now."""
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._addresses(target)
        except _Refused as problem:
            return str(problem)
        except (OSError, UnicodeError):
            return ""
        return ""

    async def close(self) -> None:
        """Close idle connections."""
        for target in list(self._idle):
            while (connection := self._kept(target)) is not None:
                connection.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _exchange(
        self, target: Target, headers: Sequence[tuple[str, str]], body: bytes
    ) -> h11.Response:
        kept = self._kept(target)
        if kept is not None:
            try:
                return await self._request(kept, target, headers, body)
            except (OSError, h11.RemoteProtocolError, EOFError) as error:
                # It ended while nobody used it; on a new one the id tells a repetition.
                if isinstance(error, TimeoutError):
                    raise
        return await self._request(await self._connect(target), target, headers, body)

    async def _request(
        self,
        connection: _Connection,
        target: Target,
        headers: Sequence[tuple[str, str]],
        body: bytes,
    ) -> h11.Response:
        is_kept = False
        try:
            state, writer = connection.state, connection.writer
            request = h11.Request(
                method="POST",
                target=target.path,
                headers=[
                    ("host", target.authority),
                    ("content-length", str(len(body))),
                    *headers,
                ],
            )
            sent = (request, h11.Data(data=body), h11.EndOfMessage())
            writer.write(b"".join(state.send(event) or b"" for event in sent))
            await writer.drain()
            response, is_whole = await _answer(connection)
            if is_whole and state.our_state is state.their_state is h11.DONE:
                state.start_next_cycle()
                is_kept = self._keep(target, connection)
            return response
        finally:
            if not is_kept:
                connection.close()

    async def _connect(self, target: Target) -> _Connection:
        failure: OSError | None = None
        for address in await self._addresses(target):
            try:
                reader, writer = await asyncio.open_connection(
                    address,
                    target.port,
                    ssl=self._tls if target.is_tls else None,
                    server_hostname=target.host if target.is_tls else None,
                )
            except ssl.SSLError:
                raise
            except OSError as error:
                failure = error
            else:
                return _Connection(reader, writer)
        raise failure or OSError("no address")

    async def _addresses(self, target: Target) -> list[str]:
        """Return the addresses of a host.

        Raises:
            _Refused: one of them is not for webhooks; then none is, whichever answers today.
        """
        addresses = await self._look_up(target.host, target.port)
        may_call = is_reachable if self._is_closed else is_public
        if not addresses or not all(map(may_call, addresses)):
            raise _Refused("its name leads to an address that is not public; nothing was sent")
        return addresses

    async def _look_up(self, host: str, port: int) -> list[str]:
        # One look-up a name at a time, in one thread, however many wait for it.
        lookup = self._lookups.get((host, port))
        if lookup is None:
            lookup = asyncio.ensure_future(self._resolve(host, port))
            self._lookups[host, port] = lookup
            lookup.add_done_callback(lambda done: self._looked_up(host, port, done))
        return await asyncio.shield(lookup)

    def _looked_up(self, host: str, port: int, done: asyncio.Future[list[str]]) -> None:
        del self._lookups[host, port]
        if not done.cancelled():
            done.exception()  # whoever waited has it

    async def _system_resolve(self, host: str, port: int) -> list[str]:
        found = await asyncio.get_running_loop().run_in_executor(
            self._threads, lambda: getaddrinfo(host, port, type=SOCK_STREAM, proto=IPPROTO_TCP)
        )
        return list(dict.fromkeys(str(one[4][0]) for one in found))

    def _kept(self, target: Target) -> _Connection | None:
        while idle := self._idle.get(target):
            connection = idle[-1]
            self._take(target, connection)
            if not connection.reader.at_eof():
                return connection
            connection.close()
        return None

    def _keep(self, target: Target, connection: _Connection) -> bool:
        if self._idle_count >= IDLE_MAX:
            return False

        def end() -> None:
            self._take(target, connection)
            connection.close()

        connection.end = asyncio.get_running_loop().call_later(self._idle_s, end)
        self._idle.setdefault(target, deque()).append(connection)
        self._idle_count += 1
        return True

    def _take(self, target: Target, connection: _Connection) -> None:
        idle = self._idle[target]
        idle.remove(connection)
        if not idle:
            del self._idle[target]
        self._idle_count -= 1
        if connection.end is not None:
            connection.end.cancel()

    def _retry_after_s(self, response: h11.Response) -> float:
        """Return what the answer asks for, in seconds: https://www.rfc-editor.org/rfc/rfc9110."""
        word = next((v.decode("latin-1") for k, v in response.headers if k == b"retry-after"), "")
        try:
            wait_s = float(int(word))
        except ValueError:
            wait_s = 0.0
            with contextlib.suppress(ValueError, OverflowError):
                wait_s = parsedate_to_datetime(word).timestamp() - self._clock.now_us() / 1e6
        return min(max(wait_s, 0.0), _RETRY_AFTER_MAX_S)


async def _answer(connection: _Connection) -> tuple[h11.Response, bool]:
    """Return the answer's head, and whether its body ended within the limit."""
    response: h11.Response | None = None
    size = 0
    while True:
        try:
            event = connection.state.next_event()
        except h11.RemoteProtocolError:
            if response is None:
                raise
            return response, False  # what was said first counts
        if event is h11.NEED_DATA:
            data = await connection.reader.read(_READ_BYTES)
            if not data and response is None:
                raise EOFError("closed without an answer")
            connection.state.receive_data(data)
        elif isinstance(event, h11.Response):
            response = event
        elif isinstance(event, h11.Data):
            size += len(event.data)
        elif isinstance(event, (h11.EndOfMessage, h11.ConnectionClosed)) and response is not None:
            return response, isinstance(event, h11.EndOfMessage)
        if response is not None and size > ANSWER_BYTES_MAX:
            return response, False
