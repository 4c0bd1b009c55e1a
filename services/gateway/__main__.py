"""Runs the gateway: ``python -m services.gateway``."""

from libs.runtime.lifecycle import Scope, run_service
from libs.runtime.settings import load
from services.gateway.settings import GatewaySettings
from services.gateway.wiring import build


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    settings = load(GatewaySettings)

    async def start(scope: Scope) -> None:
        await build(scope, settings)

    run_service("gateway", settings, start)


if __name__ == "__main__":
    main()
