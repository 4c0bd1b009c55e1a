"""Count the failure codes that nobody has a reason for, so that somebody looks them up."""

from collections.abc import Iterable
from functools import cache
from typing import Final

from bluetick.v1 import common_pb2 as pb
from bluetick.v1.event_pb2 import Event
from prometheus_client import Counter

from libs.catalogue.vocabularies import VOCABULARIES
from libs.runtime import metrics

_unmapped = metrics.counter(
    "ingest_unmapped_codes",
    "Failures whose code the catalogue does not know; their reason is UNMAPPED",
    ("provider",),
)
# A sender may name any provider; each would become a time series of its own.
_OTHER: Final = "other"


def count_unmapped(events: Iterable[Event]) -> None:
    """Count the events whose code has no reason."""
    for event in events:
        if event.reason == pb.FAILURE_REASON_UNMAPPED and event.provider_code:
            provider = event.provider
            _counter(provider if provider in VOCABULARIES else _OTHER).inc()


@cache
def _counter(provider: str) -> Counter:
    return _unmapped.labels(provider)
