from prometheus_client.parser import text_string_to_metric_families

from libs.runtime import metrics
from libs.runtime.quick_metrics import QuickCounter, QuickHistogram


def test_samples_read_as_those_of_the_ordinary_metrics() -> None:
    """Dashboards must not notice that these are counted in another way."""
    counter = QuickCounter("test_quick_total", "For this test", ("kind",))
    histogram = QuickHistogram("test_quick_seconds", "For this test", ("kind",), (0.1, 1.0))
    usual = metrics.histogram("test_usual_seconds", "For this test", ("kind",), (0.1, 1.0))

    counter.of("a").value += 2
    counter.of("a").value += 3
    for seconds in (0.05, 0.1, 0.5, 7.0):
        histogram.of("a").observe(seconds)
        usual.labels("a").observe(seconds)

    assert metrics.REGISTRY.get_sample_value("bluetick_test_quick_total", {"kind": "a"}) == 5
    assert _samples("test_quick_seconds") == _samples("test_usual_seconds")


def _samples(name: str) -> list[tuple[str, str, float]]:
    text = metrics.exposition().decode()
    return [
        (sample.name.removeprefix(f"bluetick_{name}"), str(sorted(sample.labels.items())), value)
        for family in text_string_to_metric_families(text)
        if family.name == f"bluetick_{name}"
        for sample in family.samples
        if not sample.name.endswith("_created")
        for value in [sample.value]
    ]
