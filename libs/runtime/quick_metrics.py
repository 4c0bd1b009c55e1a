"""Metrics for paths that are taken a hundred thousand times a second.

A sample of prometheus_client takes a lock; here it is an addition. So they belong to one thread,
the event loop's, which is also the one that is asked for them.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from libs.runtime.metrics import REGISTRY, SECONDS_BUCKETS


class Count:
    """One sample of a counter: add to ``value``."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0


class Spread:
    """One sample of a histogram."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, amount: float) -> None:
        """Count one observation."""
        self._counts[bisect_left(self._bounds, amount)] += 1
        self._sum += amount

    def cumulated(self) -> tuple[list[tuple[str, float]], float]:
        """Return the counts up to each bound, and the sum of all that was observed."""
        buckets: list[tuple[str, float]] = []
        total = 0
        for bound, count in zip((*self._bounds, "+Inf"), self._counts, strict=True):
            total += count
            buckets.append((str(bound), total))
        return buckets, self._sum


_Sample = TypeVar("_Sample")


class _Labelled(Collector, Generic[_Sample]):
    """The samples of one metric by the values of its labels; few, and kept for ever."""

    def __init__(
        self, name: str, meaning: str, labels: Sequence[str], make: Callable[[], _Sample]
    ) -> None:
        self._name = f"bluetick_{name}"
        self._meaning = meaning
        self._labels = labels
        self._make = make
        self._samples: dict[tuple[str, ...], _Sample] = {}
        REGISTRY.register(self)

    def of(self, *values: str) -> _Sample:
        """Return the sample of these values of the labels; worth keeping at hand."""
        sample = self._samples.get(values)
        if sample is None:
            sample = self._samples[values] = self._make()
        return sample


class QuickCounter(_Labelled[Count]):
    """A counter; ``name`` without the prefix, with ``_total`` as everywhere."""

    def __init__(self, name: str, meaning: str, labels: Sequence[str] = ()) -> None:
        """Register it."""
        super().__init__(name, meaning, labels, Count)

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Give it to Prometheus."""
        family = CounterMetricFamily(self._name, self._meaning, labels=self._labels)
        for values, sample in self._samples.items():
            family.add_metric(values, sample.value)
        yield family


class QuickHistogram(_Labelled[Spread]):
    """A histogram, of seconds unless ``buckets`` say otherwise; ``name`` without the prefix."""

    def __init__(
        self,
        name: str,
        meaning: str,
        labels: Sequence[str] = (),
        buckets: Sequence[float] = SECONDS_BUCKETS,
    ) -> None:
        """Register it."""
        super().__init__(name, meaning, labels, lambda: Spread(buckets))

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Give it to Prometheus."""
        family = HistogramMetricFamily(self._name, self._meaning, labels=self._labels)
        for values, sample in self._samples.items():
            buckets, total = sample.cumulated()
            family.add_metric(values, buckets, total)
        yield family
