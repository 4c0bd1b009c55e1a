"""All providers that Bluetick reads. To add one: write its file, name it here."""

from services.ingest.providers.meta import Meta
from services.ingest.providers.provider import Provider

PROVIDERS: tuple[Provider, ...] = (Meta(),)

BY_NAME: dict[str, Provider] = {provider.name: provider for provider in PROVIDERS}
