"""Has quarantined callbacks read again, and lets go of those that could be."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

from bluetick.v1.event_pb2 import Event, EventBatch, Quarantined
from bluetick.v1.ingest_service_pb2 import (
    ReplayedCallback,
    ReplayQuarantineRequest,
    ReplayQuarantineResponse,
)
from google.protobuf.message import DecodeError

from libs.runtime.broker import BrokerUnavailable
from libs.runtime.replay import Reread
from libs.runtime.rpc_errors import InvalidArgument, Unavailable
from services.status.domain.flaws import REFUSED, find_flaw
from services.status.ports import StoreRefused

IDS_MAX: Final = 1_000
# Read at once; bounds memory (a body has up to 3 MiB) and what waits at ingest.
_AT_ONCE: Final = 8
_KEY_BYTES: Final = 16

NO_ANSWER: Final = Reread(
    is_read=False, reason="NO_ANSWER", detail="ingest did not answer in time; ask again."
)
UNREADABLE: Final = Reread(
    is_read=False, reason=REFUSED, detail="It is no event and no part of a callback."
)


class QuarantineShelf(Protocol):
    """What is kept in quarantine, by tenant."""

    async def oldest(self, tenant_id: str, limit: int) -> list[bytes]:
        """Keys, oldest first."""

    async def read(self, tenant_id: str, keys: Sequence[bytes]) -> list[Quarantined]:
        """Return those of ``keys`` that are there, with their bodies."""

    async def count(self, tenant_id: str, keys: Sequence[bytes] | None) -> int:
        """How many of ``keys`` are there; None: how many of all."""

    async def close(self, tenant_id: str, key: bytes) -> None:
        """Let go of the content; a redelivery of what came until now opens it no more."""

    async def explain(self, tenant_id: str, key: bytes, reason: str, detail: str) -> None:
        """Overwrite why it is there."""


class Rereader(Protocol):
    """Reads callbacks with the code of today."""

    async def reread(self, kept: Quarantined, timeout_s: float) -> Reread | None:
        """Return what became of it; None if no answer came in time.

        With ``is_read`` the events are durable.

        Raises:
            BrokerUnavailable: nobody is there to read.
        """


class ReplayQuarantine:
    """The use case.

    A callback leaves the quarantine only after its events are durable, so whoever is killed in
    between, here or at ingest, leaves it where it was. Reading it twice changes nothing.
    """

    def __init__(
        self,
        shelf: QuarantineShelf,
        rereader: Rereader,
        apply: Callable[[EventBatch], Awaitable[None]],
        now_s: Callable[[], float],
        *,
        answer_timeout_s: float = 5.0,
    ) -> None:
        """Build it.

        Args:
            shelf: the quarantine.
            rereader: ingest.
            apply: applies a batch; raises ``StoreRefused`` if the store cannot hold it.
            now_s: a clock that only goes forward, seconds.
            answer_timeout_s: how long one callback may take.
        """
        self._shelf = shelf
        self._rereader = rereader
        self._apply = apply
        self._now_s = now_s
        self._answer_timeout_s = answer_timeout_s

    async def replay(
        self, tenant_id: str, request: ReplayQuarantineRequest, *, limit_s: float
    ) -> ReplayQuarantineResponse:
        """Replay what is asked for, as much as ``limit_s`` allows.

        Raises:
            InvalidArgument: too many identities, or one that is none.
            Unavailable: ingest does not answer at all; nothing was replayed.
        """
        asked = keys_of(request)
        keys = asked or await self._shelf.oldest(tenant_id, IDS_MAX)
        answer = ReplayQuarantineResponse()
        deadline_s = self._now_s() + limit_s
        for start in range(0, len(keys), _AT_ONCE):
            left_s = deadline_s - self._now_s()
            if left_s <= 0:
                break
            chunk = keys[start : start + _AT_ONCE]
            try:
                tried = await self._replay_chunk(tenant_id, chunk, is_asked=bool(asked), s=left_s)
            except BrokerUnavailable as error:
                if not answer.replayed_count:
                    raise Unavailable(
                        "ingest does not answer; try again.", reason="INGEST_UNAVAILABLE"
                    ) from error
                break
            answer.callbacks.extend(tried)
            answer.replayed_count += sum(one.is_replayed for one in tried)
        answer.remaining_count = await self._shelf.count(tenant_id, asked or None)
        return answer

    async def _replay_chunk(
        self, tenant_id: str, keys: Sequence[bytes], *, is_asked: bool, s: float
    ) -> list[ReplayedCallback]:
        found = await self._shelf.read(tenant_id, keys)
        timeout_s = min(s, self._answer_timeout_s)
        # All run to their end: what one of them closed is counted, whatever the others did.
        outcomes = await asyncio.gather(
            *(self._replay_one(kept, timeout_s) for kept in found), return_exceptions=True
        )
        failures = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        tried = [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
        if failures and not any(one.is_replayed for one in tried):
            raise failures[0]
        if is_asked:
            there = {kept.quarantine_key for kept in found}
            tried += [
                ReplayedCallback(quarantine_id=key.hex(), reason="NOT_IN_QUARANTINE")
                for key in keys
                if key not in there
            ]
        return tried

    async def _replay_one(self, kept: Quarantined, timeout_s: float) -> ReplayedCallback:
        if kept.reason == REFUSED:
            outcome = await self._apply_again(kept)
        else:
            outcome = await self._rereader.reread(kept, timeout_s) or NO_ANSWER
        tenant_id, key = kept.tenant_id, kept.quarantine_key
        if outcome.is_read:
            await self._shelf.close(tenant_id, key)
        elif outcome.is_newer_reason:
            await self._shelf.explain(tenant_id, key, outcome.reason, outcome.detail)
        return ReplayedCallback(
            quarantine_id=key.hex(),
            provider=kept.provider,
            account=kept.account,
            is_replayed=outcome.is_read,
            reason=outcome.reason,
            detail=outcome.detail,
            event_count=outcome.event_count,
        )

    async def _apply_again(self, kept: Quarantined) -> Reread:
        """Apply what ingest could read and our store could not hold."""
        try:
            event = Event.FromString(kept.body)
            batch = EventBatch(events=[event])
            if not event.kind:
                batch = EventBatch(quarantined=[Quarantined.FromString(kept.body)])
        except DecodeError:
            return UNREADABLE
        event_count = len(batch.events)
        for event in batch.events:
            if flaw := find_flaw(event):
                return Reread(is_read=False, reason=REFUSED, detail=flaw)
        try:
            await self._apply(batch)
        except StoreRefused as error:
            detail = type(error.__cause__).__name__
            return Reread(is_read=False, reason=REFUSED, detail=detail)
        return Reread(is_read=True, event_count=event_count)


def keys_of(request: ReplayQuarantineRequest) -> list[bytes]:
    """Return the keys asked for, each once.

    Raises:
        InvalidArgument: too many, or one is no identity.
    """
    if len(request.quarantine_ids) > IDS_MAX:
        raise InvalidArgument.of(
            "quarantine_ids", f"At most {IDS_MAX}; it has {len(request.quarantine_ids)}."
        )
    keys = []
    for index, text in enumerate(request.quarantine_ids):
        try:
            key = bytes.fromhex(text)
        except ValueError:
            key = b""
        if len(key) != _KEY_BYTES:
            raise InvalidArgument.of(
                f"quarantine_ids[{index}]", "No identity of ListQuarantine: 32 hexadecimal digits."
            )
        keys.append(key)
    return list(dict.fromkeys(keys))
