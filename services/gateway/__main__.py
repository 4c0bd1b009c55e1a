"""The gateway service: ``python -m services.gateway``."""

from libs.runtime.lifecycle import run_service
from services.gateway.settings import GatewaySettings
from services.gateway.wiring import build


def main() -> None:
    """Run gateway until SIGTERM or SIGINT."""
    run_service("gateway", GatewaySettings, build)


if __name__ == "__main__":
    main()
