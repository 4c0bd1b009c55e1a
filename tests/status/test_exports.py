"""Exports: what a file holds, and that a cut one is gone on with to the same bytes."""

import csv
import hashlib
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow.parquet
import pytest
from bluetick.v1 import common_pb2
from bluetick.v1 import message_service_pb2 as pb
from hypothesis import given
from hypothesis import strategies as st

from libs.runtime.database import Database
from libs.testkit import builders
from services.status.adapters.export_rows import ExportRows
from services.status.domain.csv_file import BYTE_ORDER_MARK, CsvFile, harmless
from services.status.domain.export_columns import DETAILED, SUMMARY, Column, Kind, Row
from services.status.domain.parquet_file import ParquetFile
from services.status.export_messages import ExportMessages, ExportMoved
from services.status.list_messages import Behind, Wanted
from tests.status.machine import Bench

_COLUMNS = (
    Column("text", Kind.TEXT),
    Column("time", Kind.TIME),
    Column("count", Kind.COUNT),
    Column("money", Kind.MONEY),
    Column("flag", Kind.FLAG),
    Column("real", Kind.REAL),
)
_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_rows = st.lists(
    st.tuples(
        _texts,
        st.integers(0, 2**50),
        st.none() | st.integers(0, 2**40),
        st.none() | st.integers(-(10**12), 10**12),
        st.none() | st.booleans(),
        st.none() | st.floats(0, 1),
    ),
    min_size=1,
    max_size=40,
)


@given(st.lists(_rows, max_size=3))
def test_parquet_is_read_back_as_it_was_written(groups: list[list[Row]]) -> None:
    """By the reader that everybody else uses; what was not told is null, not 0."""
    file = ParquetFile(_COLUMNS, {"bluetick.schema_version": "1"})
    data, told = bytearray(file.head()), []
    for rows in groups:
        piece, group = file.group(rows, len(data))
        data += piece
        told.append(group)
    data += file.foot(told)

    table = pyarrow.parquet.read_table(pyarrow.BufferReader(bytes(data)))

    read = [tuple(row.values()) for row in table.to_pylist()]
    assert read == [_as_read(row) for rows in groups for row in rows]
    assert table.schema.metadata[b"bluetick.schema_version"] == b"1"


def _as_read(row: Row) -> Row:
    text, time_us, count, micros, flag, real = row
    time = datetime.fromtimestamp(0, UTC).timestamp() + time_us / 1e6 if time_us else None
    moment = None if time is None else pyarrow.scalar(time_us, pyarrow.timestamp("us", "UTC"))
    money = None if micros is None else Decimal(micros).scaleb(-6)
    return text or None, moment and moment.as_py(), count, money, flag, real


@given(st.lists(st.tuples(_texts, _texts), max_size=5))
def test_csv_is_read_back_as_it_was_written(rows: list[tuple[str, str]]) -> None:
    """Quotes, commas and line ends within a cell stay within it."""
    columns = Column("a", Kind.TEXT), Column("b", Kind.TEXT)
    file = CsvFile(columns)
    text = (file.head() + file.rows(rows)).decode()

    read = list(csv.reader(io.StringIO(text, newline="")))

    assert read[0] == ["a", "b"]
    assert [tuple(row) for row in read[1:]] == [(harmless(a), harmless(b)) for a, b in rows]
    assert text.endswith("\r\n")


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1"],
)
def test_no_cell_is_run_by_a_spreadsheet(text: str) -> None:
    """Names are told by people whom nobody knows."""
    assert harmless(text) == "'" + text


@pytest.mark.parametrize("text", ["+491701234567", "-2", "3.5", "Zoë", "", "a=b", "131049"])
def test_what_is_harmless_stays_as_it_is(text: str) -> None:
    """A phone number is still one."""
    assert harmless(text) == text


