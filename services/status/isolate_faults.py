"""Finds what a transaction failed for, so that its neighbours go on.

Content that the store refuses is set aside, alone. What others hold locked fails for those who told
of it, and only for them. What crashes by itself fails likewise; the consumer decides what follows.
An outage is nobody's fault and fails all.
"""

import time
from collections.abc import Sequence
from typing import Final

from bluetick.v1.event_pb2 import EventBatch

from libs.runtime import logs
from libs.runtime.database import RowsLocked
from libs.runtime.verdicts import Verdict, verdict_of
from services.status.apply_events import ApplyEvents
from services.status.domain.gather import gather
from services.status.domain.gathered import Key
from services.status.isolate_poison import set_aside
from services.status.lane_batch import Batch, Piece
from services.status.log_events import LogEvent
from services.status.ports import OutboxEntry, StoreRefused, Transactions

_log = logs.get_logger()

# Transactions of one isolation that may each wait for a lock; the lane stands meanwhile.
_LOCK_WAITS_MAX: Final = 3
# For so long a message that others held is looked at before it is waited for again.
_REMEMBERED_S: Final = 60.0
_HELD: Final = "rows of a message are locked by somebody else"


class IsolateFaults:
    """Stores batches of one lane, with whatever is wrong with them."""

    def __init__(
        self, apply_events: ApplyEvents, transactions: Transactions, number: int, lanes: int
    ) -> None:
        self._apply_events = apply_events
        self._transactions = transactions
        self._number = number
        self._lanes = lanes
        # Messages that others held not long ago, and until when to look at them first.
        self._held: dict[Key, float] = {}

    async def store(self, batch: Batch) -> list[OutboxEntry]:
        """Store what can be stored; return what is to be published.

        Never raises: whoever waits for the batch is told what failed.
        """
        try:
            held = await self._still_held([key for key in self._held if key in batch.gathered.told])
            if not held:
                try:
                    return await self._apply_events.store(
                        self._transactions, batch.gathered, batch.oldest_us
                    )
                except RowsLocked:
                    held = await self._find_held(sorted(batch.gathered.told))
                except StoreRefused:
                    pass
                except Exception as error:
                    if verdict_of(error) is not Verdict.SINGLE_OUT:
                        raise
            return await _Search(self, batch.oldest_us).store(
                list(batch.pieces(self._number, self._lanes)), held
            )
        except Exception as error:
            batch.fail(error)
            return []

    async def apply(self, batches: Sequence[EventBatch], oldest_us: int) -> list[OutboxEntry]:
        """Store batches in one transaction."""
        return await self._apply_events.store(self._transactions, gather(batches), oldest_us)

    async def _still_held(self, keys: Sequence[Key]) -> set[Key]:
        if not keys:
            return set()
        for key in keys:
            del self._held[key]
        return await self._find_held(sorted(keys))

    async def _find_held(self, keys: Sequence[Key]) -> set[Key]:
        """Look which messages others hold, without waiting; remember them for a while."""
        if not keys:
            return set()
        found = await self._transactions.look(lambda store: store.held_messages(keys))
        now_s = time.monotonic()
        self._held = {key: until_s for key, until_s in self._held.items() if until_s > now_s}
        self._held.update(dict.fromkeys(found, now_s + _REMEMBERED_S))
        return found


class _Search:
    """One batch taken apart."""

    def __init__(self, lane: IsolateFaults, oldest_us: int) -> None:
        self._lane = lane
        self._oldest_us = oldest_us
        self._entries: list[OutboxEntry] = []
        self._lock_waits = 0

    async def store(self, pieces: Sequence[Piece], held: set[Key]) -> list[OutboxEntry]:
        """Store what can be stored of ``pieces``; those of ``held`` messages fail at once."""
        free = []
        for piece in pieces:
            if (piece.tenant_id, piece.message_key) in held:
                piece.call.fail(RowsLocked(_HELD))
            else:
                free.append(piece)
        await self._halve(free)
        return self._entries

    async def _halve(self, pieces: Sequence[Piece]) -> None:
        if not pieces:
            return
        if self._lock_waits > _LOCK_WAITS_MAX:
            _fail(pieces, RowsLocked(_HELD))
            return
        try:
            batches = [EventBatch.FromString(piece.batch) for piece in pieces]
            self._entries += await self._lane.apply(batches, self._oldest_us)
            return
        except (RowsLocked, StoreRefused) as error:
            self._lock_waits += isinstance(error, RowsLocked)
            problem: Exception = error
        except Exception as error:
            if verdict_of(error) is not Verdict.SINGLE_OUT:
                raise
            problem = error
        if len(pieces) > 1:
            middle = len(pieces) // 2
            await self._halve(pieces[:middle])
            await self._halve(pieces[middle:])
        elif isinstance(problem, StoreRefused):
            event: LogEvent = "event.refused_by_store"
            _log.error(event, error=type(problem.__cause__).__name__)
            aside = set_aside(pieces[0].batch, problem)
            self._entries += await self._lane.apply([aside], self._oldest_us)
        else:
            _fail(pieces, problem)


def _fail(pieces: Sequence[Piece], error: Exception) -> None:
    for piece in pieces:
        piece.call.fail(error)
