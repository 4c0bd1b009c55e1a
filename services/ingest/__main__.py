"""The ingest service: ``python -m services.ingest``."""

from libs.runtime.lifecycle import run_service
from services.ingest.settings import IngestSettings
from services.ingest.wiring import build


def main() -> None:
    """Run ingest until SIGTERM or SIGINT."""
    run_service("ingest", IngestSettings, build)


if __name__ == "__main__":
    main()
