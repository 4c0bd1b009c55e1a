"""`bluetick export` against a gateway that cuts streams, and killed in the middle of a file."""

import hashlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pytest
from bluetick.v1 import message_service_pb2 as pb
from bluetick.v1.message_service_pb2_grpc import (
    MessageServiceServicer,
    add_MessageServiceServicer_to_server,
)

PIECES = [f"piece {number}\r\n".encode() * 40 for number in range(6)]
WHOLE = b"".join(PIECES)


class Gateway(MessageServiceServicer):
    """Sends a file of six pieces, of which every second has no cursor."""

    def __init__(self) -> None:
        self.cuts: list[grpc.StatusCode] = []
        self.asked: list[str] = []
        # Seconds that it waits behind the fourth piece.
        self.pause_s = 0.0
        self.sha256 = hashlib.sha256(WHOLE).digest()

    def ListMessages(self, request: Any, context: Any) -> pb.ListMessagesResponse:
        return pb.ListMessagesResponse(total_count=len(PIECES))

    def ExportMessages(
        self, request: pb.ExportMessagesRequest, context: Any
    ) -> Iterator[pb.ExportMessagesResponse]:
        self.asked.append(request.cursor)
        for number, data in enumerate(PIECES):
            if number < int(request.cursor or 0):
                continue
            if number == 4 and self.cuts:
                context.abort(self.cuts.pop(0), "cut")
            if number == 4:
                time.sleep(self.pause_s)
            cursor = str(number + 1) if number % 2 == 0 else ""
            yield pb.ExportMessagesResponse(data=data, row_count=number + 1, cursor=cursor)
        yield pb.ExportMessagesResponse(row_count=len(PIECES), sha256=self.sha256)


@pytest.fixture
def gateway() -> Iterator[tuple[Gateway, str]]:
    served = Gateway()
    server = grpc.server(futures.ThreadPoolExecutor(4))
    add_MessageServiceServicer_to_server(served, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield served, f"127.0.0.1:{port}"
    server.stop(None).wait()


def command(address: str, folder: Path) -> list[str]:
    program = [sys.executable, "-m", "libs.cli.main", "export", "spring", "--kind", "detailed"]
    return [*program, "--output", str(folder / "spring.csv"), "--gateway", address]


def run(address: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(address, folder), capture_output=True, text=True, timeout=60, check=False
    )


def test_a_cut_stream_is_gone_on_with_where_it_was(
    gateway: tuple[Gateway, str], tmp_path: Path
) -> None:
    """What came behind the last cursor is taken back, and comes again."""
    served, address = gateway
    served.cuts = [grpc.StatusCode.UNAVAILABLE]

    done = run(address, tmp_path)

    assert done.returncode == 0, done.stderr
    assert served.asked == ["", "3"]
    assert [file.name for file in tmp_path.iterdir()] == ["spring.csv"]
    assert (tmp_path / "spring.csv").read_bytes() == WHOLE
    assert hashlib.sha256(WHOLE).hexdigest() in done.stdout


def test_a_killed_command_is_gone_on_with_by_the_next_one(
    gateway: tuple[Gateway, str], tmp_path: Path
) -> None:
    """kill -9 in the middle of the file: the same command again gives the same bytes."""
    served, address = gateway
    served.pause_s = 5.0
    process = subprocess.Popen(command(address, tmp_path), stderr=subprocess.DEVNULL)
    note, end = tmp_path / "spring.csv.part.json", time.monotonic() + 30
    while not note.exists() or b'"3"' not in note.read_bytes():
        assert time.monotonic() < end
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    served.pause_s = 0.0

    done = run(address, tmp_path)

    assert done.returncode == 0, done.stderr
    assert served.asked == ["", "3"]
    assert (tmp_path / "spring.csv").read_bytes() == WHOLE


def test_a_file_whose_messages_moved_is_begun_anew(
    gateway: tuple[Gateway, str], tmp_path: Path
) -> None:
    """Two halves of different moments are no file."""
    served, address = gateway
    served.cuts = [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.ABORTED]

    done = run(address, tmp_path)

    assert done.returncode == 0, done.stderr
    assert served.asked == ["", "3", ""]
    assert (tmp_path / "spring.csv").read_bytes() == WHOLE


def test_a_file_with_another_checksum_gets_no_name(
    gateway: tuple[Gateway, str], tmp_path: Path
) -> None:
    """Nobody takes it for what it is not."""
    served, address = gateway
    served.sha256 = b"\x00" * 32

    done = run(address, tmp_path)

    assert done.returncode == 1
    assert "checksum" in done.stderr
    assert list(tmp_path.iterdir()) == []
