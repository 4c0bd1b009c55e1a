"""The listener of bluetick-client on a real broker: done means done, and again means once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest
from bluetick.client import Listener, listening
from bluetick.v1 import change_pb2

from libs.embedded.nats_server import NatsServer
from libs.runtime.broker import CHANGES_STREAM, Broker, changes_subject
from libs.runtime.listeners import Listener as Entry
from libs.runtime.settings import RuntimeSettings
from libs.testkit import builders
from services.status.adapters.listener_consumers import ListenerConsumers

ENTRY = Entry(name="desk", tenant=builders.TENANT)


class Site:
    """A broker with one listener and its consumer."""

    def __init__(self, server: NatsServer, broker: Broker) -> None:
        self.broker = broker
        self.url = server.listener_urls[ENTRY.name]

    async def publish(self, *numbers: int) -> None:
        changes = [builders.a_change(provider_message_id=f"wamid.{n}", version=n) for n in numbers]
        batch = builders.a_change_batch(*changes, batch_id=str(numbers))
        subject = changes_subject(builders.TENANT, "delivered")
        await self.broker.publish(
            subject, batch.SerializeToString(), msg_id=batch.batch_id, stream=CHANGES_STREAM
        )

    async def give_all_again(self) -> None:
        """As after a broker that forgot what was acknowledged."""
        await self.broker.jetstream.delete_consumer(CHANGES_STREAM, ENTRY.consumer)
        await ListenerConsumers(self.broker).ensure(ENTRY)


@pytest.fixture
async def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    monkeypatch.setattr(listening, "_FETCH_S", 0.3)
    monkeypatch.setattr(listening, "_PAUSE_S", 0.05)
    server = NatsServer(tmp_path / "nats", listeners=[ENTRY])
    await server.start()
    settings = RuntimeSettings(nats_url=server.url, nats_monitor_url=server.monitor_url)
    broker = await Broker.connect(settings, "test")
    await broker.ensure_streams()
    await ListenerConsumers(broker).ensure(ENTRY)
    yield Site(server, broker)
    await broker.close()
    await server.stop()


async def take(listener: Listener, count: int) -> list[int]:
    """Take so many, done with all but the last."""
    found: list[change_pb2.MessageChanged] = []
    async with asyncio.timeout(20), aclosing(listener.changes()) as changes:
        async for change in changes:
            found.append(change)
            if len(found) == count:
                break
    return [change.version for change in found]


async def test_a_quiet_time_is_waited_out_and_what_comes_again_is_given_once(site: Site) -> None:
    """Longer than a fetch lasts; and the broker may forget that we had acknowledged."""
    listener = Listener(site.url)
    found: list[int] = []

    async def follow() -> None:
        async for change in listener.changes():
            found.append(change.version)

    following = asyncio.create_task(follow())
    await site.publish(1, 2)
    async with asyncio.timeout(20):
        while len(found) < 2:
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.7)
        await site.give_all_again()
        await site.publish(3)
        while 3 not in found:
            await asyncio.sleep(0.02)
    following.cancel()

    assert found == [1, 2, 3]


async def test_a_change_is_done_when_the_next_one_is_asked_for(site: Site) -> None:
    """Whoever fails on one gets it again, and no other one of its message."""
    listener = Listener(site.url)
    await site.publish(1, 2, 3)

    assert await take(listener, 2) == [1, 2]
    await site.give_all_again()

    assert await take(listener, 2) == [2, 3]


def test_an_address_without_a_listener_is_refused() -> None:
    """Its name is the consumer's, too."""
    with pytest.raises(ValueError, match="listener"):
        Listener("nats://127.0.0.1:4222")
