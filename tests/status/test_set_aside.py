"""The operator's quarantine: kept as it was, seen by the operator alone, put back by one call."""

import pytest
from bluetick.v1.ingest_service_pb2 import (
    QUARANTINE_SHELF_SET_ASIDE,
    ListQuarantineRequest,
    ReplayQuarantineRequest,
)

from libs.runtime.api_keys import Role
from libs.runtime.broker import EVENTS_STREAM, EVENTS_SUBJECT, Broker
from libs.runtime.delivery import Delivery, Refused
from libs.runtime.rpc_errors import InvalidArgument
from libs.runtime.set_aside import SEQUENCE, STREAM, SetAside
from libs.runtime.set_aside_shelf import SetAsideShelf
from services.status.list_set_aside import list_set_aside
from services.status.replay_set_aside import replay_set_aside

_T = 1_785_900_000_000_000


def _refused(seq: int, body: bytes, reason: str = "NOT_AN_EVENT_BATCH") -> Refused:
    headers = {"Nats-Msg-Id": f"old-{seq}", "Bluetick-Schema": "x"}
    return Refused(Delivery(body, EVENTS_SUBJECT, seq, _T, 1, "", headers), reason)


async def _kept(broker: Broker, count: int) -> SetAsideShelf:
    keeper = SetAside(broker, service="status", stream=EVENTS_STREAM)
    everything = [_refused(seq, b"body %d\x00\xff" % seq) for seq in range(1, count + 1)]
    await keeper.keep(everything)
    await keeper.keep(everything[:2])  # a redelivery keeps them once
    return SetAsideShelf(broker)


def _list(**fields: object) -> ListQuarantineRequest:
    return ListQuarantineRequest(shelf=QUARANTINE_SHELF_SET_ASIDE, **fields)  # type: ignore[arg-type]


async def test_pages_list_everything_newest_first_and_without_bodies(broker: Broker) -> None:
    """A body may be anybody's; where it lies and why is what an operator needs."""
    shelf = await _kept(broker, 5)

    first = await list_set_aside(shelf, _list(page_size=3))
    second = await list_set_aside(shelf, _list(page_size=3, page_token=first.next_page_token))

    found = [*first.callbacks, *second.callbacks]
    assert [one.stream_sequence for one in found] == [5, 4, 3, 2, 1]
    assert not second.next_page_token
    assert {(one.service, one.stream, one.reason) for one in found} == {
        ("status", EVENTS_STREAM, "NOT_AN_EVENT_BATCH")
    }
    assert {one.body for one in found} == {b""}
    assert found[0].body_bytes == len(b"body 5\x00\xff")


async def test_what_is_put_back_is_on_its_stream_as_it_was_and_gone_from_here(
    broker: Broker,
) -> None:
    """Bytes and headers come back; the stream's consumers cannot tell the difference."""
    shelf = await _kept(broker, 3)
    listed = await list_set_aside(shelf, _list())
    middle = listed.callbacks[1].quarantine_id

    one = await replay_set_aside(
        shelf, ReplayQuarantineRequest(quarantine_ids=[middle]), limit_s=10
    )
    again = await replay_set_aside(
        shelf, ReplayQuarantineRequest(quarantine_ids=[middle]), limit_s=10
    )
    rest = await replay_set_aside(shelf, ReplayQuarantineRequest(), limit_s=10)

    assert (one.replayed_count, one.remaining_count) == (1, 0)
    assert [tried.reason for tried in again.callbacks] == ["NOT_IN_QUARANTINE"]
    assert (rest.replayed_count, rest.remaining_count) == (2, 0)
    told = []
    for seq in (1, 2, 3):
        message = await broker.jetstream.get_msg(EVENTS_STREAM, seq)
        assert message.headers is not None
        told.append((message.data, message.headers[SEQUENCE], message.headers["Bluetick-Schema"]))
        assert message.headers[STREAM] == EVENTS_STREAM
        assert message.headers["Nats-Msg-Id"] != f"old-{seq}"
    assert told == [
        (b"body 2\x00\xff", "2", "x"),
        (b"body 1\x00\xff", "1", "x"),
        (b"body 3\x00\xff", "3", "x"),
    ]


async def test_an_identity_that_is_none_is_refused(broker: Broker) -> None:
    """Before anything is put back."""
    shelf = await _kept(broker, 1)

    with pytest.raises(InvalidArgument):
        await replay_set_aside(shelf, ReplayQuarantineRequest(quarantine_ids=["1"]), limit_s=1)

    assert await shelf.count() == 1


def test_an_operator_is_of_no_tenant_and_nobody_else_does_its_work() -> None:
    """Whoever runs the installation must not read messages; no tenant may touch what is shared."""
    allowed = {(has, needs) for has in Role for needs in Role if has.may(needs)}

    assert allowed == {
        (Role.READER, Role.READER),
        (Role.SENDER, Role.READER),
        (Role.SENDER, Role.SENDER),
        (Role.ADMIN, Role.READER),
        (Role.ADMIN, Role.SENDER),
        (Role.ADMIN, Role.ADMIN),
        (Role.OPERATOR, Role.OPERATOR),
    }
