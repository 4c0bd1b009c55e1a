"""The status service: ``python -m services.status``."""

from libs.runtime.lifecycle import run_service
from services.status.settings import StatusSettings
from services.status.wiring import build


def main() -> None:
    """Run status until SIGTERM or SIGINT."""
    run_service("status", StatusSettings, build)


if __name__ == "__main__":
    main()
