"""GetCallbackHealth: from what a batch keeps to what a person should do."""

import random
from typing import Any

import pytest
from bluetick.v1 import common_pb2 as words
from bluetick.v1.event_pb2 import DoorRefusals, DoorReport, Event, EventBatch
from bluetick.v1.ingest_service_pb2 import (
    FINDING_SEVERITY_ERROR,
    FINDING_SEVERITY_WARNING,
    CallbackHealth,
    GetCallbackHealthRequest,
    GetCallbackHealthResponse,
)
from bluetick.v1.message_service_pb2 import ListUnmatchedOptOutsRequest

from libs.runtime.accounts import Account
from libs.runtime.rpc_errors import InvalidArgument
from libs.testkit import builders
from libs.testkit.clock import ManualClock
from services.ingest.providers.provider import Refused
from services.ingest.providers.ses import Ses
from services.ingest.report_doors import DoorReports
from services.status.adapters.health_rows import HealthRows
from services.status.adapters.readers import OptOutRows
from services.status.domain.account_hours import HOUR_US
from services.status.domain.callback_findings import Vitals, findings
from services.status.domain.spellings import hints
from services.status.get_callback_health import get_callback_health
from services.status.list_unmatched_opt_outs import list_unmatched_opt_outs
from tests.ingest.email_callbacks import post
from tests.status.callbacks import a_quarantined
from tests.status.machine import STORED_US, Bench, empty, shuffled
from tests.status.test_recipients import named

T = builders.TIME_US
SECOND_US = 1_000_000


def a_report(number: int = 1, **fields: Any) -> DoorReport:
    given: dict[str, Any] = {
        "report_id": number.to_bytes(16, "big"),
        "tenant_id": builders.TENANT,
        "provider": builders.PROVIDER,
        "account": builders.ACCOUNT,
        "report_time_us": T,
        "callback_count": 5,
        "refused_count": 0,
        "last_receive_time_us": T,
        **fields,
    }
    return DoorReport(**given)


def a_message(number: int, *events: tuple[int, int], **fields: Any) -> list[Event]:
    """A message handed over at T, and what callbacks told: (kind, microseconds later)."""
    name = {"provider_message_id": f"wamid.{number}"}
    told = [builders.an_event(kind, occur_time_us=T + later, **name) for kind, later in events]
    return [builders.a_registered(message_ref=f"ref-{number}", **name, **fields), *told]


async def health(
    bench: Bench, *, now_us: int = T, tenant: str = builders.TENANT, **request: Any
) -> GetCallbackHealthResponse:
    return await get_callback_health(
        HealthRows(bench.database),
        tenant,
        GetCallbackHealthRequest(**request),
        now_us=now_us,
        silent_after_h=24,
    )


async def one(bench: Bench, **given: Any) -> CallbackHealth:
    answered = await health(bench, **given)
    assert len(answered.accounts) == 1
    return answered.accounts[0]


async def report(bench: Bench, *reports: DoorReport) -> None:
    await bench.use_case.apply([EventBatch(door_reports=reports)], STORED_US)


async def test_door_reports_add_up_once_each(bench: Bench) -> None:
    """The broker delivers at least once; a repeat must not look like traffic."""
    reports = [
        a_report(1, callback_count=5, lag_us=2 * SECOND_US, last_receive_time_us=T - 5),
        a_report(2, callback_count=7, refused_count=1, lag_us=4 * SECOND_US),
        a_report(3, callback_count=1, lag_us=90 * SECOND_US, last_receive_time_us=T - 9),
        a_report(4, callback_count=1_000, report_time_us=T - 25 * HOUR_US, last_receive_time_us=1),
    ]
    await report(bench, *reports)
    await report(bench, *reports[::-1])

    found = await one(bench)

    assert (found.callback_count, found.refused_count) == (13, 1)
    assert found.lag.ToMicroseconds() == 4 * SECOND_US
    assert found.callback_time.ToMicroseconds() == T


async def test_an_account_that_only_refuses_is_there_and_is_an_error(bench: Bench) -> None:
    """A wrong secret is the most frequent fault of a new account."""
    await report(bench, a_report(callback_count=0, refused_count=3, last_receive_time_us=0))

    found = await one(bench)

    assert not found.HasField("callback_time")
    assert [(f.code, f.severity) for f in found.findings] == [
        ("CALLBACKS_REFUSED", FINDING_SEVERITY_ERROR)
    ]
    assert "BLUETICK_PUBLIC_URL" in found.findings[0].cure


