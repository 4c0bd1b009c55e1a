"""The page docs/metrics.md, from the catalogues: what is documented is what is counted."""

from collections.abc import Iterable

from bluetick.v1 import common_pb2

from services.analytics.domain.counters import (
    DEFINITION_VERSION,
    DERIVED,
    DISTINCT,
    STORED,
    STORED_NAMES,
    UNRECORDED,
    Counter,
)
from services.analytics.domain.dimensions import (
    ATTRIBUTE_VALUES_MAX,
    ATTRIBUTES_MAX,
    NAMES,
    OTHER,
    VALUES_MAX,
)
from services.analytics.domain.families.family import Family
from services.analytics.domain.families.registry import FAMILIES
from services.analytics.domain.rates import RATES
from services.analytics.domain.report import (
    OPENS_LOWER_AND_UPPER_BOUND,
    OPENS_LOWER_BOUND,
    OPENS_UPPER_BOUND,
)

_INTRODUCTION = f"""\
# Metrics

Every number that a report can hold. This page is written by
`python -m services.analytics.write_metrics_page docs/metrics.md`; a test compares it with the code.
Version of the definitions: {DEFINITION_VERSION}.

Every counter is a sum over messages of what each message adds in its present state, so neither the
order nor the repetition of provider callbacks can change it.

A number that does not exist is listed as unavailable with a reason; it is never 0:

| reason | means |
|---|---|
| `SMS_NO_RECEIPTS` | all messages went out by SMS, which has no read receipts |
| `NOT_ADDITIVE` | people and pairs do not add up, so they exist for the whole campaign only |
| `NO_CONVERSIONS_RECORDED` | nothing records conversions |

A number that means less than its name says is in `caveats`, with a reason:

| reason | means |
|---|---|
| `{OPENS_LOWER_BOUND}` | read means a picture was fetched, which many block: a lower bound |
| `{OPENS_UPPER_BOUND}` | all are read, some of them by machines: an upper bound |
| `{OPENS_LOWER_AND_UPPER_BOUND}` | many block pictures, and machines fetched some: off either way |
| `WITHOUT_SMS` | messages by SMS are left out, above the line and below it: they cannot tell it |

## Clocks and parts

`EVENT_TIME` puts each counter at the time in its column *counts at*; `SEND_COHORT` puts everything
that ever happened to a message at the time it was sent. Ranges of time are whole quarters of an
hour, UTC. Over the whole campaign both give the same totals. On `EVENT_TIME` an hour may hold reads
of messages that were delivered in another, so a rate of a part may exceed 1; it has no interval
then.

Filters: {", ".join(f"`{name}`" for name in NAMES)}; at most {VALUES_MAX} values of each in a
campaign, what comes later is `{OTHER}`. `attribute:NAME` alone and without a range of time: at most
{ATTRIBUTES_MAX} names in a campaign, {ATTRIBUTE_VALUES_MAX} values of each.

## Completeness

`complete_until_time`: all that was answered OK before it is counted, but for `gaps`: broker
messages that are lost to the numbers. `EXPIRED`: the stream let them go before they were counted;
`MISSING`: the stream has them no more; `SET_ASIDE`: they could not be counted, and lie with the
operator. `bluetick rebuild` closes gaps: it counts anew from the messages themselves.
"""

_RATES = """\
## Rates

`value` is `numerator / denominator`, absent when the denominator is 0: no rate exists, which is not
a rate of 0. Rates of distinct things lie in [0, 1] and carry their 95 % Wilson interval; rates of
events may exceed 1 and carry none.

| rate | numerator | denominator | of |
|---|---|---|---|
"""

_HEALTH = """\
## Health

`INVESTIGATE` when more than 5 % of `targeted` are `failed`; else `HEALTHY` when more than 95 % of
`sent` are `delivered`; else no verdict. Exactly 5 % and exactly 95 % are neither. A stretch of time
without sends has no verdict, nor has one with more deliveries than sends.
"""

_FAMILIES = """\
## Where the numbers are kept

Each family of numbers is declared once, in `services/analytics/domain/families/`; its table, its
fold, its recount and this row follow from that. All are by tenant, campaign and generation too.

"""


def metrics_page() -> str:
    """Return the page, Markdown."""
    rates = "".join(
        f"| `{r.name}` | `{r.numerator}` | `{r.denominator}` | "
        f"{'distinct things' if r.is_distinct else 'events'} |\n"
        for r in RATES.values()
    )
    missing = ", ".join(f"`{name}`" for name in UNRECORDED)
    return "\n".join(
        [
            _INTRODUCTION,
            "## Counters of messages and acts\n\nThey add up over any part and any stretch of time."
            f"\nNot recorded at present: {missing}.\n",
            _table(("counter", "counts", "counts at", "not on"), map(_stored, STORED)),
            "## Derived counters\n\nSums of the above.\n",
            _table(("counter", "counts", "is"), map(_derived, DERIVED)),
            "## Counters of people and pairs\n\nThey do not add up: the same person may be in two"
            " parts.\n",
            _table(("counter", "counts"), ((f"`{c.name}`", c.counts) for c in DISTINCT)),
            _RATES + rates,
            _HEALTH,
            _FAMILIES + _table(("table", "holds", "by", "sums"), map(_family, FAMILIES)),
        ]
    )


def _stored(counter: Counter) -> tuple[str, ...]:
    assert counter.moment is not None
    names = [common_pb2.Channel.Name(common_pb2.Channel.ValueType(c)) for c in counter.absent_on]
    absent = ", ".join(sorted(name.removeprefix("CHANNEL_") for name in names))
    return f"`{counter.name}`", counter.counts, counter.moment.value, absent


def _derived(counter: Counter) -> tuple[str, ...]:
    terms = [f"{'+' if sign > 0 else '-'} `{name}`" for sign, name in counter.formula]
    return f"`{counter.name}`", counter.counts, " ".join(terms).removeprefix("+ ")


def _family(family: Family) -> tuple[str, ...]:
    key = ", ".join(column.says for column in family.columns)
    sums = ", ".join(f"`{name}`" for name in family.sums)
    kept = f" Kept for {family.kept_h} h." if family.kept_h else ""
    is_all = family.sums == STORED_NAMES
    return f"`{family.name}`", family.says + kept, key, "all counters" if is_all else sums


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join("| " + " | ".join(cells) + " |\n" for cells in lines)
