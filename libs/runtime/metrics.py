"""Metrics of this process: names `bluetick_<service>_<what>_<unit>`, labels bounded.

Never a tenant, an address or a URL as a label: their number has no bound.
"""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

REGISTRY = CollectorRegistry()
CONTENT_TYPE = CONTENT_TYPE_LATEST

# From one millisecond to the longest deadline.
SECONDS_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


def counter(name: str, meaning: str, labels: Sequence[str] = ()) -> Counter:
    """Return a counter; ``name`` without the prefix."""
    return Counter(f"bluetick_{name}", meaning, labels, registry=REGISTRY)


def gauge(name: str, meaning: str, labels: Sequence[str] = ()) -> Gauge:
    """Return a gauge; ``name`` without the prefix."""
    return Gauge(f"bluetick_{name}", meaning, labels, registry=REGISTRY)


def histogram(
    name: str, meaning: str, labels: Sequence[str] = (), buckets: Sequence[float] = SECONDS_BUCKETS
) -> Histogram:
    """Return a histogram, of seconds unless ``buckets`` say otherwise."""
    return Histogram(f"bluetick_{name}", meaning, labels, registry=REGISTRY, buckets=buckets)


def exposition() -> bytes:
    """Return all metrics in Prometheus' text format."""
    return generate_latest(REGISTRY)
