"""The analytics service: ``python -m services.analytics``."""

from libs.runtime.lifecycle import Scope, run_service
from libs.runtime.settings import load
from services.analytics.settings import AnalyticsSettings
from services.analytics.wiring import build


def main() -> None:
    """Run analytics until SIGTERM or SIGINT."""
    settings = load(AnalyticsSettings)

    async def start(scope: Scope) -> None:
        await build(scope, settings)

    run_service("analytics", settings, start)


if __name__ == "__main__":
    main()
