"""The catalogue's tables: the shipped ones, and an operator's rows laid over them."""

import re
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple, Protocol, cast

from bluetick.v1 import common_pb2 as pb

from libs.catalogue.csv_tables import (
    CatalogueProblem,
    Row,
    read_file,
    read_rows,
    refuse_repeats,
)
from libs.catalogue.market_rows import Market, read_markets
from libs.catalogue.vocabularies import VOCABULARIES

DROPPED, UNDELIVERED = pb.FAILURE_STAGE_DROPPED, pb.FAILURE_STAGE_UNDELIVERED
STAGES: dict[str, int] = {"dropped": DROPPED, "undelivered": UNDELIVERED}
TRANSIENCES: dict[str, int] = {
    "transient": pb.FAILURE_TRANSIENCE_TRANSIENT,
    "permanent": pb.FAILURE_TRANSIENCE_PERMANENT,
    "unknown": pb.FAILURE_TRANSIENCE_UNSPECIFIED,
}
_REASON_PREFIX = "FAILURE_REASON_"
REASONS: dict[str, int] = {
    name.removeprefix(_REASON_PREFIX): number
    for name, number in pb.FailureReason.items()
    if number != pb.FAILURE_REASON_UNSPECIFIED
}
# "none" takes a topic away that the shipped table gives.
TOPICS: dict[str, int] = {
    "none": pb.FAILURE_TOPIC_UNSPECIFIED,
    "opt_out": pb.FAILURE_TOPIC_OPT_OUT,
    "payment": pb.FAILURE_TOPIC_PAYMENT,
    "window_closed": pb.FAILURE_TOPIC_WINDOW_CLOSED,
    "not_on_whatsapp": pb.FAILURE_TOPIC_NOT_ON_WHATSAPP,
    "complaint": pb.FAILURE_TOPIC_COMPLAINT,
}
_CONFIDENCES = {word: word for word in ("high", "medium", "low")}
REASONS_OF_STAGE: dict[int, frozenset[int]] = {
    DROPPED: frozenset(range(1, 15)),
    UNDELIVERED: frozenset({pb.FAILURE_REASON_RECIPIENT_RELATED_ERRORS, *range(15, 23)}),
}

_RANGE = re.compile(r"([0-9]{1,9})-([0-9]{1,9})")
_RANGE_CODES_MAX = 1_000

CodeKey = tuple[str, str, int]  # vocabulary, code, FailureStage


class CodeEntry(NamedTuple):
    """What the catalogue knows of one code at one stage."""

    reason: int  # FailureReason
    transience: int  # FailureTransience
    title: str  # short; empty where only a long text exists
    confidence: str  # high, medium or low


class Remedy(NamedTuple):
    """What to do about a reason."""

    key: str  # stable, for translation
    text: str
    transience: int  # FailureTransience of the reason where no code says more


class Alternative(NamedTuple):
    """Another reason that a code may stand for."""

    reason: int  # FailureReason
    when: str  # in which case, one sentence


class Catalogue(NamedTuple):
    """All tables."""

    codes: dict[CodeKey, CodeEntry]
    alternatives: dict[CodeKey, tuple[Alternative, ...]]
    topics: dict[tuple[str, str], int]  # by vocabulary and code: FailureTopic
    remedies: dict[int, Remedy]  # by FailureReason
    markets: dict[str, tuple[Market, ...]]  # by calling prefix


class Files(Protocol):
    """Paths of the operator's own tables; empty: none."""

    @property
    def failure_codes_file(self) -> str:
        """Rows like failure_codes.csv."""

    @property
    def failure_alternates_file(self) -> str:
        """Rows like failure_alternates.csv."""

    @property
    def failure_topics_file(self) -> str:
        """Rows like failure_topics.csv."""

    @property
    def remedies_file(self) -> str:
        """Rows like remedies.csv."""

    @property
    def markets_file(self) -> str:
        """Rows like markets.csv."""


def _spread(table: dict[Any, Any]) -> Mapping[Any, Any]:
    """Add each code of a range ("200-299") that has no row of its own."""
    for key, value in list(table.items()):
        if ends := _RANGE.fullmatch(key[1]):
            for code in range(int(ends[1]), int(ends[2]) + 1):
                table.setdefault((key[0], str(code), *key[2:]), value)
    return table


def _code(row: Row) -> str:
    code = row.word("code")
    ends = _RANGE.fullmatch(code)
    if ends and not 0 < int(ends[2]) - int(ends[1]) < _RANGE_CODES_MAX:
        row.complain(f"code {code!r} must be a range upwards, of at most {_RANGE_CODES_MAX} codes.")
    return code


def _vocabulary(row: Row) -> str:
    word = row.word("vocabulary")
    own = VOCABULARIES.get(word)
    if own and word not in own:
        row.complain(f"vocabulary {word!r} has its codes under {', '.join(own)}.")
    return word


