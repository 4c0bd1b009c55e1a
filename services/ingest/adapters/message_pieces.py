"""Cutting what was read into pieces that fit a broker message; no item is ever divided."""

from collections.abc import Iterator

import msgspec
from bluetick.v1.event_pb2 import EventBatch

from services.ingest.domain.packed_events import PackedEvents


class PieceLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of one broker message."""

    batch_events_max: int = 2_000
    batch_bytes_max: int = 512 * 1024


def pieces_of(
    batch: EventBatch | None, limits: PieceLimits, packed: PackedEvents | None = None
) -> list[tuple[bytes, int]]:
    """Return both as (bytes, items), each within ``limits`` or a single larger item.

    ``batch`` is None where all there is was packed.

    The bytes of several pieces, one after the other, are again a valid batch. The time is linear.
    """
    payload, count = b"", 0
    if batch is not None:
        payload = batch.SerializeToString()
        if payload:
            count = len(batch.events) + len(batch.quarantined) + len(batch.door_reports)
    if packed is not None:
        payload += packed.payload()
        count += packed.count
    if len(payload) <= limits.batch_bytes_max and count <= limits.batch_events_max:
        return [(payload, count)] if payload else []
    pieces: list[tuple[bytes, int]] = []
    parts: list[bytes] = []
    size = 0
    for item in _items(batch, packed):
        if parts and (
            size + len(item) > limits.batch_bytes_max or len(parts) >= limits.batch_events_max
        ):
            pieces.append((b"".join(parts), len(parts)))
            parts, size = [], 0
        parts.append(item)
        size += len(item)
    if parts:
        pieces.append((b"".join(parts), len(parts)))
    return pieces


def _items(batch: EventBatch | None, packed: PackedEvents | None) -> Iterator[bytes]:
    if packed is not None:
        yield from packed.items()
    if batch is None:
        return
    for event in batch.events:
        yield EventBatch(events=[event]).SerializeToString()
    for part in batch.quarantined:
        yield EventBatch(quarantined=[part]).SerializeToString()
    for report in batch.door_reports:
        yield EventBatch(door_reports=[report]).SerializeToString()
