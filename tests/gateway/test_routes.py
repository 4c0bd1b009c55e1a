"""Every RPC of the public surface has an owner, a role and a way through."""

from google.protobuf import descriptor_pool

from libs.runtime.api_keys import Role
from services.gateway.domain.routes import Upstream, health_owners, routes, service_descriptors

_P = "/bluetick.v1."


def test_every_rpc_that_the_protos_describe_has_a_route() -> None:
    """An RPC added to a proto must not fall through because somebody forgot a table."""
    described = {
        f"/{service.full_name}/{method.name}"
        for service in service_descriptors()
        for method in service.methods
    }

    assert set(routes()) == described
    assert len(service_descriptors()) == 7


def test_no_service_of_the_protos_is_left_out() -> None:
    """A sixth service in the package would be invisible to callers without this."""
    pool = descriptor_pool.Default()
    names = {service.name for service in service_descriptors()}

    for name in names:
        file = pool.FindFileContainingSymbol(f"bluetick.v1.{name}")
        assert set(file.services_by_name) <= names


def test_rpcs_go_to_the_service_that_owns_them() -> None:
    """The table of owners is the contract between the gateway and the services."""
    owner = {path: route.upstream for path, route in routes().items()}

    assert owner[_P + "IngestService/RecordMessages"] is Upstream.INGEST
    assert owner[_P + "IngestService/TestCallback"] is Upstream.INGEST
    assert owner[_P + "IngestService/ListQuarantine"] is Upstream.STATUS
    assert owner[_P + "IngestService/ReplayQuarantine"] is Upstream.STATUS
    assert owner[_P + "IngestService/GetCallbackHealth"] is Upstream.STATUS
    assert owner[_P + "MessageService/GetMessage"] is Upstream.STATUS
    assert owner[_P + "CampaignService/CreateCampaign"] is Upstream.ANALYTICS
    assert owner[_P + "AnalyticsService/GetCampaignReport"] is Upstream.ANALYTICS
    assert owner[_P + "AdminService/CreateApiKey"] is Upstream.INGEST
    assert owner[_P + "RebuildService/Rebuild"] is Upstream.ANALYTICS
    assert owner[_P + "WebhookService/PutEndpoint"] is Upstream.STATUS


def test_a_reader_may_only_call_what_changes_nothing() -> None:
    """A key given to a dashboard must not be able to write, whatever RPC is added later."""
    for path, route in routes().items():
        if route.role is Role.READER:
            assert route.is_read or route.is_stream, path


def test_only_rpcs_declared_free_of_side_effects_may_be_tried_twice() -> None:
    """A write tried again behind the caller's back could happen twice."""
    twice = {path for path, route in routes().items() if route.is_read}

    assert _P + "MessageService/GetMessage" in twice
    assert _P + "IngestService/RecordMessages" not in twice
    assert _P + "MessageService/EraseContact" not in twice


def test_the_health_of_each_public_service_is_that_of_its_owner() -> None:
    """A load balancer asks for a public name; what counts is the service behind it."""
    owners = health_owners()

    assert owners["bluetick.v1.IngestService"] is Upstream.INGEST
    assert owners["bluetick.v1.AdminService"] is Upstream.INGEST
    assert len(owners) == 7
