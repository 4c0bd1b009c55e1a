"""The analytics service: ``python -m services.analytics``."""

from libs.runtime.lifecycle import run_service
from services.analytics.settings import AnalyticsSettings
from services.analytics.wiring import build


def main() -> None:
    """Run analytics until SIGTERM or SIGINT."""
    run_service("analytics", AnalyticsSettings, build)


if __name__ == "__main__":
    main()
