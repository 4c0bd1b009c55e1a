"""Writes docs/failures.md from the catalogue; the tables are the truth.

Usage: python tools/write_failures.py
"""

from collections import Counter
from pathlib import Path

from bluetick.v1 import common_pb2 as pb

from libs.catalogue.tables import REASONS, REASONS_OF_STAGE, STAGES, TRANSIENCES, shipped
from libs.catalogue.vocabularies import VOCABULARIES

OUT = Path(__file__).parent.parent / "docs" / "failures.md"
WORD_OF_STAGE = {number: word for word, number in STAGES.items()}
WORD_OF_TRANSIENCE = {number: word for word, number in TRANSIENCES.items()}

HEAD = """# Why messages fail

Each failure has one reason out of 22: fourteen before the provider took the message (dropped),
nine after it (undelivered); one is on both sides. The reason follows from the provider's code and
from the side on which the code arrived. A code that is only known on the other side has its reason
translated, and a code that nobody knows has the reason `UNMAPPED`, with the raw code beside it; the
counter `bluetick_ingest_unmapped_codes_total` tells how many came.

Providers publish no such mapping. It is ours, `confidence` rates each row, and you may replace any
of it. This page is written from the tables by `tools/write_failures.py`.
"""

REST = """
## What a reason does not say

Some failures ask for an act that no reason names. They carry a topic beside the reason, in
`GetMessage`, `GetFailureReasons` and `TestCallback`:

| topic | what to do |
|---|---|
| `opt_out` | leave the person out from now on |
| `payment` | pay the provider: nothing goes out until then |
| `window_closed` | send a template: the person has not written for a day |
| `not_on_whatsapp` | use another channel |
| `complaint` | leave the person out from now on: they had complained before |

A failure with `opt_out` or `complaint` counts as `opted_out_before` or `complained_before`: the
person had said no before this message, which is no effect of it.

A code may also stand for more than one reason. `GetFailureReasons` counts it under the likeliest
and names the others with the case in which they hold.

## Replacing and adding rows

Write a CSV file (UTF-8, with the header of the shipped table) and name it in a setting. Its rows
replace the shipped rows with the same key, and the others are added; what the file does not name
stays. "(all)": the rows of one key are replaced together. Give ingest, status and analytics the
same files.

| setting | shipped table in `libs/catalogue/data` | key |
|---|---|---|
| `BLUETICK_FAILURE_CODES_FILE` | `failure_codes.csv` | vocabulary, code, stage |
| `BLUETICK_FAILURE_ALTERNATES_FILE` | `failure_alternates.csv` | vocabulary, code, stage (all) |
| `BLUETICK_FAILURE_TOPICS_FILE` | `failure_topics.csv` | vocabulary, code (`none`: no topic) |
| `BLUETICK_REMEDIES_FILE` | `remedies.csv` | reason |
| `BLUETICK_MARKETS_FILE` | `markets.csv` | calling prefix (all) |

For example, a code that Meta brought out last week and one of a provider of your own:

```csv
vocabulary,code,stage,reason,transience,confidence,title
whatsapp_cloud,131999,undelivered,META_RECIPIENT_LIMIT,transient,medium,A limit of last week
plivo,200,undelivered,META_ERRORS,transient,medium,Carrier trouble
```

The files are read once, at start. A service that finds anything wrong in them does not start, and
names every problem with file and line. A code may be a range of numbers (`200-299`); rows of
single codes win over it within a file. Numbers that are counted already keep the reason that they
were counted with: the reason is decided when a failure arrives.

## Vocabularies

Codes are looked up in the vocabularies of the provider, in this order, then in `internal`, the
codes of a sender's own checks. A provider that is not listed has one vocabulary of its own name.
"""


def _reasons(stage: int) -> str:
    catalogue = shipped()
    counts = Counter(
        entry.reason for (_, _, side), entry in catalogue.codes.items() if side == stage
    )
    rows = ["| reason | transience | codes | what to do |", "|---|---|---|---|"]
    for name, number in REASONS.items():
        if number in REASONS_OF_STAGE[stage]:
            remedy = catalogue.remedies[number]
            passes = WORD_OF_TRANSIENCE[remedy.transience]
            rows.append(f"| `{name}` | {passes} | {counts[number]} | {remedy.text} |")
    return "\n".join(rows)


def _vocabularies() -> str:
    rows = ["| provider | vocabularies |", "|---|---|"]
    for provider, words in VOCABULARIES.items():
        rows.append(f"| {provider} | {', '.join(f'`{word}`' for word in words)} |")
    return "\n".join(rows)


def page() -> str:
    """Return the page."""
    unmapped = shipped().remedies[pb.FAILURE_REASON_UNMAPPED]
    parts = [HEAD]
    for stage, word in WORD_OF_STAGE.items():
        parts += [f"## {word.capitalize()}\n", _reasons(stage), ""]
    parts += [f"`UNMAPPED`, on both sides: {unmapped.text}", REST, _vocabularies()]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    OUT.write_text(page(), encoding="utf-8")
    print(f"{OUT.name} written")