def why(reason: str, count: int, cure: str = "Do this.") -> DoorRefusals:
    return DoorRefusals(reason=reason, count=count, cure=cure)


async def test_each_reason_of_a_refusal_is_told_with_its_numbers_and_its_cure(
    bench: Bench,
) -> None:
    """One cure for all reasons sends people to look at the wrong thing."""
    old = T - 3 * HOUR_US
    reports = [
        a_report(1, refused_count=340, refusals=[why("SIGNATURE_WRONG", 340, "Compare it.")]),
        a_report(
            2,
            refused_count=60,
            report_time_us=old,
            refusals=[why("SIGNATURE_WRONG", 40, "An older advice."), why("SIGNATURE_OLD", 20)],
        ),
        a_report(3, refusals=[why("REQUESTS_OVER_LIMIT", 7, "Raise it.")]),
    ]
    await report(bench, *reports)
    await report(bench, *reports[::-1])

    found = await one(bench)

    assert [(r.reason, r.count, r.last_hour_count) for r in found.refusals] == [
        ("SIGNATURE_WRONG", 380, 340), ("SIGNATURE_OLD", 20, 0), ("REQUESTS_OVER_LIMIT", 7, 7),
    ]  # fmt: skip
    assert found.refused_count == 400
    assert [f.code for f in found.findings] == [
        "CALLBACKS_REFUSED", "CALLBACKS_REFUSED", "CALLBACKS_LIMITED",
    ]  # fmt: skip
    wrong, _, limited = found.findings
    assert "380 requests in 24 h, 340 of them in the last hour" in wrong.what
    # Others were proven before: the secret was changed.
    assert "changed at the provider" in wrong.cure
    assert wrong.cure.endswith("Compare it.")
    assert limited.cure == "Raise it."


async def test_raw_delivery_of_sns_is_named_with_its_cause_all_the_way(bench: Bench) -> None:
    """From the door's refusal over its report to the finding: "compare the secret" helps nobody."""

    class Sink:
        async def submit(self, batch: EventBatch) -> None:
            await bench.use_case.apply([batch], STORED_US)

    account = Account(
        provider="ses", account="acct_1", tenant=builders.TENANT, secrets={"certificate": ["x"]}
    )
    headers = {"x-amz-sns-message-type": "Notification", "x-amz-sns-rawdelivery": "true"}
    verdict = Ses().authenticate(post("ses", b'{"eventType": "Send"}', headers=headers), account)
    assert isinstance(verdict, Refused)
    reports = DoorReports(Sink(), ManualClock(T))
    for _ in range(340):
        reports.refused(account, verdict.reason, verdict.cure)
    await reports.report()

    (finding,) = (await one(bench)).findings

    assert (finding.code, finding.severity) == ("CALLBACKS_REFUSED", FINDING_SEVERITY_ERROR)
    assert finding.what.startswith("340 requests in 24 h, 340 of them in the last hour")
    assert "x-amz-sns-rawdelivery" in finding.cure


async def test_a_refusal_by_our_own_set_up_is_an_error_with_its_cure(bench: Bench) -> None:
    """An account without its secret answers 503 for days, and nobody looks into the log."""
    asked = [why("SECRET_NOT_CONFIGURED", 9, "Give it.")]
    await report(bench, a_report(callback_count=0, last_receive_time_us=0, refusals=asked))

    (finding,) = (await one(bench)).findings

    assert (finding.code, finding.severity) == ("CALLBACKS_REFUSED", FINDING_SEVERITY_ERROR)
    assert finding.cure == "Give it."
    await HealthRows(bench.database).forget(T + 61 * 24 * HOUR_US)
    assert await bench.rows("SELECT 1 FROM status.door_refusals") == []


