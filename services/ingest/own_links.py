"""Clicks on our own tracked links that a provider tells, too.

A provider that tracks clicks wraps the links of a message, ours among them. Then one tap is seen
twice: by the provider, and a moment later by our own door, which knows the link's name and its
message. Their clocks differ, so no moment makes the two one; but whoever follows the provider's
link comes through our door. So the door's click is the act, and the provider's is information.
"""

from collections.abc import Iterable
from urllib.parse import urlsplit

from bluetick.v1.common_pb2 import EVENT_KIND_CLICKED, EVENT_KIND_INFO
from bluetick.v1.event_pb2 import Event

from services.ingest.domain.link_token import LinkKeyring
from services.ingest.wrap_links import LINKS_PATH

TOLD = "click on a tracked link, counted by its own door"


def tell_own_links(events: Iterable[Event], keyring: LinkKeyring) -> None:
    """Make information of each click among ``events`` whose address one of our keys has signed."""
    for event in events:
        if event.kind == EVENT_KIND_CLICKED and is_own_link(event.engagement.url, keyring):
            event.kind = EVENT_KIND_INFO
            event.detail = TOLD
            event.ClearField("engagement")


def is_own_link(url: str, keyring: LinkKeyring) -> bool:
    """Say whether ``url`` ends in a token that one of our keys has signed, on whatever host."""
    if LINKS_PATH not in url:
        return False
    try:
        path = urlsplit(url).path
    except ValueError:
        return False
    return keyring.verify(path.rpartition(LINKS_PATH)[2]) is not None