@dataclass
class Index:
    """Stands for analytics: finds all messages, in the order in which they were told."""

    keys: list[bytes] = field(default_factory=list)

    async def find(self, wanted: Wanted) -> Behind:
        behind = list(enumerate(self.keys, 1))[wanted.after_number :]
        found = behind[: wanted.limit]
        return Behind(found, len(behind) == len(found), len(self.keys), 0, 0)

    async def summary(self, tenant_id: str, campaign_id: str) -> list[Row]:
        return [
            ("counter", "sent", 7, None, None, None, None, "", ""),
            ("unavailable", "read", None, None, None, None, None, "", "SMS_NO_RECEIPTS"),
        ]


COUNT = 603


@pytest.fixture
async def index(bench: Bench) -> Index:
    """Messages of all sorts; every hundredth failed, was clicked, has a name to beware of."""
    events, keys = [], []
    for number in range(COUNT):
        name = f"wamid.{number}"
        contact = "=HYPERLINK(1)" if number % 100 == 7 else f"person-{number}"
        told = builders.a_registration(contact_id=contact, attributes={"city": f"c{number % 3}"})
        record = builders.a_registered(
            message_ref=f"ref-{number}", provider_message_id=name, registration=told
        )
        events.append(record)
        keys.append(record.message_key)
        if number % 100 == 0:
            events.append(builders.a_failure("131026", provider_message_id=name))
        elif number % 100 == 1:
            links = ("L2", "L1", "L1")
            events += [
                builders.a_click(f"c{at}", link_id=link, provider_message_id=name)
                for at, link in enumerate(links)
            ]
        elif number % 2:
            events.append(builders.an_event(provider_message_id=name))
    for first in range(0, len(events), 1_000):
        await bench.apply(*events[first : first + 1_000])
    return Index(keys)


def an_export(database: Database, index: Index) -> ExportMessages:
    return ExportMessages(index, index, ExportRows(database))


def a_request(form: str, **more: Any) -> pb.ExportMessagesRequest:
    return pb.ExportMessagesRequest(
        campaign_id="campaign-1",
        kind=more.pop("kind", common_pb2.EXPORT_KIND_DETAILED),
        format=common_pb2.FileFormat.Value(f"FILE_FORMAT_{form}"),
        **more,
    )


async def pieces(
    export: ExportMessages, request: pb.ExportMessagesRequest, *, is_address_shown: bool = True
) -> AsyncIterator[pb.ExportMessagesResponse]:
    stream = export.stream(builders.TENANT, request, is_address_shown=is_address_shown)
    async for piece in stream:
        yield piece


async def whole(export: ExportMessages, request: pb.ExportMessagesRequest, **more: bool) -> bytes:
    told = [piece async for piece in pieces(export, request, **more)]
    data = b"".join(piece.data for piece in told)
    assert [bool(piece.sha256) for piece in told] == [False] * (len(told) - 1) + [True]
    assert told[-1].sha256 == hashlib.sha256(data).digest()
    return data


async def test_both_forms_hold_the_same_messages(database: Database, index: Index) -> None:
    """Every message once, in order; times, failures, links and attributes of each."""
    export = an_export(database, index)
    text = (await whole(export, a_request("CSV"))).decode()
    table = pyarrow.parquet.read_table(
        pyarrow.BufferReader(await whole(export, a_request("PARQUET")))
    )

    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [row["message_ref"] for row in rows] == [f"ref-{n}" for n in range(COUNT)]
    assert list(rows[0]) == table.column_names == [column.name for column in DETAILED]
    for row, same in zip(rows, table.to_pylist(), strict=True):
        assert row["contact_id"] == harmless(same["contact_id"])
        for name in ("state", "failure_reason", "failure_code", "links_clicked", "attributes"):
            assert row[name] == (same[name] or ""), name
        accept = same["accept_time"].strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        assert row["accept_time"] == accept
    failed, clicked, named = rows[100], rows[101], rows[107]
    assert (failed["state"], failed["failure_code"]) == ("UNDELIVERED", "131026")
    assert failed["failure_reason"] == "RECIPIENT_RELATED_ERRORS"
    assert (clicked["links_clicked"], clicked["click_count"]) == ("L1; L2", "3")
    assert clicked["attributes"] == '{"city":"c2"}'
    assert named["contact_id"] == "'=HYPERLINK(1)"
    assert {row["address"] for row in rows} == {builders.ADDRESS}
    assert table.schema.metadata[b"bluetick.schema_version"] == b"1"


