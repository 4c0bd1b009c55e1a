"""Records, acts and every door name a message alike, however its id and recipient are written."""

from random import Random
from urllib.parse import urlencode

import pytest
from bluetick.v1 import common_pb2 as pb
from bluetick.v1 import ingest_service_pb2 as ingest

from libs.runtime.accounts import Account, Accounts
from services.ingest.domain.reading import Reading
from services.ingest.providers.registry import BY_NAME
from services.ingest.record_engagements import record_engagements
from services.ingest.record_messages import record_messages
from tests.ingest.email_callbacks import NOW_US
from tests.ingest.provider_readings import Reader
from tests.ingest.spelled_ids import SOURCES, Source
from tests.ingest.test_record_outside_callback import Sink

ROUNDS = 12
PHONE = "+4915112345678"
MAILBOX = "kim.doe@mail.example"


async def _recorded(source: Source, owner: Account, own_id: str, to: str) -> set[bytes]:
    """The keys by which a sender's record and a sender's act name the message."""
    accounts, sink = Accounts([owner]), Sink()
    record = ingest.MessageRecord(
        message_ref="r", provider=source.provider, account=owner.account, address=to,
        provider_message_id=own_id, accepted={},
        channel=pb.CHANNEL_EMAIL if source.is_email else pb.CHANNEL_SMS,
    )  # fmt: skip
    act = ingest.EngagementRecord(
        kind=ingest.ENGAGEMENT_KIND_CLICK, engagement_id="1", provider=source.provider,
        account=owner.account, provider_message_id=own_id, address=to,
    )  # fmt: skip
    said = await record_messages(
        ingest.RecordMessagesRequest(messages=[record]), tenant_id="demo", now_us=NOW_US,
        events=sink, accounts=accounts,
    )  # fmt: skip
    done = await record_engagements(
        ingest.RecordEngagementsRequest(engagements=[act]), tenant_id="demo", now_us=NOW_US,
        events=sink, accounts=accounts,
    )  # fmt: skip
    assert not [*said.rejections, *done.rejections], (own_id, to)
    return {batch.events[0].message_key for batch in sink.batches}


def test_every_provider_is_spelled() -> None:
    """A new one is not forgotten here."""
    assert {source.provider for source in SOURCES.values()} == BY_NAME.keys()


@pytest.mark.parametrize("name", SOURCES)
async def test_records_acts_and_callbacks_meet_in_every_spelling(name: str) -> None:
    """Whoever answers a send and whoever reports on it are different servers."""
    source = SOURCES[name]
    reader = Reader(BY_NAME[source.provider], secrets={}, options=dict(source.options))
    for seed in range(ROUNDS):
        chance = Random(seed)
        own_id, to = source.new_id(chance), MAILBOX if source.is_email else PHONE
        keys: dict[bytes, object] = {}
        for _ in range(3):
            spelled = source.spell(chance, own_id, to)
            keys |= dict.fromkeys(await _recorded(source, reader.account, *spelled), spelled)
        for body in source.bodies:
            told = body(chance, own_id, to)
            if source.is_query:
                reading = reader.callback(method="GET", query=urlencode(told))
            else:
                reading = reader.callback(told)
            read = reader.provider.parse(reading, reader.account)
            assert isinstance(read, Reading), (told, read)
            assert read.batch.events, (told, read.batch.quarantined)
            keys |= {event.message_key: told for event in read.batch.events}

        assert len(keys) == 1, keys


@pytest.mark.parametrize("name", [name for name, source in SOURCES.items() if source.is_email])
async def test_an_act_that_names_the_id_of_a_mail_alone_leads_to_who_got_it(name: str) -> None:
    """A sender's own systems know the id that they were answered, and not always the mailbox."""
    source, sink, chance = SOURCES[name], Sink(), Random(1)
    own_id = source.new_id(chance)
    owner = Account(provider=source.provider, account="acct_1", tenant="demo")
    record = ingest.MessageRecord(
        message_ref="r", provider=source.provider, account="acct_1", address=MAILBOX,
        provider_message_id=own_id, accepted={}, channel=pb.CHANNEL_EMAIL,
    )  # fmt: skip
    act = ingest.EngagementRecord(
        kind=ingest.ENGAGEMENT_KIND_CLICK, engagement_id="1", provider=source.provider,
        provider_message_id=own_id,
    )  # fmt: skip

    await record_messages(
        ingest.RecordMessagesRequest(messages=[record]), tenant_id="demo", now_us=NOW_US,
        events=sink, accounts=Accounts([owner]),
    )  # fmt: skip
    await record_engagements(
        ingest.RecordEngagementsRequest(engagements=[act]), tenant_id="demo", now_us=NOW_US,
        events=sink, accounts=Accounts([owner]),
    )  # fmt: skip

    recorded, clicked = (batch.events[0] for batch in sink.batches)
    assert recorded.batch_key == clicked.batch_key == clicked.message_key != recorded.message_key
