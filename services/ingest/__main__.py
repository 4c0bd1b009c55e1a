"""The ingest service: ``python -m services.ingest``."""

from libs.runtime.lifecycle import Scope, run_service
from libs.runtime.settings import load
from services.ingest.settings import IngestSettings
from services.ingest.wiring import build


def main() -> None:
    """Run ingest until SIGTERM or SIGINT."""
    settings = load(IngestSettings)

    async def start(scope: Scope) -> None:
        await build(scope, settings)

    run_service("ingest", settings, start)


if __name__ == "__main__":
    main()
