"""Writes the table of a message's fields into docs/states.md; the table in the code is the truth.

Run it after a change of ``services/status/domain/message.py``; a test compares the two.
"""

from pathlib import Path

from bluetick.v1.common_pb2 import EventKind, MessageState

from services.status.domain.fields import Field
from services.status.domain.message import FIELDS

PAGE = Path(__file__).parents[1] / "docs" / "states.md"
BEGIN = "<!-- fields: written by tools/write_fields.py -->\n"
END = "<!-- end of fields -->\n"


def table() -> str:
    """Return the table as Markdown."""
    lines = ["| field | stands | told by | in the image | proves |", "|---|---|---|---|---|"]
    lines += [_row(name, row) for name, row in FIELDS.items()]
    return "\n".join(lines) + "\n"


def with_table(page: str) -> str:
    """Return the page with its table as the code has it."""
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}{table()}{END}{after}"


def _row(name: str, row: Field) -> str:
    kinds = ", ".join(EventKind.Name(kind).removeprefix("EVENT_KIND_") for kind in row.kinds)
    proofs = [_word(row.proves)] if row.proves else []
    if row.proves_with_id:
        proofs.append(f"{_word(row.proves_with_id)} with a provider's id")
    shown = "yes" if row.is_shown else ""
    cells = (f"`{name}`", row.merge.value, kinds, shown, ", ".join(proofs))
    return "| " + " | ".join(cells) + " |"


def _word(state: MessageState.ValueType) -> str:
    return MessageState.Name(state).removeprefix("MESSAGE_STATE_")


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text()))
    print("states.md written")