def _reason_at(row: Row, stage: int) -> int:
    reason = row.choice("reason", REASONS, pb.FAILURE_REASON_UNSPECIFIED)
    if row.is_sound and reason not in REASONS_OF_STAGE[stage]:
        word = next(name for name, number in STAGES.items() if number == stage)
        row.complain(f"reason {row.text('reason')} does not exist at stage {word}.")
    return reason


def read_codes(text: str, name: str, problems: list[str]) -> dict[CodeKey, CodeEntry]:
    """Return the reasons by vocabulary, code and stage."""
    codes: dict[CodeKey, CodeEntry] = {}
    seen: dict[object, str] = {}
    columns = ("vocabulary", "code", "stage", "reason", "transience", "confidence", "title")
    for row in read_rows(text, name, columns, problems):
        stage = row.choice("stage", STAGES, DROPPED)
        key = _vocabulary(row), _code(row), stage
        entry = CodeEntry(
            _reason_at(row, stage),
            row.choice("transience", TRANSIENCES, 0),
            row.text("title"),
            row.choice("confidence", _CONFIDENCES, ""),
        )
        refuse_repeats(seen, key, row, lambda key=key: f"code {key[1]!r} of this stage")  # type: ignore[misc]
        codes[key] = entry
    return codes


def read_alternatives(
    text: str, name: str, problems: list[str]
) -> dict[CodeKey, tuple[Alternative, ...]]:
    """Return the other reasons by vocabulary, code and stage, in the order of the table."""
    alternatives: dict[CodeKey, tuple[Alternative, ...]] = {}
    columns = ("vocabulary", "code", "stage", "reason", "when")
    for row in read_rows(text, name, columns, problems):
        stage = row.choice("stage", STAGES, DROPPED)
        key = _vocabulary(row), _code(row), stage
        one = Alternative(_reason_at(row, stage), row.text("when", is_required=True))
        alternatives[key] = (*alternatives.get(key, ()), one)
    return alternatives


def read_topics(text: str, name: str, problems: list[str]) -> dict[tuple[str, str], int]:
    """Return the topics by vocabulary and code."""
    topics: dict[tuple[str, str], int] = {}
    seen: dict[object, str] = {}
    for row in read_rows(text, name, ("vocabulary", "code", "topic"), problems):
        key = _vocabulary(row), _code(row)
        topics[key] = row.choice("topic", TOPICS, 0)
        refuse_repeats(seen, key, row, lambda key=key: f"code {key[1]!r}")  # type: ignore[misc]
    return topics


def read_remedies(text: str, name: str, problems: list[str]) -> dict[int, Remedy]:
    """Return the remedies by reason."""
    remedies: dict[int, Remedy] = {}
    seen: dict[object, str] = {}
    for row in read_rows(text, name, ("reason", "transience", "remedy"), problems):
        reason = row.choice("reason", REASONS, pb.FAILURE_REASON_UNSPECIFIED)
        key = f"remedy.{row.text('reason').lower()}"
        transience = row.choice("transience", TRANSIENCES, 0)
        remedies[reason] = Remedy(key, row.text("remedy", is_required=True), transience)
        refuse_repeats(seen, reason, row, lambda: "the reason")
    return remedies


class _Table(NamedTuple):
    shipped: str  # file in data/
    setting: str  # field of Files
    read: Callable[[str, str, list[str]], dict[Any, Any]]
    has_codes: bool = False


# In the order of Catalogue's fields.
_TABLES = (
    _Table("failure_codes.csv", "failure_codes_file", read_codes, has_codes=True),
    _Table("failure_alternates.csv", "failure_alternates_file", read_alternatives, has_codes=True),
    _Table("failure_topics.csv", "failure_topics_file", read_topics, has_codes=True),
    _Table("remedies.csv", "remedies_file", read_remedies),
    _Table("markets.csv", "markets_file", read_markets),
)


def _read(table: _Table, text: str, name: str, problems: list[str]) -> Mapping[Any, Any]:
    found = table.read(text, name, problems)
    return _spread(found) if table.has_codes and not problems else found


@cache
def shipped() -> Catalogue:
    """Return the tables that come with the product."""
    problems: list[str] = []
    folder = files("libs.catalogue") / "data"
    tables = [
        _read(table, (folder / table.shipped).read_text(encoding="utf-8"), table.shipped, problems)
        for table in _TABLES
    ]
    assert not problems, problems
    return Catalogue(*tables)  # type: ignore[arg-type]


def overlaid(paths: Files) -> Catalogue:
    """Return the shipped tables with the operator's rows in place of those with the same key.

    Raises:
        CatalogueProblem: a file is missing or wrong; names every problem of every file.
    """
    problems: list[str] = []
    tables: list[Any] = []
    for table, standing in zip(_TABLES, cast("tuple[dict[Any, Any], ...]", shipped()), strict=True):
        path = getattr(paths, table.setting)
        text = read_file(path, problems) if path else None
        own = _read(table, text, path, problems) if text is not None else {}
        tables.append({**standing, **own})
    if problems:
        raise CatalogueProblem("\n".join(problems))
    return Catalogue(*tables)
