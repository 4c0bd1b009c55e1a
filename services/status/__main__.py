"""The status service: ``python -m services.status``."""

from libs.runtime.lifecycle import Scope, run_service
from libs.runtime.settings import load
from services.status.settings import StatusSettings
from services.status.wiring import build


def main() -> None:
    """Run status until SIGTERM or SIGINT."""
    settings = load(StatusSettings)

    async def start(scope: Scope) -> None:
        await build(scope, settings)

    run_service("status", settings, start)


if __name__ == "__main__":
    main()
