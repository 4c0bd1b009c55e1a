"""An operator replaces any row of the catalogue, and a wrong file never gets into service."""

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from bluetick.v1 import common_pb2 as pb

from libs.catalogue.csv_tables import CatalogueProblem
from libs.catalogue.failures import (
    alternatives,
    lookup,
    reason_for,
    remedy,
    topic_for,
    transience,
)
from libs.catalogue.markets import market_of
from libs.catalogue.standing import configure
from libs.runtime.settings import RuntimeSettings

DROPPED, UNDELIVERED = pb.FAILURE_STAGE_DROPPED, pb.FAILURE_STAGE_UNDELIVERED
CODES = "vocabulary,code,stage,reason,transience,confidence,title\n"


@pytest.fixture(autouse=True)
def _shipped_afterwards() -> Iterator[None]:
    yield
    configure(RuntimeSettings())


def _configure(folder: Path, **tables: str) -> None:
    paths = {}
    for setting, text in tables.items():
        path = folder / f"{setting}.csv"
        path.write_text(text, encoding="utf-8")
        paths[setting] = str(path)
    configure(RuntimeSettings(**paths))


def _problems(folder: Path, **tables: str) -> list[str]:
    with pytest.raises(CatalogueProblem) as problem:
        _configure(folder, **tables)
    return str(problem.value).replace(f"{folder}/", "").splitlines()


def test_a_row_of_the_operators_replaces_the_shipped_one_and_the_rest_stays(tmp_path: Path) -> None:
    """Providers change codes without asking; nobody waits for a release."""
    assert reason_for("meta", "131049", UNDELIVERED) == pb.FAILURE_REASON_META_RECIPIENT_LIMIT

    _configure(
        tmp_path,
        failure_codes_file=CODES
        + "whatsapp_cloud,131049,undelivered,META_ERRORS,permanent,high,Our own word\n",
    )

    entry = lookup("meta", "131049", UNDELIVERED)
    assert entry is not None
    assert entry.reason == pb.FAILURE_REASON_META_ERRORS
    assert entry.title == "Our own word"
    assert reason_for("dialog360", "131049", UNDELIVERED) == pb.FAILURE_REASON_META_ERRORS
    assert reason_for("meta", "131026", UNDELIVERED) == pb.FAILURE_REASON_RECIPIENT_RELATED_ERRORS


def test_a_row_of_the_operators_adds_a_code_and_a_vocabulary(tmp_path: Path) -> None:
    """Providers without a dialect of their own have codes, too."""
    assert reason_for("acme", "200", UNDELIVERED) == pb.FAILURE_REASON_UNMAPPED

    _configure(
        tmp_path,
        failure_codes_file=f"\ufeff{CODES}acme,200,undelivered,META_ERRORS,transient,low,\n\n",
    )

    assert reason_for("acme", "200", UNDELIVERED) == pb.FAILURE_REASON_META_ERRORS
    assert reason_for("acme", "200", DROPPED) == pb.FAILURE_REASON_META_TEMPORARY_ERRORS
    assert transience("acme", "200", UNDELIVERED, 20) == pb.FAILURE_TRANSIENCE_TRANSIENT


def test_a_range_stands_for_each_code_without_a_row_of_its_own(tmp_path: Path) -> None:
    """Meta documents one meaning for all codes from 200 to 299."""
    assert reason_for("meta", "237", DROPPED) == pb.FAILURE_REASON_ACCOUNT_REGISTRATION_ERRORS

    _configure(
        tmp_path,
        failure_codes_file=CODES
        + "acme,7,undelivered,MEDIA_ERRORS,permanent,high,\n"
        + "acme,1-9,undelivered,META_ERRORS,transient,low,\n",
    )

    assert reason_for("acme", "7", UNDELIVERED) == pb.FAILURE_REASON_MEDIA_ERRORS
    assert reason_for("acme", "9", UNDELIVERED) == pb.FAILURE_REASON_META_ERRORS
    assert reason_for("acme", "10", UNDELIVERED) == pb.FAILURE_REASON_UNMAPPED


def test_remedies_topics_alternatives_and_markets_are_replaced_the_same_way(
    tmp_path: Path,
) -> None:
    """All of it is data that changes."""
    key = ("meta", "131047", UNDELIVERED)
    assert topic_for(*key) == pb.FAILURE_TOPIC_WINDOW_CLOSED
    assert [one.reason for one in alternatives(*key)] == [12]
    assert market_of("+491711234567", 0) == "Germany"

    _configure(
        tmp_path,
        remedies_file="reason,transience,remedy\nDUPLICATES,transient,Ask Ann.\n",
        failure_topics_file="topic,vocabulary,code\nnone,whatsapp_cloud,131047\n",
        failure_alternates_file="vocabulary,code,stage,reason,when\n"
        "whatsapp_cloud,131047,undelivered,META_ERRORS,On Mondays.\n",
        markets_file="country,calling_prefix,market,valid_from,valid_to\n"
        "DE,49,Central,,1999-12-31\nDE,49,Middle,2000-01-01,\n",
    )

    assert remedy(pb.FAILURE_REASON_DUPLICATES).text == "Ask Ann."
    assert remedy(pb.FAILURE_REASON_DUPLICATES).key == "remedy.duplicates"
    assert topic_for(*key) == pb.FAILURE_TOPIC_UNSPECIFIED
    assert alternatives(*key) == ((pb.FAILURE_REASON_META_ERRORS, "On Mondays."),)
    assert market_of("+491711234567", 0) == "Central"
    assert market_of("+491711234567", 946_684_800_000_000) == "Middle"


