"""Settings of the gateway: each with unit, range, default and what it protects."""

from typing import Self

from pydantic import Field, model_validator

from libs.runtime.rpc_connections import CONNECTION_AGE_S, STREAM_MAX_S
from libs.runtime.settings import PREFIX, RuntimeSettings
from services.gateway.domain.budgets import BudgetLimits, Limit
from services.gateway.domain.deadlines import DeadlineLimits
from services.gateway.domain.routes import Upstream
from services.gateway.domain.upstream_states import Needs

# What closing the web doors may take after the drain, seconds.
_WEB_DOORS_S = 2.0


class GatewaySettings(RuntimeSettings):
    """What the gateway needs besides what every service needs."""

    # Both are needed here: without the token no service would take a call, and without keys no
    # caller could make one.
    internal_token: str = Field(
        min_length=16,
        description="Secret that the gateway shows to the services, 16 characters or more.",
    )
    api_keys_file: str = Field(
        min_length=1, description="JSON file with the hashes of the API keys, read at start."
    )
    # Callers are other machines: the doors listen on all addresses.
    gateway_grpc_host: str = Field(
        "0.0.0.0",  # noqa: S104
        description="Address that the gRPC door listens on.",
    )
    gateway_grpc_port: int = Field(
        50051, ge=0, le=65535, description="Port of the gRPC door; 0: any free one."
    )
    gateway_reuse_port: bool = Field(
        False,
        description="Let several gateways of one machine share the port. Off, a second one fails "
        "at start instead of silently taking half of the calls.",
    )
    gateway_web_host: str = Field(
        "0.0.0.0",  # noqa: S104
        description="Address that the web and probe ports listen on.",
    )
    gateway_web_port: int = Field(
        8081, ge=0, le=65535, description="Port of the web door: /healthz, /readyz, /metrics."
    )
    gateway_probe_port: int = Field(
        9103,
        ge=0,
        le=65535,
        description="Port of the same probes for scrapers, where the web door is public.",
    )
    gateway_ingest_target: str = Field(
        "dns:///127.0.0.1:50061",
        description="gRPC address of ingest; dns:///name:port spreads calls over all replicas.",
    )
    gateway_status_target: str = Field(
        "dns:///127.0.0.1:50062", description="gRPC address of status, as above."
    )
    gateway_analytics_target: str = Field(
        "dns:///127.0.0.1:50063", description="gRPC address of analytics, as above."
    )
    gateway_deadline_default_s: float = Field(
        10.0,
        gt=0,
        le=600,
        description="Seconds for a unary call whose caller set no deadline; a forgotten deadline "
        "must not hold a call for ever.",
    )
    gateway_deadline_max_s: float = Field(
        60.0, gt=0, le=600, description="Seconds that a unary call gets at most; bounds what waits."
    )
    gateway_stream_max_s: float = Field(
        3600.0,
        gt=0,
        le=STREAM_MAX_S,
        description="Seconds that a stream lives; then it ends with STREAM_AGED and callers resume "
        "after what they have, so that load moves to new replicas.",
    )
    gateway_connection_age_s: float = Field(
        CONNECTION_AGE_S,
        ge=1,
        le=86400,
        description="Seconds after which callers are asked to open a new connection, give or take "
        "a tenth; calls and streams on the old one go on. Spreads load over new replicas.",
    )
    gateway_request_bytes_max: int = Field(
        4 * 1024**2,
        ge=1024,
        le=64 * 1024**2,
        description="Bytes of one request, else RESOURCE_EXHAUSTED; bounds memory.",
    )
    gateway_response_bytes_max: int = Field(
        16 * 1024**2,
        ge=1024,
        le=256 * 1024**2,
        description="Bytes of one response from a service; bounds memory.",
    )
    gateway_calls_in_flight_max: int = Field(
        2000,
        ge=1,
        le=100_000,
        description="Unary calls at once, else RESOURCE_EXHAUSTED; bounds memory and waits. Health "
        "and reflection are never refused.",
    )
    gateway_tenant_calls_in_flight_max: int = Field(
        1000,
        ge=1,
        le=100_000,
        description="The same for one tenant; keeps one from taking every other's place.",
    )
    gateway_streams_open_max: int = Field(
        4000,
        ge=1,
        le=100_000,
        description="Streams open at once, else RESOURCE_EXHAUSTED; bounds memory: an idle one "
        "takes about 45 KiB.",
    )
    gateway_tenant_streams_open_max: int = Field(
        1000,
        ge=1,
        le=100_000,
        description="The same for one tenant.",
    )
    gateway_upstream_check_s: float = Field(
        2.0, gt=0, le=60, description="Seconds between health checks of the services behind."
    )
    gateway_keys_interval_s: float = Field(
        1.0,
        gt=0,
        le=60,
        description="Seconds between two looks for API keys that were issued or revoked by call; "
        "bounds how long a revoked key is good. A new one is looked for at once.",
    )
    gateway_ready_needs: Needs = Field(
        "any",
        description="Which services behind must serve for the gateway to be ready: any of them, "
        "or all. With all, one that is down takes every gateway out of rotation.",
    )
    gateway_unready_s: float = Field(
        3.0,
        ge=0,
        le=300,
        description="Seconds between SIGTERM, when health and /readyz say no, and the drain; all "
        "calls are served meanwhile, so that load balancers can look away first.",
    )
    gateway_drain_s: float = Field(
        10.0,
        ge=0,
        le=300,
        description="Seconds that running calls get after that; streams are told to go elsewhere. "
        "Both together stay 2 s under BLUETICK_SHUTDOWN_S.",
    )

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        needed_s = self.gateway_unready_s + self.gateway_drain_s + _WEB_DOORS_S
        if needed_s > self.shutdown_s:
            raise ValueError(
                f"{PREFIX}GATEWAY_UNREADY_S + {PREFIX}GATEWAY_DRAIN_S + {_WEB_DOORS_S:g} s for the "
                f"web doors make {needed_s:g} s, and {PREFIX}SHUTDOWN_S is {self.shutdown_s:g} s, "
                "so calls would be cut: raise the last or lower the others."
            )
        return self

    def targets(self) -> dict[Upstream, str]:
        """Return the gRPC address of each service."""
        return {
            Upstream.INGEST: self.gateway_ingest_target,
            Upstream.STATUS: self.gateway_status_target,
            Upstream.ANALYTICS: self.gateway_analytics_target,
        }

    def deadlines(self) -> DeadlineLimits:
        """Return the bounds of a call's time."""
        return DeadlineLimits(
            default_s=self.gateway_deadline_default_s,
            max_s=self.gateway_deadline_max_s,
            stream_max_s=self.gateway_stream_max_s,
        )

    def call_budget(self) -> BudgetLimits:
        """Return the bounds of unary calls."""
        return BudgetLimits(
            kind="calls",
            total=self._limit("gateway_calls_in_flight_max", "CALLS_EXHAUSTED"),
            tenant=self._limit("gateway_tenant_calls_in_flight_max", "TENANT_CALLS_EXHAUSTED"),
            retry_s=1.0,
        )

    def stream_budget(self) -> BudgetLimits:
        """Return the bounds of streams."""
        return BudgetLimits(
            kind="streams",
            total=self._limit("gateway_streams_open_max", "STREAMS_EXHAUSTED"),
            tenant=self._limit("gateway_tenant_streams_open_max", "TENANT_STREAMS_EXHAUSTED"),
            # A stream lives for long; who asks every second gets no other answer.
            retry_s=10.0,
        )

    def _limit(self, field: str, reason: str) -> Limit:
        return Limit(value=getattr(self, field), setting=f"{PREFIX}{field.upper()}", reason=reason)
