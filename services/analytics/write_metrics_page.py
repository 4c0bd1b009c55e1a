"""Writes docs/metrics.md: ``python -m services.analytics.write_metrics_page docs/metrics.md``."""

import argparse
from pathlib import Path

from services.analytics.domain.metrics_page import metrics_page


def main() -> None:
    """Write the page to the file named on the command line."""
    parser = argparse.ArgumentParser(description="Write the page of all metrics.")
    parser.add_argument("file", type=Path)
    parser.parse_args().file.write_text(metrics_page(), encoding="utf-8")


if __name__ == "__main__":
    main()
