"""Asks each service of a local machine whether it takes work, and what keeps it from it."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping

from libs.cli.doctor_signs import Sign, Signs

_TIMEOUT_S = 5
_ANSWER_BYTES_MAX = 4096
_WHY_CHARS_MAX = 300


def service_signs(ready_urls: Mapping[str, str], folder: str) -> list[Sign]:
    """Look at the readiness of each service; ``ready_urls`` has its page by its name."""
    signs = Signs("services")
    for service, url in ready_urls.items():
        status, why = _readiness(url)
        if status == 200:
            signs.fine(service, "ready")
        elif status == 0:
            signs.wrong(
                service,
                f"It does not answer ({why}).",
                f"See {folder}/logs/{service}.log; `bluetick up` starts it again by itself.",
            )
        else:
            signs.wrong(
                service,
                f"It is not ready: {why}",
                "Remove that cause; it looks again every few seconds by itself.",
            )
    return signs.found


def _readiness(url: str) -> tuple[int, str]:
    """Return the status of a page of readiness, 0 for none, and what it says in one line."""
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:  # noqa: S310 of our machine
            return int(answer.status), ""
    except urllib.error.HTTPError as error:
        return error.code, _one_line(error.read(_ANSWER_BYTES_MAX).decode(errors="replace"))
    except (OSError, ValueError) as error:
        return 0, type(error).__name__


def _one_line(body: str) -> str:
    try:  # the gateway's page is JSON, with a reason for each service behind it
        told = json.loads(body)["why"]
        body = "; ".join(f"{service}: {why}" for service, why in told.items())
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    return " ".join(body.split())[:_WHY_CHARS_MAX]
