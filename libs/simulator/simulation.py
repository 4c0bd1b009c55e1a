"""What to simulate, and where to."""

from __future__ import annotations

from dataclasses import dataclass

from libs.simulator.facts import Channel, Scenario
from libs.simulator.provider import SimulatedProvider, Subscription
from libs.simulator.registry import PROVIDERS
from libs.simulator.scenario import build_scenario


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallback:
    """The provider and channel that a message takes after the first one failed."""

    provider: str
    secret: str
    account: str = "acct_1"
    channel: Channel = Channel.SMS

    @property
    def door_path(self) -> str:
        """The account's door, behind an address."""
        return f"/callbacks/{self.provider}/{self.account}"


def usual_fallback(provider: str, channel: Channel, account: str, secret: str) -> Fallback | None:
    """What WhatsApp messages of a provider fall back to by itself: SMS of the same account."""
    if channel is not Channel.WHATSAPP or Channel.SMS not in PROVIDERS[provider].kinds_by_channel:
        return None
    return Fallback(provider=provider, secret=secret, account=account)


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """What to simulate, and where to."""

    gateway: str  # host:port
    ingest_url: str  # http://host:port
    api_key: str
    secret: str  # what callbacks are signed with
    campaign_id: str
    campaign_name: str = ""
    message_count: int = 10_000
    seed: int = 1
    rate: float = 0.0  # requests a second; 0: as fast as they are taken
    provider: str = "meta"
    account: str = "acct_1"
    channel: Channel = Channel.WHATSAPP
    public_url: str = ""  # what providers call, where signatures cover it; empty: ingest_url
    chaos: str = "mild"
    # Where WhatsApp messages go that could not be delivered; None: nowhere else.
    fallback: Fallback | None = None
    concurrency: int = 32  # open connections to the door
    wait_max_s: float = 60.0  # for the report to be complete

    @property
    def door_path(self) -> str:
        """The account's door, behind an address."""
        return f"/callbacks/{self.provider}/{self.account}"


def provider_of(simulation: Simulation) -> SimulatedProvider:
    """The provider that `simulation` asks for."""
    url = (simulation.public_url or simulation.ingest_url) + simulation.door_path
    return PROVIDERS[simulation.provider](
        Subscription(url=url, secret=simulation.secret, channel=simulation.channel)
    )


def fallback_of(simulation: Simulation) -> SimulatedProvider | None:
    """The provider to which messages fall back, if there is one."""
    if (other := simulation.fallback) is None:
        return None
    url = (simulation.public_url or simulation.ingest_url) + other.door_path
    given = Subscription(url=url, secret=other.secret, channel=other.channel)
    return PROVIDERS[other.provider](given)


def scenario_of(
    simulation: Simulation, provider: SimulatedProvider, *, start_time_s: int
) -> Scenario:
    """The campaign that `simulation` asks for, with what its providers can tell."""
    fallback = fallback_of(simulation)
    return build_scenario(
        campaign_id=simulation.campaign_id,
        seed=simulation.seed,
        message_count=simulation.message_count,
        start_time_s=start_time_s,
        carrier=provider.carrier,
        fallback=fallback.carrier if fallback else None,
    )
