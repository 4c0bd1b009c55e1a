"""Another team's program on the broker: it fetches its tenant's changes, and that is all it can."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import nats
import nats.errors
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.errors import Error as JetStreamError

from libs.embedded.nats_server import NatsServer
from libs.runtime.accounts import AccountsProblem
from libs.runtime.broker import CHANGES_STREAM, EVENTS_STREAM, Broker, changes_subject
from libs.runtime.listeners import Listener, load_listeners
from libs.runtime.settings import RuntimeSettings
from services.status.adapters.listener_consumers import ListenerConsumers
from services.status.keep_listeners import keep_listeners

ACME = Listener(name="acme-crm", tenant="acme")
FAILURES = Listener(name="retries", tenant="acme", states=("undelivered", "dropped"))
OTHER = Listener(name="other", tenant="other")
ALL = (ACME, FAILURES, OTHER)


@dataclass
class Site:
    """A broker with listeners, their consumers, and changes of two tenants."""

    server: NatsServer
    broker: Broker

    async def publish(self, tenant: str, state: str, text: str) -> None:
        subject = changes_subject(tenant, state)
        await self.broker.publish(subject, text.encode(), msg_id=text, stream=CHANGES_STREAM)

    async def count(self, stream: str) -> int:
        return (await self.broker.jetstream.stream_info(stream)).state.messages


@dataclass
class Team:
    """The program of a listener."""

    client: Client
    errors: list[str] = field(default_factory=list)

    async def fetch(self, listener: Listener, count: int = 10) -> list[str]:
        """Fetch from a listener's consumer, and acknowledge."""
        consumer = await self.client.jetstream().pull_subscribe_bind(
            listener.consumer, stream=CHANGES_STREAM
        )
        try:
            messages = await consumer.fetch(count, timeout=0.5)
        except (TimeoutError, JetStreamError):
            return []
        for message in messages:
            await message.ack_sync()
        return [message.data.decode() for message in messages]


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    server = NatsServer(tmp_path / "nats", listeners=ALL)
    await server.start()
    settings = RuntimeSettings(nats_url=server.url, nats_monitor_url=server.monitor_url)
    broker = await Broker.connect(settings, "test")
    await broker.ensure_streams()
    for listener in ALL:
        assert await ListenerConsumers(broker).ensure(listener)
    yield Site(server, broker)
    await broker.close()
    await server.stop()


async def join(site: Site, listener: Listener) -> Team:
    team = Team(Client())

    async def heard(error: Exception) -> None:
        team.errors.append(str(error))

    await team.client.connect(site.server.listener_urls[listener.name], error_cb=heard)
    return team


async def test_a_listener_fetches_what_its_tenant_and_states_say(site: Site) -> None:
    """And acknowledges: what it has taken does not come again, after a new connection either."""
    for tenant in ("acme", "other"):
        for state in ("read", "undelivered"):
            await site.publish(tenant, state, f"{tenant} {state}")

    for listener, expected in (
        (ACME, ["acme read", "acme undelivered"]),
        (FAILURES, ["acme undelivered"]),
        (OTHER, ["other read", "other undelivered"]),
    ):
        team = await join(site, listener)
        assert await team.fetch(listener) == expected
        await team.client.close()
        again = await join(site, listener)
        assert await again.fetch(listener) == []
        await again.client.close()


async def test_a_listener_can_do_nothing_else(site: Site) -> None:
    """No other tenant's changes, no subject to hear, nothing to publish, no consumer to change."""
    await site.publish("acme", "read", "of acme")
    team = await join(site, OTHER)
    stream = team.client.jetstream()
    heard: list[Msg] = []

    async def hear(message: Msg) -> None:
        heard.append(message)

    for subject in ("bluetick.changes.v1.acme.>", "bluetick.>", "_INBOX.>", "$JS.ACK.>"):
        await team.client.subscribe(subject, cb=hear)
    assert await team.fetch(ACME) == []
    for subject in (
        changes_subject("other", "read"),
        "bluetick.events.v1.0",
        f"$JS.API.STREAM.PURGE.{CHANGES_STREAM}",
        f"$JS.API.CONSUMER.DELETE.{CHANGES_STREAM}.{ACME.consumer}",
    ):
        await team.client.publish(subject, b"evil")
    await team.client.flush()
    for attempt in (
        stream.stream_info(CHANGES_STREAM),
        stream.get_msg(CHANGES_STREAM, 1),
        stream.pull_subscribe("bluetick.changes.v1.acme.>", durable="mine"),
    ):
        with pytest.raises((JetStreamError, nats.errors.Error, TimeoutError)):
            await asyncio.wait_for(attempt, 1)
    await site.publish("acme", "read", "more of acme")
    await asyncio.sleep(0.2)

    assert [m for m in heard if m.data and b"acme" in m.data] == []
    assert any("permissions violation" in error.lower() for error in team.errors)
    assert await site.count(CHANGES_STREAM) == 2
    assert await site.count(EVENTS_STREAM) == 0
    assert await (await join(site, ACME)).fetch(ACME) == ["of acme", "more of acme"]


async def test_a_listener_cannot_have_the_broker_publish_for_it(site: Site) -> None:
    """The broker answers a fetch to the subject that the asker names, with the broker's rights."""
    await site.publish("other", "read", "a change that must not become an event")
    team = await join(site, OTHER)

    await team.client.publish(
        f"$JS.API.CONSUMER.MSG.NEXT.{CHANGES_STREAM}.{OTHER.consumer}",
        b'{"batch": 1}',
        reply="bluetick.events.v1.0",
    )
    await team.client.flush()
    await asyncio.sleep(0.3)

    assert await site.count(EVENTS_STREAM) == 0
    await team.client.close()


async def test_consumers_are_made_again_and_follow_the_file(site: Site) -> None:
    """A stream that was made anew, or a listener that wants other states."""
    consumers = ListenerConsumers(site.broker)
    await site.broker.jetstream.delete_consumer(CHANGES_STREAM, ACME.consumer)
    wider = Listener(name="retries", tenant="acme", states=("read",))
    stopping = asyncio.Event()

    keeping = asyncio.create_task(keep_listeners(consumers, (ACME, wider), stopping))
    await site.publish("acme", "read", "news")
    async with asyncio.timeout(10):
        for listener in (ACME, FAILURES):
            team = await join(site, listener)
            while await team.fetch(listener) != ["news"]:
                continue
            await team.client.close()
    stopping.set()
    await keeping


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{", "truncated"),
        ({"listeners": [{"name": "a b", "tenant": "acme"}]}, "name 'a b'"),
        ({"listeners": [{"name": "a", "tenant": "acme.>"}]}, "tenant 'acme.>'"),
        ({"listeners": [{"name": "a", "tenant": "acme", "states": ["red"]}]}, "['red']"),
        ({"listeners": [{"name": "a", "tenant": "b"}, {"name": "a", "tenant": "c"}]}, "twice"),
        ({"listeners": [{"name": "a", "tenant": "b", "state": ["read"]}]}, "unknown field"),
        ({"listeners": [{"name": "a", "tenant": "b", "start_time": "2026-01-01T00:00:00"}]},
         "zone"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_refused_by_name(
    tmp_path: Path, content: object, complaint: str
) -> None:
    """A wildcard in a tenant would be every tenant."""
    path = tmp_path / "listeners.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))

    with pytest.raises(AccountsProblem) as problem:
        load_listeners(str(path))

    assert complaint in str(problem.value)
