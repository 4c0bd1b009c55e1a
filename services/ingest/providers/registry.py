"""All providers that Bluetick reads. To add one: write its file, name it here."""

from services.ingest.providers.dialog360 import Dialog360
from services.ingest.providers.generic import Generic
from services.ingest.providers.gupshup import Gupshup
from services.ingest.providers.infobip import Infobip
from services.ingest.providers.mailgun import Mailgun
from services.ingest.providers.messagebird import MessageBird
from services.ingest.providers.meta import Meta
from services.ingest.providers.postmark import Postmark
from services.ingest.providers.provider import Provider
from services.ingest.providers.sendgrid import SendGrid
from services.ingest.providers.ses import Ses
from services.ingest.providers.sinch import Sinch
from services.ingest.providers.twilio import Twilio
from services.ingest.providers.vonage import Vonage

PROVIDERS: tuple[Provider, ...] = (
    Meta(),
    Dialog360(),
    Twilio(),
    Gupshup(),
    Infobip(),
    Vonage(),
    MessageBird(),
    Sinch(),
    Generic(),
    SendGrid(),
    Ses(),
    Mailgun(),
    Postmark(),
)

BY_NAME: dict[str, Provider] = {provider.name: provider for provider in PROVIDERS}