async def test_accepted_messages_without_a_callback_are_silent_after_their_hours(
    bench: Bench,
) -> None:
    """A callback address that was never set looks like a campaign that nobody got."""
    heard = a_message(1, (words.EVENT_KIND_SENT, SECOND_US))
    await bench.apply(*heard, *a_message(2), *a_message(3))

    young = await one(bench, now_us=T + 2 * HOUR_US)
    asked = await one(bench, now_us=T + 2 * HOUR_US, silent_after_hours=1)
    old = await one(bench, now_us=T + 26 * HOUR_US)
    await bench.apply(*a_message(2, (words.EVENT_KIND_DELIVERED, SECOND_US)))
    heard_of = await one(bench, now_us=T + 26 * HOUR_US)

    assert (young.accepted_count, young.silent_count) == (0, 0)
    assert (asked.accepted_count, asked.silent_count) == (3, 2)
    assert (old.accepted_count, old.silent_count) == (3, 2)
    assert [f.code for f in old.findings] == ["MESSAGES_SILENT"]
    assert (heard_of.accepted_count, heard_of.silent_count) == (3, 1)


async def test_the_numbers_do_not_depend_on_order_or_repeats(bench: Bench) -> None:
    """The cells are moved by deltas: one wrong delta would stay for ever."""
    told = [
        *a_message(1, (words.EVENT_KIND_DELIVERED, SECOND_US), (words.EVENT_KIND_READ, 9**9)),
        *a_message(2, (words.EVENT_KIND_UNDELIVERED, SECOND_US)),
        *a_message(3, (words.EVENT_KIND_DELIVERED, 0), (words.EVENT_KIND_READ, SECOND_US)),
        builders.a_click(provider_message_id="wamid.1"),
        *a_message(4),
    ]
    for seed in range(6):
        for event in shuffled(told * 2, seed)[: random.Random(seed).randint(4, 18)]:
            await bench.apply(event)
    await bench.apply(*told)

    found = await one(bench, now_us=T + 30 * HOUR_US)

    assert (found.accepted_count, found.silent_count) == (4, 1)
    assert (found.delivered_count, found.read_count, found.engaged_count) == (2, 2, 1)
    assert await bench.rows(
        "SELECT sum(timed_reads)::int, sum(fast_reads)::int FROM status.account_hours"
    ) == [(2, 1)]


async def test_unknown_words_are_counted_by_event(bench: Bench) -> None:
    """A provider's new word shows here before anybody misses a number."""
    unknown = words.EVENT_KIND_UNKNOWN
    about_two = [
        builders.an_event(unknown, provider_word="warned", provider_message_id=f"wamid.{n}")
        for n in (1, 2)
    ]
    notice = builders.an_event(
        unknown, provider_word="template_hugged", message_key=b"", provider_message_id=""
    )
    for _ in range(2):
        await bench.apply(*about_two, notice)

    found = await one(bench)

    assert [(w.word, w.count) for w in found.unknown_words] == [
        ("warned", 2), ("template_hugged", 1),
    ]  # fmt: skip
    assert [f.code for f in found.findings] == ["WORDS_UNKNOWN"]


async def test_quarantine_is_counted_and_named_with_its_cure(bench: Bench) -> None:
    """Whoever sees the number must know the command."""
    await bench.apply(quarantined=[a_quarantined()])

    found = await one(bench)

    assert found.quarantined_count == 1
    assert "bluetick replay" in found.findings[0].cure


async def test_accounts_are_filtered_sorted_and_of_one_tenant(bench: Bench) -> None:
    """Health of other tenants is nobody's business."""
    await report(
        bench,
        a_report(1),
        a_report(2, account="acct_2"),
        a_report(3, provider="aaa"),
        a_report(4, tenant_id="other"),
    )

    everything = await health(bench)
    by_account = await health(bench, account="acct_2")
    by_provider = await health(bench, provider="aaa")
    foreign = await health(bench, tenant="nobody")

    assert [(a.provider, a.account) for a in everything.accounts] == [
        ("aaa", "acct_1"), ("meta", "acct_1"), ("meta", "acct_2"),
    ]  # fmt: skip
    assert [a.account for a in by_account.accounts] == ["acct_2"]
    assert [a.provider for a in by_provider.accounts] == ["aaa"]
    assert not foreign.accounts


@pytest.mark.parametrize("hours", [-1, 169])
async def test_hours_out_of_range_are_refused(bench: Bench, hours: int) -> None:
    """The cells behind the answer reach seven days back."""
    with pytest.raises(InvalidArgument):
        await health(bench, silent_after_hours=hours)


