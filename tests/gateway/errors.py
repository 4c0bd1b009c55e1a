"""Reads an error as a caller would."""

from collections.abc import Awaitable
from dataclasses import dataclass

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2


@dataclass
class Failure:
    """How a call failed."""

    code: grpc.StatusCode
    text: str
    info: error_details_pb2.ErrorInfo
    retry_s: float | None
    request_id: str

    @property
    def reason(self) -> str:
        """The stable reason."""
        return self.info.reason


async def failure_of(failing: Awaitable[object]) -> Failure:
    """Await a call that must fail; return how."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await failing
    error = raised.value
    found = Failure(error.code(), error.details() or "", error_details_pb2.ErrorInfo(), None, "")
    for name, value in error.trailing_metadata():
        if name == "grpc-status-details-bin":
            status = status_pb2.Status.FromString(value)
            assert status.code == error.code().value[0]
            _read(status, found)
    return found


def _read(status: status_pb2.Status, found: Failure) -> None:
    retry, request = error_details_pb2.RetryInfo(), error_details_pb2.RequestInfo()
    for detail in status.details:
        detail.Unpack(found.info)
        if detail.Unpack(retry):
            found.retry_s = retry.retry_delay.ToTimedelta().total_seconds()
        if detail.Unpack(request):
            found.request_id = request.request_id
