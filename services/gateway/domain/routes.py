"""Which service owns which RPC, and which role may call it. Read from the protos' descriptors."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from bluetick.v1 import (
    admin_service_pb2,
    analytics_service_pb2,
    campaign_service_pb2,
    ingest_service_pb2,
    message_service_pb2,
    rebuild_service_pb2,
    webhook_service_pb2,
)
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions

from libs.runtime.api_keys import Role


class Upstream(StrEnum):
    """A service behind the gateway."""

    INGEST = "ingest"
    STATUS = "status"
    ANALYTICS = "analytics"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What the gateway knows of one RPC. Unique by ``path``."""

    path: str  # "/bluetick.v1.MessageService/GetMessage"
    service: str  # "bluetick.v1.MessageService"
    upstream: Upstream  # who serves it
    role: Role  # the least of a tenant's roles that may call it
    is_operators: bool  # OPERATOR may call it, too; the service says what for
    is_stream: bool  # many answers to one request
    is_read: bool  # declared free of side effects, so it may be tried twice


_SERVICES = (
    (ingest_service_pb2, "IngestService"),
    (message_service_pb2, "MessageService"),
    (campaign_service_pb2, "CampaignService"),
    (analytics_service_pb2, "AnalyticsService"),
    (admin_service_pb2, "AdminService"),
    (rebuild_service_pb2, "RebuildService"),
    (webhook_service_pb2, "WebhookService"),
)

_OWNERS: Mapping[str, Upstream] = {
    "IngestService": Upstream.INGEST,
    # Quarantine is a table, and status is the service beside the doors that keeps tables.
    "IngestService.ListQuarantine": Upstream.STATUS,
    "IngestService.ReplayQuarantine": Upstream.STATUS,
    "IngestService.GetCallbackHealth": Upstream.STATUS,
    "MessageService": Upstream.STATUS,
    "CampaignService": Upstream.ANALYTICS,
    "AnalyticsService": Upstream.ANALYTICS,
    # Accounts and keys are tables, and ingest is the service that works with accounts.
    "AdminService": Upstream.INGEST,
    "RebuildService": Upstream.ANALYTICS,
    # Status has the stream of changes at hand, and tables.
    "WebhookService": Upstream.STATUS,
}

_ROLES: Mapping[str, Role] = {
    "IngestService": Role.SENDER,
    "MessageService": Role.READER,
    # It destroys: who may only look may not erase.
    "MessageService.EraseContact": Role.ADMIN,
    "CampaignService": Role.READER,
    "CampaignService.CreateCampaign": Role.SENDER,
    "CampaignService.UpdateCampaign": Role.SENDER,
    "CampaignService.PutRateCard": Role.SENDER,
    "AnalyticsService": Role.READER,
    "AdminService": Role.ADMIN,
    "RebuildService": Role.ADMIN,
    "WebhookService": Role.ADMIN,
}

_OPERATORS = frozenset({"IngestService.ListQuarantine", "IngestService.ReplayQuarantine"})


def service_descriptors() -> tuple[ServiceDescriptor, ...]:
    """Return the public services, as the protos describe them."""
    return tuple(module.DESCRIPTOR.services_by_name[name] for module, name in _SERVICES)


def routes() -> Mapping[str, Route]:
    """Return every RPC of the public surface, by path.

    Raises:
        ValueError: an RPC streams its requests; the gateway does not forward such calls.
    """
    found = [_route(method) for service in service_descriptors() for method in service.methods]
    return MappingProxyType({route.path: route for route in found})


def _route(method: MethodDescriptor) -> Route:
    service = method.containing_service
    if method.client_streaming:
        raise ValueError(f"{method.full_name} streams its requests")
    rpc = f"{service.name}.{method.name}"
    read = method.GetOptions().idempotency_level == MethodOptions.NO_SIDE_EFFECTS
    return Route(
        path=f"/{service.full_name}/{method.name}",
        service=service.full_name,
        upstream=_OWNERS[rpc] if rpc in _OWNERS else _OWNERS[service.name],
        role=_ROLES[rpc] if rpc in _ROLES else _ROLES[service.name],
        is_operators=rpc in _OPERATORS,
        is_stream=method.server_streaming,
        is_read=read,
    )


def health_owners() -> Mapping[str, Upstream]:
    """Return whose health a public service's name stands for."""
    return {descriptor.full_name: _OWNERS[descriptor.name] for descriptor in service_descriptors()}
