"""All providers that can be simulated. To add one: write its file, name it here."""

from __future__ import annotations

from libs.simulator.azure import AzureProvider
from libs.simulator.brevo import BrevoProvider
from libs.simulator.dialog360 import Dialog360Provider
from libs.simulator.facts import Channel
from libs.simulator.generic import GenericProvider
from libs.simulator.gupshup import GupshupProvider
from libs.simulator.infobip import InfobipProvider
from libs.simulator.mailgun import MailgunProvider
from libs.simulator.messagebird import MessageBirdProvider
from libs.simulator.meta import MetaProvider
from libs.simulator.postmark import PostmarkProvider
from libs.simulator.provider import SimulatedProvider
from libs.simulator.resend import ResendProvider
from libs.simulator.sendgrid import SendGridProvider
from libs.simulator.ses import SesProvider
from libs.simulator.sinch import SinchProvider
from libs.simulator.twilio import TwilioProvider
from libs.simulator.vonage import VonageProvider

PROVIDERS: dict[str, type[SimulatedProvider]] = {
    provider.name: provider
    for provider in (
        MetaProvider,
        Dialog360Provider,
        TwilioProvider,
        GupshupProvider,
        InfobipProvider,
        VonageProvider,
        MessageBirdProvider,
        SinchProvider,
        GenericProvider,
        SendGridProvider,
        SesProvider,
        MailgunProvider,
        PostmarkProvider,
        ResendProvider,
        BrevoProvider,
        AzureProvider,
    )
}


def channels_of(provider: str) -> tuple[Channel, ...]:
    """Channels over which `provider` can be simulated, the usual one first."""
    return tuple(PROVIDERS[provider].kinds_by_channel)


def every_channel() -> list[tuple[str, Channel]]:
    """All pairs of a provider and a channel."""
    return [(name, channel) for name in PROVIDERS for channel in channels_of(name)]
