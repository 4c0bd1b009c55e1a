"""Take somebody where a tracked link leads, and have recorded it before they go."""

from collections.abc import Mapping
from typing import Protocol
from uuid import uuid4

import msgspec
from bluetick.v1 import common_pb2 as pb
from bluetick.v1.event_pb2 import EventBatch

from libs.runtime.keys import ref_key
from services.ingest.domain.destinations import Destination, location_of, problem_of
from services.ingest.domain.link_token import LinkKeyring
from services.ingest.domain.machine_clicks import click_rule
from services.ingest.record_callback import EventSink


class LinkDirectory(Protocol):
    """Knows where links lead."""

    async def find(self, key: bytes) -> Destination | None:
        """Return the destination; None if nobody ever registered one under this key.

        Raises:
            DatabaseUnavailable: it is not known here, and cannot be looked up.
        """


class Visit(msgspec.Struct, frozen=True):
    """One request for a tracked link."""

    token: str
    # Of the request, names in lower case.
    headers: Mapping[str, str]
    # Not a look whether the address is there.
    is_click: bool
    time_us: int


class Leads(msgspec.Struct, frozen=True):
    """Where the visit goes."""

    location: str
    # The rule that flagged the click; "": a person's.
    machine_rule: str


async def follow_link(
    visit: Visit, *, keyring: LinkKeyring, directory: LinkDirectory, events: EventSink
) -> Leads | None:
    """Return where ``visit`` leads, its click recorded; None for a token that leads nowhere.

    Every click is an act of its own: who clicks twice has clicked twice.

    Raises:
        BrokerUnavailable: the click is not stored for sure.
        DatabaseUnavailable: see ``LinkDirectory.find``.
    """
    followed = keyring.verify(visit.token)
    if followed is None:
        return None
    destination = await directory.find(followed.link_key)
    # Looked at again: rules that have become stricter hold for old links too.
    if destination is None or problem_of(destination.url):
        return None
    rule = click_rule(visit.headers)
    if visit.is_click:
        await events.submit(_click(visit, followed.message_ref, destination, rule))
    return Leads(location_of(destination.url), rule)


def _click(visit: Visit, message_ref: str, destination: Destination, rule: str) -> EventBatch:
    batch = EventBatch()
    event = batch.events.add(
        kind=pb.EVENT_KIND_CLICKED,
        tenant_id=destination.tenant_id,
        message_ref=message_ref,
        message_key=ref_key(destination.tenant_id, message_ref),
        occur_time_us=visit.time_us,
        receive_time_us=visit.time_us,
    )
    engagement = event.engagement
    engagement.act_id = uuid4().hex
    engagement.link_id = destination.link_id
    engagement.url = destination.url
    engagement.link_label = destination.label
    engagement.card_index = destination.card_index
    engagement.is_external_button = destination.is_external_button
    engagement.is_machine = bool(rule)
    engagement.machine_rule = rule
    return batch