async def test_old_reports_are_forgotten_and_the_last_callback_is_not(bench: Bench) -> None:
    """Reports come every few seconds, for ever."""
    await report(bench, a_report())
    await bench.apply(*a_message(1))

    await HealthRows(bench.database).forget(T + 61 * 24 * HOUR_US)

    assert await bench.rows("SELECT 1 FROM status.door_reports") == []
    assert await bench.rows("SELECT 1 FROM status.account_hours") == []
    assert (await one(bench)).callback_time.ToMicroseconds() == T


@pytest.mark.parametrize(
    ("numbers", "code", "severity"),
    [
        ({"refused_count": 5, "callback_count": 9}, "CALLBACKS_REFUSED", FINDING_SEVERITY_WARNING),
        ({"accepted_count": 9, "silent_count": 9}, "MESSAGES_SILENT", FINDING_SEVERITY_ERROR),
        ({"lag_us": 601 * SECOND_US}, "CALLBACKS_LATE", FINDING_SEVERITY_WARNING),
        ({"lag_us": -90 * SECOND_US}, "CALLBACKS_LATE", FINDING_SEVERITY_WARNING),
        ({"delivered_count": 101}, "ENGAGEMENT_ZERO", FINDING_SEVERITY_WARNING),
        (
            {"timed_read_count": 50, "fast_read_count": 26},
            "READS_TOO_FAST",
            FINDING_SEVERITY_WARNING,
        ),
    ],
)
def test_each_finding_has_its_limit_and_says_what_to_do(
    numbers: dict[str, int], code: str, severity: int
) -> None:
    """A finding without a cure is only bad news."""
    found = findings(Vitals("meta", "acct_1", **numbers))

    assert [(f.code, f.severity) for f in found] == [(code, severity)]
    assert found[0].cure


@pytest.mark.parametrize(
    "numbers",
    [
        {"callback_count": 9, "lag_us": 2 * SECOND_US},
        {"accepted_count": 1_000, "silent_count": 50},
        {"delivered_count": 100},
        {"delivered_count": 500, "read_count": 1},
        {"delivered_count": 500, "engaged_count": 1},
        {"timed_read_count": 49, "fast_read_count": 49},
        {"timed_read_count": 50, "fast_read_count": 25},
    ],
)
def test_ordinary_numbers_give_no_finding(numbers: dict[str, int]) -> None:
    """A page of false alarms is not read."""
    assert findings(Vitals("meta", "acct_1", **numbers)) == []


async def test_an_opt_out_of_no_message_is_kept_and_shown_until_its_message_is_told(
    bench: Bench,
) -> None:
    """Whoever says stop must not be written to again, whatever is known of them."""
    stop = builders.an_event(
        words.EVENT_KIND_UNSUBSCRIBED,
        provider_message_id="",
        message_key=b"",
        address=builders.ADDRESS,
        occur_time_us=T + SECOND_US,
        engagement=builders.an_engagement("stop"),
    )
    reply = builders.an_event(
        words.EVENT_KIND_REPLIED,
        provider_message_id="",
        message_key=b"",
        address=builders.ADDRESS,
        occur_time_us=T + SECOND_US,
        engagement=builders.an_engagement("reply"),
    )
    await bench.apply(stop, reply)
    await bench.apply(stop)

    (account,) = (await health(bench)).accounts
    (finding,) = account.findings
    assert (finding.code, finding.what[:8]) == ("OPT_OUTS_WITHOUT_MESSAGE", "1 people")

    await bench.apply(builders.a_registered())

    assert [f.code for a in (await health(bench)).accounts for f in a.findings] == []
    assert (await bench.image_of(next(iter(await bench.images())))).unsubscribe_time_us


def a_recorded(name: str, at_us: int = T, **told: Any) -> Event:
    """A record; ``told`` is what it says of the campaign and the contact."""
    ref = told.pop("message_ref", f"ref-{name}")
    return builders.a_registered(
        provider_message_id=name,
        message_ref=ref,
        occur_time_us=at_us,
        registration=builders.a_registration(**told),
    )


