from pathlib import Path

from services.analytics.domain.metrics_page import metrics_page

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def test_the_page_of_metrics_is_current() -> None:
    """Cure: python -m services.analytics.write_metrics_page docs/metrics.md"""
    assert PAGE.read_text(encoding="utf-8") == metrics_page()
