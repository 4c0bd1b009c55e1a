"""gRPC in for who keeps webhook endpoints: each call checked for its role, then its use case."""

from typing import Any

from bluetick.v1 import webhook_service_pb2 as pb
from bluetick.v1.webhook_service_pb2_grpc import WebhookServiceServicer

from libs.runtime.api_keys import Role
from libs.runtime.clock import Clock
from libs.runtime.rpc_context import caller
from services.status import put_webhooks, replay_letters
from services.status.put_webhooks import Tools


class WebhookRpc(WebhookServiceServicer):
    """``WebhookService``."""

    def __init__(self, tools: Tools, clock: Clock) -> None:
        self._tools = tools
        self._clock = clock

    async def PutEndpoint(
        self, request: pb.PutEndpointRequest, context: Any
    ) -> pb.PutEndpointResponse:
        """Store an endpoint."""
        return await put_webhooks.put_endpoint(
            request, tenant_id=_admin(context), now_us=self._clock.now_us(), tools=self._tools
        )

    async def ListEndpoints(
        self, request: pb.ListEndpointsRequest, context: Any
    ) -> pb.ListEndpointsResponse:
        """Return a page of endpoints."""
        return await put_webhooks.list_endpoints(
            request, tenant_id=_admin(context), tools=self._tools
        )

    async def DeleteEndpoint(
        self, request: pb.DeleteEndpointRequest, context: Any
    ) -> pb.DeleteEndpointResponse:
        """Remove an endpoint."""
        return await put_webhooks.delete_endpoint(
            request, tenant_id=_admin(context), tools=self._tools
        )

    async def RotateEndpointSecret(
        self, request: pb.RotateEndpointSecretRequest, context: Any
    ) -> pb.RotateEndpointSecretResponse:
        """Make another secret."""
        return await put_webhooks.rotate_endpoint_secret(
            request, tenant_id=_admin(context), now_us=self._clock.now_us(), tools=self._tools
        )

    async def ListDeadLetters(
        self, request: pb.ListDeadLettersRequest, context: Any
    ) -> pb.ListDeadLettersResponse:
        """Return a page of what was given up."""
        return await replay_letters.list_dead_letters(
            request, tenant_id=_admin(context), store=self._tools.store
        )

    async def ReplayDeadLetters(
        self, request: pb.ReplayDeadLettersRequest, context: Any
    ) -> pb.ReplayDeadLettersResponse:
        """Have it sent again."""
        return await replay_letters.replay_dead_letters(
            request,
            tenant_id=_admin(context),
            now_us=self._clock.now_us(),
            store=self._tools.store,
        )

    async def ReplayChanges(
        self, request: pb.ReplayChangesRequest, context: Any
    ) -> pb.ReplayChangesResponse:
        """Go on from a time."""
        return await put_webhooks.replay_changes(
            request, tenant_id=_admin(context), tools=self._tools
        )


def _admin(context: Any) -> str:
    """Return the caller's tenant. Raises PermissionDenied below ADMIN."""
    asking = caller(context)
    asking.require(Role.ADMIN)
    return asking.tenant_id