@pytest.mark.parametrize("form", ["CSV", "PARQUET"])
@pytest.mark.parametrize("is_restarted", [False, True])
async def test_a_cut_export_is_gone_on_with_to_the_same_bytes(
    database: Database,
    index: Index,
    form: str,
    is_restarted: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At every place, whether the process is the same or another; the checksum is the file's."""
    for name in ("ParquetExport", "CsvExport"):
        monkeypatch.setattr(f"services.status.domain.export_file.{name}.rows_max", 150)
    export, request = an_export(database, index), a_request(form)
    told = [piece async for piece in pieces(export, request)]
    file = b"".join(piece.data for piece in told)
    assert len(told) > 3

    for at, piece in enumerate(told[:-1], 1):
        if is_restarted:
            export = an_export(database, index)
        again = a_request(form, cursor=piece.cursor)
        rest = [one async for one in pieces(export, again)]
        assert b"".join(one.data for one in [*told[:at], *rest]) == file
        assert rest[-1].sha256 == hashlib.sha256(file).digest()
        assert rest[-1].row_count == COUNT


async def test_a_cut_export_whose_messages_moved_is_refused_where_nobody_knows_its_place(
    database: Database, bench: Bench, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two halves of different moments would have no checksum; whoever knows the place goes on."""
    monkeypatch.setattr("services.status.domain.export_file.CsvExport.rows_max", 150)
    export, request = an_export(database, index), a_request("CSV")
    told = [piece async for piece in pieces(export, request)]
    await bench.apply(builders.a_failure("131049", provider_message_id="wamid.2"))
    again = a_request("CSV", cursor=told[2].cursor)

    rest = [one async for one in pieces(export, again)]
    joined = b"".join(one.data for one in [*told[:3], *rest])
    assert rest[-1].sha256 == hashlib.sha256(joined).digest()
    with pytest.raises(ExportMoved):
        [one async for one in pieces(an_export(database, index), again)]


async def test_addresses_are_masked_for_whoever_may_not_see_them(
    database: Database, index: Index
) -> None:
    """A cursor of somebody who may is of no use to somebody who may not."""
    export, request = an_export(database, index), a_request("CSV")
    text = (await whole(export, request, is_address_shown=False)).decode()
    assert builders.ADDRESS not in text
    assert "••••01" in text

    shown = [piece async for piece in pieces(export, request)]
    again = a_request("CSV", cursor=shown[1].cursor)
    with pytest.raises(Exception, match="cursor"):
        [one async for one in pieces(export, again, is_address_shown=False)]


async def test_a_summary_tells_what_there_is_no_number_of(database: Database, index: Index) -> None:
    """Unavailable is not 0, in a file as little as elsewhere."""
    kind = common_pb2.EXPORT_KIND_SUMMARY
    request = a_request("CSV", kind=kind, with_byte_order_mark=True)
    data = await whole(an_export(database, index), request)

    assert data.startswith(BYTE_ORDER_MARK)
    rows = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))
    assert list(rows[0]) == [column.name for column in SUMMARY]
    assert (rows[0]["name"], rows[0]["value"]) == ("sent", "7")
    assert (rows[1]["value"], rows[1]["unavailable"]) == ("", "SMS_NO_RECEIPTS")


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"cursor": "nobody-gave-it"}, "cursor"),
        ({"kind": common_pb2.EXPORT_KIND_SUMMARY, "where": {"metric": "sent"}}, "where"),
        ({"kind": 9}, "kind"),
        ({"with_byte_order_mark": True}, "with_byte_order_mark"),
    ],
)
async def test_what_cannot_be_exported_is_refused_by_name(
    database: Database, more: dict[str, Any], field: str
) -> None:
    """Before the first byte."""
    with pytest.raises(Exception, match=f"^{field}: "):
        await whole(an_export(database, Index()), a_request("PARQUET", **more))
