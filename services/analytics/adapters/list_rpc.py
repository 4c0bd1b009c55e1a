"""MessageIndexService over gRPC, for other services."""

from typing import Any

from bluetick.v1 import message_index_service_pb2 as pb
from bluetick.v1.message_index_service_pb2_grpc import MessageIndexServiceServicer

from libs.runtime.clock import Clock
from libs.runtime.rpc_errors import InvalidArgument
from services.analytics.domain.lists.selection import selection_of
from services.analytics.domain.question import Problem, campaign_id
from services.analytics.domain.watermark import Watermark
from services.analytics.find_messages import LIMIT_MAX, ListReader, Question, find_messages


class MessageIndexRpc(MessageIndexServiceServicer):
    """Of no tenant: the gateway has no way here."""

    def __init__(self, reader: ListReader, watermark: Watermark, clock: Clock) -> None:
        self._reader = reader
        self._watermark = watermark
        self._clock = clock

    async def FindMessages(
        self, request: pb.FindMessagesRequest, context: Any
    ) -> pb.FindMessagesResponse:
        """Return a page of messages."""
        now_us = self._clock.now_us()
        page, freshness = await find_messages(self._reader, self._watermark, _question(request))
        return pb.FindMessagesResponse(
            message_keys=[key for _, key in page.messages],
            numbers=[number for number, _ in page.messages],
            is_end=page.is_end,
            total_count=page.total_count,
            as_of_time_us=now_us,
            complete_until_time_us=freshness.complete_until_us or 0,
        )


def _question(request: pb.FindMessagesRequest) -> Question:
    try:
        wanted = campaign_id(request.campaign_id)
        selection = selection_of(request.where)
    except Problem as problem:
        raise InvalidArgument.of(problem.field, problem.text) from None
    if not 1 <= request.limit <= LIMIT_MAX:
        raise InvalidArgument.of("limit", f"From 1 to {LIMIT_MAX:,}.")
    after = request.after_number
    return Question(request.tenant_id, wanted, selection, after, request.limit, request.is_counting)