def test_every_problem_of_every_file_is_told_with_its_line(tmp_path: Path) -> None:
    """Whoever repairs a file wants to do it once."""
    problems = _problems(
        tmp_path,
        failure_codes_file=CODES
        + "acme,1,undelivered,META_ERRORS,transient,high,fine\n"
        + "acme,,sideways,META_ERRORS,maybe,high,\n"
        + "acme,2,undelivered\n"
        + "acme,3,dropped,META_ERRORS,transient,high,wrong side\n"
        + "meta,4,undelivered,META_ERRORS,transient,high,\n"
        + "acme,1,undelivered,MEDIA_ERRORS,transient,high,again\n"
        + "acme,9-3,undelivered,META_ERRORS,transient,high,\n",
        remedies_file="reason,remedy\nDUPLICATES,Ask Ann.\n",
        markets_file="country,calling_prefix,market,valid_from,valid_to\n"
        "Germany,zero,,2000-13-01,\nDE,49,Germany,2001-01-01,2000-01-01\n",
    )

    assert [problem.split(": ")[0] for problem in problems] == [
        *["failure_codes_file.csv, line 3"] * 3,
        "failure_codes_file.csv, line 4",
        "failure_codes_file.csv, line 5",
        "failure_codes_file.csv, line 6",
        "failure_codes_file.csv, line 7",
        "failure_codes_file.csv, line 8",
        "remedies_file.csv, line 1",
        *["markets_file.csv, line 2"] * 4,
        "markets_file.csv, line 3",
    ]
    told = "\n".join(problems)
    for word in (
        "stage 'sideways' is none of dropped, undelivered",
        "code is empty",
        "transience 'maybe'",
        "3 cells, the header has 7",
        "META_ERRORS does not exist at stage dropped",
        "'meta' has its codes under whatsapp_cloud, whatsapp_onprem",
        "code '1' of this stage is there already",
        "must be a range upwards",
        "the columns must be reason,transience,remedy",
        "valid_to is before valid_from",
    ):
        assert word in told, word


def test_a_file_that_is_missing_or_no_text_is_told(tmp_path: Path) -> None:
    """A typo in a path would otherwise quietly give the shipped catalogue."""
    (tmp_path / "bytes.csv").write_bytes(b"reason,\xff\xfe")
    paths = {
        "failure_codes_file": str(tmp_path / "nowhere.csv"),
        "remedies_file": str(tmp_path / "bytes.csv"),
    }

    with pytest.raises(CatalogueProblem, match=r"nowhere.csv: No such file") as problem:
        configure(RuntimeSettings(**paths))

    assert "bytes.csv: not UTF-8 from byte 7 on" in str(problem.value)
    assert "not readable as CSV" in _problems(tmp_path, remedies_file='reason,"transi')[0]


def test_an_empty_file_is_told(tmp_path: Path) -> None:
    """An export that went wrong is no wish to change nothing."""
    assert _problems(tmp_path, remedies_file="") == [
        "remedies_file.csv, line 1: the columns must be reason,transience,remedy."
    ]


def test_a_wrong_file_leaves_the_catalogue_as_it_was(tmp_path: Path) -> None:
    """Half a catalogue would give half of the failures another reason."""
    good = f"{CODES}acme,1,undelivered,META_ERRORS,transient,high,\n"
    _configure(tmp_path, failure_codes_file=good)

    _problems(tmp_path, failure_codes_file=f"{CODES}acme,1,undelivered,NONSENSE,transient,high,\n")

    assert reason_for("acme", "1", UNDELIVERED) == pb.FAILURE_REASON_META_ERRORS


@pytest.mark.parametrize("service", ["ingest", "status", "analytics"])
async def test_a_service_with_a_wrong_file_does_not_start(service: str, tmp_path: Path) -> None:
    """Three services with three catalogues would tell three stories."""
    wrong = tmp_path / "codes.csv"
    wrong.write_text(f"{CODES}acme,1,undelivered,NONSENSE,transient,high,\n")

    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        f"services.{service}",
        env={**os.environ, "BLUETICK_FAILURE_CODES_FILE": str(wrong)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        out, err = await process.communicate()

    assert process.returncode == 1
    assert b"codes.csv, line 2: reason 'NONSENSE' is none of" in out + err
