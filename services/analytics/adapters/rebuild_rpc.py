"""RebuildService over gRPC."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from bluetick.v1 import rebuild_service_pb2 as pb
from bluetick.v1.rebuild_service_pb2_grpc import RebuildServiceServicer

from libs.runtime.api_keys import Role
from libs.runtime.rpc_context import caller
from libs.runtime.rpc_errors import FailedPrecondition, Unavailable
from services.analytics.rebuild_cells import (
    AnotherRebuild,
    Difference,
    NotComparable,
    Rebuild,
    RebuildProgress,
    SnapshotUnavailable,
)

_RETRY_S = 2.0


class RebuildRpc(RebuildServiceServicer):
    """Admins may rebuild the numbers of their own tenant."""

    def __init__(self, rebuild: Rebuild) -> None:
        self._rebuild = rebuild

    async def Rebuild(
        self, request: pb.RebuildRequest, context: Any
    ) -> AsyncIterator[pb.RebuildResponse]:
        """Recount, compare, and switch if asked to."""
        who = caller(context)
        who.require(Role.ADMIN)
        run = self._rebuild.run(
            who.tenant_id,
            is_verify_only=request.is_verify_only,
            is_from_scratch=request.is_from_scratch,
        )
        try:
            async with aclosing(run) as told:
                async for progress in told:
                    yield _response(progress)
        except AnotherRebuild:
            raise FailedPrecondition(
                "Another call rebuilds or verifies these numbers; wait for it to end.",
                reason="REBUILD_RUNNING",
            ) from None
        except NotComparable:
            raise Unavailable(
                "Changes are still on their way into the numbers; call again to go on.",
                retry_s=_RETRY_S,
            ) from None
        except SnapshotUnavailable as error:
            raise Unavailable(
                f"The messages cannot be read ({error}); call again to go on.", retry_s=_RETRY_S
            ) from None


def _response(progress: RebuildProgress) -> pb.RebuildResponse:
    told = pb.RebuildResponse(
        phase=pb.RebuildPhase.ValueType(progress.phase),
        message_count=progress.message_count,
        message_count_expected=progress.message_count_expected,
        is_switched=progress.is_switched,
    )
    if progress.compared is not None:
        told.difference_count = progress.compared.difference_count
        told.differences.extend(map(_difference, progress.compared.differences))
    return told


def _difference(one: Difference) -> pb.CellDifference:
    return pb.CellDifference(
        family=one.family,
        campaign_id=one.campaign_id,
        key=one.key,
        sum=one.sum,
        shown=one.shown,
        recounted=one.recounted,
    )