async def test_reports_without_a_record_are_counted_until_it_comes(bench: Bench) -> None:
    """In any order; what is young may still be recorded."""
    reports = [
        builders.an_event(provider_message_id="A1", occur_time_us=T + SECOND_US),
        builders.an_event(words.EVENT_KIND_ACCEPTED, provider_message_id="A2"),
        builders.an_event(provider_message_id="A2", occur_time_us=T + 2 * SECOND_US),
    ]
    await bench.apply(*reports)
    young = await one(bench, now_us=T + HOUR_US)
    old = await one(bench, now_us=T + 26 * HOUR_US)
    await bench.apply(a_recorded("A2"))
    recorded = await one(bench, now_us=T + 26 * HOUR_US)

    assert (young.unrecorded_count, old.unrecorded_count) == (0, 2)
    assert [f.code for f in old.findings] == ["REPORTS_WITHOUT_RECORD"]
    assert recorded.unrecorded_count == 1
    assert not recorded.spelling_hints, "every record was heard of"


async def test_a_report_and_a_silent_record_in_two_spellings_are_shown_side_by_side(
    bench: Bench,
) -> None:
    """Whoever sees both knows what to mend."""
    await bench.apply(
        a_recorded("MSG-00AB12"),
        a_recorded("other-77"),
        builders.an_event(provider_message_id="msg-00ab12", occur_time_us=T + SECOND_US),
    )

    found = await one(bench, now_us=T + 26 * HOUR_US)

    assert [(h.reported_id, h.recorded_id, h.differ_by) for h in found.spelling_hints] == [
        ("msg-00ab12", "MSG-00AB12", "capitals")
    ]
    told = {f.code: f for f in found.findings}["REPORTS_WITHOUT_RECORD"]
    assert told.severity == FINDING_SEVERITY_WARNING
    assert "'msg-00ab12'" in told.what
    assert "capitals" in told.what


async def test_a_recipient_in_a_hint_is_masked(bench: Bench) -> None:
    """The page is read by more people than may see addresses."""
    await bench.apply(
        a_recorded("batch-1/+4915112345678"),
        builders.an_event(provider_message_id="batch-1/015112345678", occur_time_us=T + SECOND_US),
    )

    (hint,) = (await one(bench, now_us=T + 26 * HOUR_US)).spelling_hints

    assert hint.differ_by == "the recipient's prefix"
    assert "1234567" not in hint.reported_id + hint.recorded_id


@pytest.mark.parametrize(
    ("reported", "recorded", "differ_by"),
    [
        ("abcdef12", "ABCDEF12", "capitals"),
        (
            "<abcdef12@host.example>",
            "abcdef12@host.example",
            "brackets, quotes or blanks around it",
        ),
        ("0000123456", "123456", "zeros before it"),
        ("6240795", "0x5F3A1B", "hexadecimal here, decimal there"),
        ("5F3A1B00", "1597643520", "decimal here, hexadecimal there"),
        ("batch1/4915112345678", "batch1/015112345678", "the recipient's prefix"),
        ("batch12/kim@mail.example", "batch12", "the recipient behind it"),
        ("7f000001-aaaa", "7f000001aaaa", "separators"),
        ("abcdef12@host.example", "abcdef12", "what follows @"),
        ("abcdef12.filter01", "abcdef12", "what follows the first dot"),
        ("acct-1:abcdef123456", "abcdef123456", "something before or behind it"),
    ],
)
def test_each_kind_of_spelling_has_its_hint(reported: str, recorded: str, differ_by: str) -> None:
    """And ids that are like one another by number only have none."""
    others = [f"other-id-{n}" for n in range(9)]

    (hint,) = hints([reported, "other-id-42"], [recorded, *others])

    assert (hint.reported, hint.recorded, hint.differ_by) == (reported, recorded, differ_by)


