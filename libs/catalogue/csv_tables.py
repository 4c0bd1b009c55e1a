"""Reads the catalogue's CSV tables and names everything that is wrong with one, line by line."""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

TEXT_CHARACTERS_MAX = 1_000
_WORD_CHARACTERS_MAX = 128

ChoiceT = TypeVar("ChoiceT")


class CatalogueProblem(ValueError):
    """A file of the operator's cannot be used; one line for each problem, with file and line."""


class Row:
    """One row of a table. What is wrong with a cell goes to ``problems``, and reading goes on."""

    def __init__(self, cells: Mapping[str, str], where: str, problems: list[str]) -> None:
        """Read ``cells``; ``where`` ("codes.csv, line 7") begins each problem."""
        self._cells = cells
        self._where = where
        self._problems = problems
        self._problems_before = len(problems)

    def word(self, column: str) -> str:
        """Return a text that must be there, of at most 128 characters."""
        return self.text(column, characters_max=_WORD_CHARACTERS_MAX, is_required=True)

    def text(
        self,
        column: str,
        *,
        characters_max: int = TEXT_CHARACTERS_MAX,
        is_required: bool = False,
    ) -> str:
        """Return a text without the blanks around it."""
        text = self._cells[column].strip()
        if is_required and not text:
            self.complain(f"{column} is empty.")
        if len(text) > characters_max:
            self.complain(f"{column} has {len(text)} characters, at most {characters_max} fit.")
        return text

    def choice(self, column: str, choices: Mapping[str, ChoiceT], default: ChoiceT) -> ChoiceT:
        """Return what a word of a closed list stands for; ``default`` after a complaint."""
        word = self._cells[column].strip()
        if word in choices:
            return choices[word]
        self.complain(f"{column} {word[:64]!r} is none of {', '.join(choices)}.")
        return default

    def complain(self, problem: str) -> None:
        """Note what is wrong with this row."""
        self._problems.append(f"{self._where}: {problem}")

    @property
    def is_sound(self) -> bool:
        """Whether nothing was wrong so far."""
        return len(self._problems) == self._problems_before

    @property
    def where(self) -> str:
        """The file and the line."""
        return self._where


def read_rows(text: str, name: str, columns: Sequence[str], problems: list[str]) -> Iterator[Row]:
    """Yield the rows of a CSV table with exactly these columns, in any order.

    Empty lines are skipped. Rows of the wrong length are told in ``problems`` and left out.
    """
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [cell.strip() for cell in next(reader, [])]
        if sorted(header) != sorted(columns):
            problems.append(f"{name}, line 1: the columns must be {','.join(columns)}.")
            return
        for cells in reader:
            where = f"{name}, line {reader.line_num}"
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                problems.append(f"{where}: {len(cells)} cells, the header has {len(header)}.")
                continue
            yield Row(dict(zip(header, cells, strict=True)), where, problems)
    except csv.Error as error:
        problems.append(f"{name}, line {reader.line_num}: not readable as CSV ({error}).")


def read_file(path: str, problems: list[str]) -> str | None:
    """Return the text of an operator's file (UTF-8); None after a complaint."""
    try:
        # Spreadsheets begin UTF-8 files with a byte order mark.
        return Path(path).read_bytes().decode("utf-8-sig")
    except OSError as error:
        problems.append(f"{path}: {error.strerror}.")
    except UnicodeDecodeError as error:
        problems.append(f"{path}: not UTF-8 from byte {error.start} on.")
    return None


def refuse_repeats(
    seen: dict[object, str], key: object, row: Row, describe: Callable[[], str]
) -> None:
    """Complain if ``key`` was there before: which of two rows counts would be chance."""
    if not row.is_sound:
        return
    first = seen.setdefault(key, row.where)
    if first != row.where:
        row.complain(f"{describe()} is there already: {first}.")
