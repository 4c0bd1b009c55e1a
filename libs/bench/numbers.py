"""Every number of the reports against what was told: a run whose numbers differ is no run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

from bluetick.v1 import analytics_service_pb2

from libs.simulator.compare import Difference, compare_report
from libs.simulator.gateway import Gateway
from libs.simulator.truth import Truth

_POLL_S = 0.02
# Nothing comes any more when nothing was left to do for so long: sums that the locks of others put
# off are added within seconds, but not at once.
_IDLE_S = 20.0
_SHOWN_MAX = 20


class NumbersDiffer(Exception):
    """Reports do not say what was told; the text names each number."""


async def differences_of(gateway: Gateway, truths: Mapping[str, Truth]) -> list[str]:
    """What the reports say wrongly, one line a number."""
    lines = []
    for campaign_id, truth in truths.items():
        report = await gateway.report(campaign_id)
        if report is None:
            lines.append(f"{campaign_id}: no report")
            continue
        reasons = await gateway.failure_reasons(campaign_id)
        lines += [_line(campaign_id, one) for one in compare_report(truth, report, reasons)]
    return lines


async def wait_for_numbers(
    gateway: Gateway,
    truths: Mapping[str, Truth],
    wait_max_s: float,
    is_idle: Callable[[], Awaitable[bool]] | None = None,
) -> float:
    """Return the seconds until every number of every report is right.

    Args:
        gateway: who answers.
        truths: what must be answered, by campaign.
        wait_max_s: how long to wait at most.
        is_idle: whether nothing is left to be worked on; then nothing more can come.

    Raises:
        NumbersDiffer: some number was not right in time.
    """
    started = busy_at = time.monotonic()
    while True:
        lines = await differences_of(gateway, truths)
        now = time.monotonic()
        if not lines:
            return now - started
        if is_idle is None or not await is_idle():
            busy_at = now
        if now - started > wait_max_s or now - busy_at > _IDLE_S:
            raise NumbersDiffer(_told(lines, f"after {now - started:.0f} s"))
        await asyncio.sleep(_POLL_S)


async def require_numbers(gateway: Gateway, truths: Mapping[str, Truth]) -> None:
    """Look once more when all is done: what counts twice shows only then.

    Raises:
        NumbersDiffer: some number is not right.
    """
    if lines := await differences_of(gateway, truths):
        raise NumbersDiffer(_told(lines, "at the end"))


async def wait_for_counter(
    gateway: Gateway, campaign_id: str, counter: str, least: int, wait_max_s: float = 60.0
) -> analytics_service_pb2.GetCampaignReportResponse:
    """The first report in which a counter is this large.

    Raises:
        NumbersDiffer: it did not get there in time.
    """
    deadline = time.monotonic() + wait_max_s
    said: int | None = None
    while time.monotonic() < deadline:
        report = await gateway.report(campaign_id)
        said = report.counters[counter] if report is not None else None
        if report is not None and said is not None and said >= least:
            return report
        await asyncio.sleep(_POLL_S)
    raise NumbersDiffer(f"{campaign_id}: {counter} is {said}, {least} were told")


def _line(campaign_id: str, one: Difference) -> str:
    return f"{campaign_id}: {one.name} is {one.reported}, must be {one.expected}"


def _told(lines: list[str], when: str) -> str:
    more = len(lines) - _SHOWN_MAX
    shown = lines[:_SHOWN_MAX] + ([f"and {more} more"] if more > 0 else [])
    return "\n".join([f"Numbers differ {when}:", *shown])