@pytest.mark.parametrize(
    ("second", "is_contradicted"),
    [
        ({}, False),
        ({"template": "another"}, False),
        ({"campaign_id": "c-2"}, True),
        ({"contact_id": "somebody"}, True),
        ({"message_ref": "ref-2"}, True),
    ],
)
async def test_records_that_contradict_one_another_are_counted_and_the_earliest_stands(
    bench: Bench, second: dict[str, str], is_contradicted: bool
) -> None:
    """In any order, once for each message, however often they are told."""
    records = [a_recorded("A1"), a_recorded("A1", T + 5, **second), a_recorded("A1", T + 9)]
    for seed in range(4):
        await empty(bench.database)
        for record in shuffled(records * 2, seed):
            await bench.apply(record)

        found = await one(bench, now_us=T + HOUR_US)
        assert found.contradicted_count == is_contradicted
        codes = [f.code for f in found.findings]
        assert codes == (["RECORDS_CONTRADICT"] if is_contradicted else [])
        assert [
            seen.scope.campaign_id for _, seen in (await bench.images()).values() if seen.is_counted
        ] == ["campaign-1"]


async def test_mail_at_a_forwarding_address_is_no_report_without_a_record(bench: Bench) -> None:
    """It counts for the recorded recipient."""
    record = named(a_recorded("id1", channel=words.CHANNEL_EMAIL), "id1", "a@mail.example")
    bounce = named(builders.a_failure(occur_time_us=T + SECOND_US), "id1", "b@other.example")
    for order in ((record, bounce), (bounce, record)):
        await empty(bench.database)
        for event in order:
            await bench.apply(event)

        found = await one(bench, now_us=T + 26 * HOUR_US)
        assert (found.unrecorded_count, found.silent_count) == (0, 0)


def a_stop(number: int, phone: str, **fields: Any) -> Event:
    """An opt-out that names no message."""
    return builders.an_event(
        words.EVENT_KIND_UNSUBSCRIBED,
        provider_message_id="",
        message_key=b"",
        address=phone,
        occur_time_us=T + number * SECOND_US,
        engagement=builders.an_engagement(f"stop-{number}"),
        provider_word="STOP",
        **fields,
    )


async def unmatched(bench: Bench, **request: Any) -> list[tuple[str, str, int]]:
    """Address, account and second of each opt-out, page by page."""
    found, token = [], ""
    while True:
        page = await list_unmatched_opt_outs(
            OptOutRows(bench.database),
            builders.TENANT,
            ListUnmatchedOptOutsRequest(page_token=token, **request),
            is_address_shown=True,
        )
        found += [
            (o.address, o.account, (o.occur_time.ToMicroseconds() - T) // SECOND_US)
            for o in page.opt_outs
        ]
        token = page.next_page_token
        if not token:
            return found


async def test_opt_outs_without_a_message_are_listed_by_the_page(bench: Bench) -> None:
    """Of whatever account; each once, however often and by whichever names it was told."""
    phones = [f"+1415555010{n}" for n in range(4)]
    stops = [a_stop(n, phone, account=f"acct_{n % 2}") for n, phone in enumerate(phones)]
    retried = a_stop(2, phones[2], account="acct_0", detail="again")
    await bench.apply(*stops, retried, a_stop(9, "+14155550199", tenant_id="other"))

    assert await unmatched(bench, page_size=1) == [
        (phone, f"acct_{n % 2}", n) for n, phone in reversed(list(enumerate(phones)))
    ]
    assert [one[0] for one in await unmatched(bench, account="acct_1")] == [phones[3], phones[1]]

    # Two of them were sent something after all, one under another name of the person.
    await bench.apply(
        builders.a_registered(provider_message_id="m1", message_ref="1", address=phones[1]),
        builders.a_registered(provider_message_id="m3", message_ref="3", address="US.300"),
        builders.an_event(
            provider_message_id="m3", address="US.300", also_known_as=[phones[3]], account="acct_1"
        ),
    )

    assert [one[0] for one in await unmatched(bench)] == [phones[2], phones[0]]


async def test_an_opt_outs_address_is_masked_for_readers(bench: Bench) -> None:
    """Whoever must act on it is an ADMIN."""
    await bench.apply(a_stop(1, "+14155550107", own_address="+14155550100"))

    page = await list_unmatched_opt_outs(
        OptOutRows(bench.database),
        builders.TENANT,
        ListUnmatchedOptOutsRequest(),
        is_address_shown=False,
    )

    (shown,) = page.opt_outs
    assert (shown.address, shown.own_address) == ("••••07", "+14155550100")
    assert (shown.provider, shown.provider_word) == (builders.PROVIDER, "STOP")
