"""Puts what was set aside back onto the streams that it came from, after a repair."""

import time

from bluetick.v1.ingest_service_pb2 import (
    ReplayedCallback,
    ReplayQuarantineRequest,
    ReplayQuarantineResponse,
)

from services.status.list_set_aside import SetAsideShelf, id_of
from services.status.replay_quarantine import IDS_MAX, keys_of


async def replay_set_aside(
    shelf: SetAsideShelf, request: ReplayQuarantineRequest, *, limit_s: float
) -> ReplayQuarantineResponse:
    """Put back what is asked for, oldest first, as much as ``limit_s`` allows.

    What still cannot be handled comes back here by itself, with today's reason.

    Raises:
        InvalidArgument: too many identities, or one that is none.
        BrokerUnavailable: the broker takes nothing; the rest stays.
    """
    asked = [int.from_bytes(key, "big") for key in keys_of(request)]
    wanted = asked or await shelf.oldest(IDS_MAX)
    answer = ReplayQuarantineResponse()
    until_s = time.monotonic() + limit_s
    for seq in wanted:
        if time.monotonic() > until_s:
            break
        kept = await shelf.read(seq)
        if kept is None:
            missing = ReplayedCallback(quarantine_id=id_of(seq), reason="NOT_IN_QUARANTINE")
            answer.callbacks.append(missing)
            continue
        await shelf.put_back(kept)
        answer.callbacks.add(quarantine_id=id_of(seq), is_replayed=True)
        answer.replayed_count += 1
    # Of those asked for: what is put back may be here again by now, as another one.
    answer.remaining_count = len(wanted) - len(answer.callbacks) if asked else await shelf.count()
    return answer
