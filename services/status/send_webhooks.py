"""Sends one endpoint its changes: new ones from the stream, and those that it did not take before.

The place in the stream moves in the same transaction that keeps what was not taken before it, so
that a process killed at any line sends some changes twice, under the same ids, and loses none.
While too much waits, nothing more is taken from the stream: that is the queue, and costs nothing.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from time import monotonic
from typing import Final

import msgspec
from bluetick.v1.message_service_pb2 import ChangeFilter

from libs.runtime import logs
from libs.runtime.secret_box import Sealed
from services.status import measures
from services.status.domain.change_filter import Placed, wanted
from services.status.domain.watch_place import Place
from services.status.domain.webhook_schedule import next_attempt_us
from services.status.domain.webhook_signing import headers_of
from services.status.domain.webhooks import GONE, Endpoint, Letter, letter_of, purpose_of
from services.status.log_events import LogEvent
from services.status.watch_changes import Batch, Look
from services.status.webhook_ports import LeaseLost, Posted, Sending, Tally

_log = logs.get_logger()

# Changes between two commits of the place: so many are sent again after a kill at most.
_STEP_CHANGES: Final = 64
_STREAM_WAIT_S: Final = 5.0
# A place that moves without anything to send is stored so often.
_QUIET_S: Final = 30.0
# So many failures in a row, and the endpoint counts as away; the first success then hurries all.
_AWAY_AFTER: Final = 5
# An endpoint may ask for so long a silence; a single change waits longer where it says so.
_SILENCE_S_MAX: Final = 3_600.0
_SECOND_US: Final = 1_000_000
_STATUS_GONE: Final = 410
_HEADERS: Final = [("content-type", "application/json"), ("user-agent", "Bluetick-Webhooks/1")]


class EndpointSender:
    """Works at one endpoint as long as this replica holds it."""

    def __init__(self, sending: Sending, endpoint: Endpoint, *, requests_max: int) -> None:
        """Begin where ``endpoint`` stands, with at most ``requests_max`` at once."""
        self._sending = sending
        self.endpoint = endpoint
        self._wanted = wanted(ChangeFilter.FromString(endpoint.filter))
        self._room = asyncio.Semaphore(requests_max)
        self._stirred = asyncio.Event()
        self._has_room = asyncio.Event()
        self._count(0)
        self._pause_until = 0.0  # monotonic seconds: the endpoint asked for it
        self._failures = 0  # in a row
        # What waits is counted beside its commit, or read anew: never one between the other.
        self._counting = asyncio.Lock()
        self._steps = 0  # under way
        self._idle = asyncio.Event()
        self._idle.set()
        self._is_ending = False

    async def run(self) -> None:
        """Send until cancelled.

        Raises:
            ExceptionGroup: of ``LeaseLost``: it is another replica's, or was changed or disabled;
                of ``Outage``, ``OutOfRange``: begin anew.
        """
        if not self._secrets(self._sending.clock.now_us()):
            await self._say_sealed()
        self._count(await self._sending.store.count_waiting(self.endpoint))
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow())
            group.create_task(self._try_again())

    async def end(self, patience_s: float) -> None:
        """Begin nothing more; return when all is stored that was sent, or after ``patience_s``."""
        self._is_ending = True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), patience_s)

    @contextlib.asynccontextmanager
    async def _step(self) -> AsyncIterator[None]:
        """From the first request to its commit: cut in between, it would all be sent again."""
        if self._is_ending:
            await asyncio.Event().wait()
        self._steps += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._steps -= 1
            if not self._steps:
                self._idle.set()

    async def _follow(self) -> None:
        """Send what comes in the stream."""
        feed, endpoint = self._sending.feed, self.endpoint
        look = await feed.look()
        place = await self._start(look)
        stored, stored_time = place, monotonic()
        async with feed.reading(endpoint.tenant_id, look.stream_id, place.seq) as reading:
            while True:
                await self._room_for_letters()
                for batch in await reading.next(_STREAM_WAIT_S):
                    chosen = [one for one in self._chosen(batch) if one[0] > place]
                    for step in _steps(chosen):
                        await self._room_for_letters()
                        async with self._step():
                            await self._send_step(look.stream_id, step)
                        stored, stored_time = step[-1][0], monotonic()
                    place = Place(batch.seq + 1)
                place = max(place, Place(reading.seq))
                if place > stored and monotonic() - stored_time > _QUIET_S:
                    await self._advance(look.stream_id, place, (), Tally())
                    stored, stored_time = place, monotonic()

    async def _start(self, look: Look) -> Place:
        """Return where to begin; a gap is told."""
        place = self.endpoint.place
        is_same = self.endpoint.stream_id == look.stream_id and place.seq <= look.last_seq + 1
        if is_same and place.seq >= look.first_seq:
            return place
        missed: LogEvent = "webhook.missed"
        _log.warning(missed, tenant=self.endpoint.tenant_id, endpoint=self.endpoint.endpoint_id)
        place = Place(max(look.first_seq, 1))
        await self._sending.store.missed(
            self._sending.owner, self.endpoint, self._sending.clock.now_us()
        )
        await self._advance(look.stream_id, place, (), Tally())
        return place

    def _chosen(self, batch: Batch) -> Iterator[Placed]:
        if not self._wanted.has_state(batch.state):
            return
        for position, change in enumerate(batch.public, 1):
            if self._wanted.wants(change):
                yield Place(batch.seq, position), change

    async def _send_step(self, stream_id: int, step: Sequence[Placed]) -> None:
        letters = await self._attempt_all(letter_of(change) for _, change in step)
        left = [letter for letter in letters if letter.failure]
        async with self._counting:
            await self._advance(stream_id, step[-1][0], left, _tally(letters))
            await self._after(letters, added=len(left))

    async def _advance(
        self, stream_id: int, place: Place, letters: Sequence[Letter], tally: Tally
    ) -> None:
        sending = self._sending
        await sending.store.advance(sending.owner, self.endpoint, stream_id, place, letters, tally)

    async def _room_for_letters(self) -> None:
        await self._has_room.wait()

    def _count(self, waiting: int) -> None:
        """Note how many letters wait, for those who wait for that."""
        self._waiting = waiting
        for event, is_so in (
            (self._stirred, waiting > 0),
            (self._has_room, waiting < self._sending.waiting_max),
        ):
            if is_so:
                event.set()
            else:
                event.clear()

    async def _try_again(self) -> None:
        """Send what is due again."""
        sending = self._sending
        while True:
            await self._stirred.wait()
            now_us = sending.clock.now_us()
            due = await sending.store.due(self.endpoint, now_us, _STEP_CHANGES)
            if not due:
                await asyncio.sleep(sending.poll_s)
                # A change sent again after a replay may have been counted twice.
                async with self._counting:
                    self._count(await sending.store.count_waiting(self.endpoint))
                continue
            async with self._step():
                await self._send_again(due)

    async def _send_again(self, due: Sequence[Letter]) -> None:
        sending = self._sending
        letters = await self._attempt_all(due)
        taken = [letter.webhook_id for letter in letters if not letter.failure]
        others = [letter for letter in letters if letter.failure]
        left = sum(not letter.is_dead for letter in others)
        async with self._counting:
            await sending.store.settle(sending.owner, self.endpoint, taken, others, _tally(letters))
            await self._after(letters, added=left - len(due))

    async def _attempt_all(self, letters: Iterable[Letter]) -> list[Letter]:
        async with asyncio.TaskGroup() as group:
            attempts = [group.create_task(self._attempt(letter)) for letter in letters]
        return [attempt.result() for attempt in attempts]

    async def _attempt(self, letter: Letter) -> Letter:
        """Return the letter after one attempt; without a failure it was taken."""
        async with self._room:
            if (pause_s := self._pause_until - monotonic()) > 0:
                await asyncio.sleep(pause_s)
            now_us = self._sending.clock.now_us()
            secrets = self._secrets(now_us)
            headers = headers_of(letter.webhook_id, now_us // _SECOND_US, letter.body, secrets)
            posted = await self._sending.poster.post(
                self.endpoint.url, [*_HEADERS, *headers], letter.body
            )
        return await self._judged(letter, posted)

    async def _judged(self, letter: Letter, posted: Posted) -> Letter:
        now_us = self._sending.clock.now_us()
        if posted.status == _STATUS_GONE:
            await self._gone()
        if posted.retry_after_s:
            self._pause_until = monotonic() + min(posted.retry_after_s, _SILENCE_S_MAX)
        count = letter.attempt_count + 1
        first_us = letter.first_time_us or now_us
        due_us = next_attempt_us(count, first_us, now_us, posted.retry_after_s)
        measures.WEBHOOKS_POSTED.labels("failed" if posted.failure else "taken").inc()
        return msgspec.structs.replace(
            letter,
            attempt_count=count,
            first_time_us=first_us,
            last_time_us=now_us,
            due_time_us=due_us or 0,
            is_dead=due_us is None,
            failure=posted.failure,
        )

    async def _gone(self) -> None:
        """Stop before anything moves: what was to be sent stays before the place."""
        sending = self._sending
        gone: LogEvent = "webhook.gone"
        _log.warning(gone, tenant=self.endpoint.tenant_id, endpoint=self.endpoint.endpoint_id)
        await sending.store.disable(sending.owner, self.endpoint, GONE)
        raise LeaseLost(self.endpoint.endpoint_id)

    async def _after(self, letters: Sequence[Letter], added: int) -> None:
        """Count what waits; after an outage of the endpoint, have all of it tried now."""
        self._count(self._waiting + added)
        dead = sum(letter.is_dead for letter in letters)
        if dead:
            measures.WEBHOOKS_DEAD.inc(dead)
        was_away = self._failures >= _AWAY_AFTER
        for letter in letters:
            self._failures = self._failures + 1 if letter.failure else 0
        if was_away and any(not letter.failure for letter in letters):
            await self._sending.store.hurry(self.endpoint, self._sending.clock.now_us())

    async def _say_sealed(self) -> None:
        """Wait for whoever starts us anew, with the key: our fault costs no change its attempts."""
        sending, endpoint = self._sending, self.endpoint
        sealed: LogEvent = "webhook.sealed"
        _log.error(sealed, tenant=endpoint.tenant_id, endpoint=endpoint.endpoint_id)
        why = "BLUETICK_ACCOUNT_KEYS has no key that opens its secret; nothing is sent"
        tally = Tally(failure_time_us=sending.clock.now_us(), failure=why)
        await sending.store.settle(sending.owner, endpoint, (), (), tally)
        await asyncio.Event().wait()

    def _secrets(self, now_us: int) -> list[str]:
        """Return the secrets that sign; none if one of them does not open."""
        endpoint = self.endpoint
        opened = [
            self._sending.sealer.open(
                Sealed(one.seal_key_id, one.sealed),
                purpose_of(endpoint.tenant_id, endpoint.endpoint_id, one.secret_id),
            )
            for one in endpoint.secrets
            if one.is_live(now_us)
        ]
        secrets = [secret for secret in opened if secret is not None]
        return secrets if len(secrets) == len(opened) else []


def _steps(chosen: Sequence[Placed]) -> Iterator[Sequence[Placed]]:
    for start in range(0, len(chosen), _STEP_CHANGES):
        yield chosen[start : start + _STEP_CHANGES]


def _tally(letters: Sequence[Letter]) -> Tally:
    taken = [letter.last_time_us for letter in letters if not letter.failure]
    failed = [letter for letter in letters if letter.failure]
    last = max(failed, key=lambda letter: letter.last_time_us, default=None)
    return Tally(
        success_time_us=max(taken, default=0),
        failure_time_us=last.last_time_us if last is not None else 0,
        failure=last.failure if last is not None else "",
    )
