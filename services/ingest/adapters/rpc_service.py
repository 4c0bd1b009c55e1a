"""gRPC in: each call checked for its role and given to its use case."""

from typing import Any

from bluetick.v1 import ingest_service_pb2 as pb
from bluetick.v1.ingest_service_pb2_grpc import IngestServiceServicer

from libs.runtime.accounts import Accounts
from libs.runtime.api_keys import Role
from libs.runtime.clock import Clock
from libs.runtime.rpc_context import caller
from services.ingest.domain.link_token import LinkKeyring
from services.ingest.record_callback import EventSink
from services.ingest.record_engagements import record_engagements
from services.ingest.record_messages import record_messages
from services.ingest.try_callback import try_callback
from services.ingest.wrap_links import LinkRegister, wrap_links


class IngestRpc(IngestServiceServicer):
    """Ingest's part of ``IngestService``; what is not here answers UNIMPLEMENTED."""

    def __init__(
        self,
        *,
        accounts: Accounts,
        events: EventSink,
        clock: Clock,
        public_url: str,
        body_bytes_max: int,
        signature_age_s_max: int,
        time_ahead_s_max: int,
        links: LinkRegister,
        keyring: LinkKeyring,
        link_base_url: str,
    ) -> None:
        """Store through ``events`` and ``links``; the other arguments are the doors' own."""
        self._accounts = accounts
        self._events = events
        self._clock = clock
        self._public_url = public_url
        self._body_bytes_max = body_bytes_max
        self._signature_age_s_max = signature_age_s_max
        self._time_ahead_s_max = time_ahead_s_max
        self._links = links
        self._keyring = keyring
        self._link_base_url = link_base_url

    async def RecordMessages(
        self, request: pb.RecordMessagesRequest, context: Any
    ) -> pb.RecordMessagesResponse:
        """Record messages; OK means durable."""
        who = caller(context)
        who.require(Role.SENDER)
        return await record_messages(
            request,
            tenant_id=who.tenant_id,
            now_us=self._clock.now_us(),
            events=self._events,
            accounts=self._accounts,
        )

    async def RecordEngagements(
        self, request: pb.RecordEngagementsRequest, context: Any
    ) -> pb.RecordEngagementsResponse:
        """Record what people did; OK means durable."""
        who = caller(context)
        who.require(Role.SENDER)
        return await record_engagements(
            request,
            tenant_id=who.tenant_id,
            now_us=self._clock.now_us(),
            events=self._events,
            accounts=self._accounts,
        )

    async def WrapLinks(self, request: pb.WrapLinksRequest, context: Any) -> pb.WrapLinksResponse:
        """Wrap links; OK means that each can be followed."""
        who = caller(context)
        who.require(Role.SENDER)
        return await wrap_links(
            request,
            tenant_id=who.tenant_id,
            now_us=self._clock.now_us(),
            keyring=self._keyring,
            register=self._links,
            base_url=self._link_base_url,
        )

    async def TestCallback(
        self, request: pb.TestCallbackRequest, context: Any
    ) -> pb.TestCallbackResponse:
        """Say what a callback would become; nothing is stored."""
        who = caller(context)
        who.require(Role.SENDER)
        return try_callback(
            request,
            tenant_id=who.tenant_id,
            accounts=self._accounts,
            now_us=self._clock.now_us(),
            public_url=self._public_url,
            body_bytes_max=self._body_bytes_max,
            signature_age_s_max=self._signature_age_s_max,
            time_ahead_s_max=self._time_ahead_s_max,
            link_keys=self._keyring,
        )
