"""An operator finds every metric of what all services stand on, and no name that is gone."""

import re
from pathlib import Path

from prometheus_client.metrics import MetricWrapperBase

from libs.runtime import measures
from libs.runtime.settings import RuntimeSettings
from services.analytics.settings import AnalyticsSettings
from services.gateway.settings import GatewaySettings
from services.ingest.settings import IngestSettings
from services.status.settings import StatusSettings

_PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()


def test_every_metric_of_the_runtime_is_on_the_page() -> None:
    """A metric that nobody knows of wakes nobody."""
    names = {
        value._name for value in vars(measures).values() if isinstance(value, MetricWrapperBase)
    }

    assert {name for name in names if name not in _PAGE} == set()


def test_every_setting_on_the_page_exists() -> None:
    """A cure that names a setting of yesterday cures nothing."""
    classes = (
        RuntimeSettings,
        IngestSettings,
        StatusSettings,
        AnalyticsSettings,
        GatewaySettings,
    )
    known = {name for one in classes for name in one.model_fields}
    named = set(re.findall(r"`BLUETICK_([A-Z_]*[A-Z])`", _PAGE))
    elsewhere = {"GATEWAY", "API_KEY"}

    assert {name for name in named if name.lower() not in known} <= elsewhere
