"""When a call is tried again: never so often that it keeps a service down that is coming back."""

import random
from dataclasses import dataclass
from typing import Final

import grpc
from bluetick.client.errors import CallFailed
from bluetick.v1 import (
    analytics_service_pb2,
    campaign_service_pb2,
    ingest_service_pb2,
    message_service_pb2,
)
from google.protobuf.descriptor_pb2 import MethodOptions

# The same records again change nothing: that is what the service promises of them.
_REPEATABLE: Final = "/bluetick.v1.IngestService/Record"
_UNAVAILABLE: Final = grpc.StatusCode.UNAVAILABLE
_EXHAUSTED: Final = grpc.StatusCode.RESOURCE_EXHAUSTED


@dataclass(frozen=True, slots=True)
class Retries:
    """How calls are tried again."""

    tries_max: int = 4
    """Tries of one call, the first included."""
    pause_s: float = 0.1
    """The first pause; each one after it is twice as long, up to ``pause_max_s``, and shortened by
    chance, so that those who fail together do not come back together."""
    pause_max_s: float = 3.0
    budget: float = 20.0
    """Retries that may be made one after the other while nothing succeeds."""
    share: float = 0.1
    """Retries that each call that succeeds adds to the budget, up to ``budget``: in the long run at
    most a tenth of the calls is made again."""


class Budget:
    """The retries that are left, of all calls of one client together."""

    def __init__(self, retries: Retries) -> None:
        self._retries = retries
        self._left = retries.budget

    def succeeded(self) -> None:
        """Count a call that was answered."""
        self._left = min(self._retries.budget, self._left + self._retries.share)

    def pause_s(self, failure: CallFailed, path: str, tries: int) -> float | None:
        """Return seconds to wait for another try; None: there is none.

        Args:
            failure: what the last try ended with.
            path: of the RPC.
            tries: made so far.
        """
        retries = self._retries
        if tries >= retries.tries_max or self._left < 1 or not _may_try_again(failure, path):
            return None
        self._left -= 1
        longest = min(retries.pause_max_s, retries.pause_s * 2.0 ** (tries - 1))
        return max(failure.retry_s or 0.0, longest * random.uniform(0.5, 1.0))  # noqa: S311


def _may_try_again(failure: CallFailed, path: str) -> bool:
    """Tell whether another try helps, and does no harm if the first was done after all."""
    if failure.code() is _EXHAUSTED:
        return failure.retry_s is not None  # refused at the door
    return failure.code() is _UNAVAILABLE and (path in _READS or path.startswith(_REPEATABLE))


_READS: Final = frozenset(
    f"/{service.full_name}/{method.name}"
    for module in (
        analytics_service_pb2,
        campaign_service_pb2,
        ingest_service_pb2,
        message_service_pb2,
    )
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
    if method.GetOptions().idempotency_level == MethodOptions.NO_SIDE_EFFECTS
)
