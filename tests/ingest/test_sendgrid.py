import json
from base64 import b64encode
from typing import Any

import pytest
from bluetick.v1 import common_pb2 as pb
from bluetick.v1.event_pb2 import Event
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from libs.runtime.accounts import Account
from libs.runtime.keys import message_key, ref_key
from libs.runtime.message_ids import names_of
from services.ingest.providers.provider import Authentic, Callback, Refused
from services.ingest.providers.sendgrid import KIND_BY_EVENT, SendGrid
from tests.ingest.email_callbacks import JANE, NOW_S, NOW_US, account, events, post, quarantined
from tests.ingest.security_suite import SignedProviderSuite

KEYS = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
ACCEPTED_ID = "hGVe8hT2Sd2hzfKbM5KpDg"
MESSAGE_ID = f"{ACCEPTED_ID}.filter0001.16648.5515E0B88.0"


def public_text(key: Any) -> str:
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return b64encode(der).decode()


def item(word: str = "delivered", **fields: Any) -> dict[str, Any]:
    """One event; a field that is None is left out."""
    told = {
        "email": JANE,
        "timestamp": NOW_S - 60,
        "event": word,
        "sg_event_id": "event-1",
        "sg_message_id": MESSAGE_ID,
        **fields,
    }
    return {name: value for name, value in told.items() if value is not None}


def dump(*items: Any) -> bytes:
    return json.dumps(list(items)).encode() + b"\r\n"


def one(word: str = "delivered", **fields: Any) -> Event:
    (event,) = events(SendGrid(), dump(item(word, **fields)))
    return event


class TestCredentials(SignedProviderSuite):
    provider = SendGrid()
    signature_header = "x-twilio-email-event-webhook-signature"
    secret_name = "public_key"
    is_time_signed = True

    def account(self) -> Account:
        return account("sendgrid", {"public_key": [public_text(key) for key in KEYS]})

    def signed(
        self, body: bytes | None = None, *, secret_index: int = 0, at_us: int = NOW_US
    ) -> Callback:
        raw = dump(item()) if body is None else body
        timestamp = str(at_us // 1_000_000)
        # Deterministic: fuzzing must be able to repeat itself.
        algorithm = ec.ECDSA(SHA256(), deterministic_signing=True)
        signature = KEYS[secret_index].sign(timestamp.encode() + raw, algorithm)
        headers = {
            self.signature_header: b64encode(signature).decode(),
            "x-twilio-email-event-webhook-timestamp": timestamp,
        }
        return post("sendgrid", raw, headers=headers)

    def test_the_line_break_at_the_end_is_signed(self) -> None:
        """A framework that strips bodies would break every signature."""
        callback = self.signed()

        stripped = post("sendgrid", callback.body.strip(), headers=callback.headers)

        assert self.verdict(stripped) == Refused("SIGNATURE_WRONG")

    def test_the_time_is_signed(self) -> None:
        """Else an old body could be given a new time."""
        callback = self.signed()
        headers = {**callback.headers, "x-twilio-email-event-webhook-timestamp": str(NOW_S + 1)}

        assert self.verdict(post("sendgrid", callback.body, headers=headers)) == Refused(
            "SIGNATURE_WRONG"
        )

    def test_a_key_of_another_kind_does_not_count(self) -> None:
        """The algorithm is ours, and not the sender's; a good key beside a bad one still works."""
        other = public_text(ed25519.Ed25519PrivateKey.generate())
        for bad in (other, "no key", public_text(ec.generate_private_key(ec.SECP384R1()))):
            alone = account("sendgrid", {"public_key": [bad]})
            beside = account("sendgrid", {"public_key": [bad, public_text(KEYS[0])]})

            verdict = self.provider.authenticate(self.signed(), alone)

            assert verdict == Refused("SECRET_NOT_CONFIGURED", 503)
            assert self.provider.authenticate(self.signed(), beside) == Authentic()


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("processed", pb.EVENT_KIND_QUEUED),
        ("deferred", pb.EVENT_KIND_DEFERRED),
        ("delivered", pb.EVENT_KIND_DELIVERED),
        ("bounce", pb.EVENT_KIND_UNDELIVERED),
        ("dropped", pb.EVENT_KIND_DROPPED),
        ("open", pb.EVENT_KIND_READ),
        ("click", pb.EVENT_KIND_CLICKED),
        ("spamreport", pb.EVENT_KIND_COMPLAINED),
        ("unsubscribe", pb.EVENT_KIND_UNSUBSCRIBED),
        ("group_unsubscribe", pb.EVENT_KIND_UNSUBSCRIBED),
        ("group_resubscribe", pb.EVENT_KIND_RESUBSCRIBED),
        ("account_status_change", pb.EVENT_KIND_INFO),
    ],
)
def test_each_word_has_its_kind(word: str, kind: int) -> None:
    """The table is the dialect; a word that is missing here would be unknown."""
    event = one(word)

    assert word in KIND_BY_EVENT
    assert (event.kind, event.provider_word) == (kind, word)
    assert event.provider_message_id == ACCEPTED_ID
    assert event.message_key == names_of("demo", "sendgrid", "", ACCEPTED_ID, JANE).key
    assert event.batch_key == message_key("demo", "sendgrid", ACCEPTED_ID)
    assert (event.address, event.occur_time_us) == (JANE, (NOW_S - 60) * 1_000_000)
    assert not event.is_time_clamped


def test_an_unknown_word_is_kept_with_its_bytes() -> None:
    """Tomorrow's word must be visible, and never guessed."""
    event = one("teleported", x=1)

    assert event.kind == pb.EVENT_KIND_UNKNOWN
    assert json.loads(event.raw) == item("teleported", x=1)


@pytest.mark.parametrize(
    ("word", "fields", "code", "reason"),
    [
        ("bounce", {"type": "bounce", "status": "5.1.1"}, "5.1.1", "RECIPIENT_RELATED_ERRORS"),
        ("bounce", {"type": "bounce", "reason": "550 5.1.10 no"}, "5.1.10",
         "RECIPIENT_RELATED_ERRORS"),
        ("bounce", {"type": "bounce", "status": "5.0.0", "bounce_classification": "Content"},
         "bounce:Content", "INVALID_MESSAGES"),
        ("bounce", {"type": "bounce", "bounce_classification": "Unclassified"},
         "bounce:type=bounce", "RECIPIENT_RELATED_ERRORS"),
        ("bounce", {"type": "blocked", "status": "4.7.1"}, "4.7.1", "META_ERRORS"),
        ("bounce", {"type": "blocked", "status": "5.7.1"}, "bounce:type=blocked", "META_ERRORS"),
        ("bounce", {"type": "blocked", "status": "5.1.1"}, "5.1.1", "RECIPIENT_RELATED_ERRORS"),
        ("bounce", {"reason": "550 no such user"}, "550", "RECIPIENT_RELATED_ERRORS"),
        ("bounce", {}, "", "UNMAPPED"),
        ("dropped", {"reason": "Bounced Address"}, "dropped:Bounced Address",
         "RECIPIENT_RELATED_ERRORS"),
        ("dropped", {"reason": "Spam Content"}, "dropped:Spam Content", "POLICY_FAILURES"),
        ("dropped", {"reason": "A new reason"}, "dropped:A new reason", "UNMAPPED"),
    ],
)  # fmt: skip
def test_a_failure_has_the_code_that_the_catalogue_knows(
    word: str, fields: dict[str, Any], code: str, reason: str
) -> None:
    """A code that nobody can look up tells a marketer nothing; a block is no dead address."""
    event = one(word, **fields)

    assert event.provider_code == code
    assert pb.FailureReason.Name(event.reason) == f"FAILURE_REASON_{reason}"


def test_a_bounce_without_ids_keeps_address_and_time() -> None:
    """Asynchronous bounces come so; nothing else could ever find their message."""
    event = one("bounce", sg_message_id="", status="5.1.1")

    assert (event.message_key, event.provider_message_id) == (b"", "")
    assert (event.address, event.provider_code) == (JANE, "5.1.1")


def test_an_act_without_an_id_is_found_by_the_reference() -> None:
    """The sender's reference comes back as a custom argument."""
    event = one("click", sg_message_id=None, message_ref="ref-1", url="https://x.test")

    assert event.message_key == ref_key("demo", "ref-1")


@pytest.mark.parametrize(
    ("fields", "ref"),
    [
        ({"message_ref": "ref-1"}, "ref-1"),
        ({"bluetick_ref": 123}, "123"),
        ({"message_ref": "", "bluetick_ref": "ref-2"}, "ref-2"),
        ({"message_ref": "x" * 257}, ""),
        ({"message_ref": {"a": 1}}, ""),
    ],
)
def test_the_reference_is_a_custom_argument(fields: dict[str, Any], ref: str) -> None:
    """Custom arguments are merged into the event, of any type."""
    assert one(**fields).message_ref == ref


def test_the_account_may_name_another_argument_and_share_an_id() -> None:
    """Who sends to a thousand people in one request has one id for all of them."""
    owner = account("sendgrid", message_ref_field="recipient_ref", id_per_recipient="true")

    (event,) = events(SendGrid(), dump(item(recipient_ref="000123")), owner)

    assert event.message_ref == "000123"
    assert event.provider_message_id == f"{ACCEPTED_ID}/{JANE}"


def test_a_machine_open_is_flagged_and_kept() -> None:
    """Mail proxies open everything; dropping it would hide how much they do."""
    machine, person = one("open", sg_machine_open=True), one("open", sg_machine_open=False)

    assert machine.kind == person.kind == pb.EVENT_KIND_READ
    assert machine.engagement.is_machine
    assert machine.engagement.machine_rule == "sg_machine_open/1"
    assert machine.engagement.act_id
    assert not person.HasField("engagement")


@pytest.mark.parametrize(
    ("agent", "rule"),
    [
        ("Mozilla/5.0", ""),
        ("Mozilla/5.0 (via ggpht.com GoogleImageProxy)", ""),
        ("Mozilla/5.0 (Linux; Android 9; CUBOT X18)", ""),
        ("Mozilla/5.0 (compatible; Barracuda Sentinel)", "scanner/1"),
        ("Mozilla/5.0 (compatible; bingbot/2.0)", "crawler/1"),
        ("python-requests/2.31", "program/1"),
    ],
)
def test_a_click_of_a_program_is_flagged(agent: str, rule: str) -> None:
    """Security gateways click every link before the person sees it."""
    event = one("click", url="https://x.test/a", useragent=agent)

    assert event.engagement.url == "https://x.test/a"
    assert (event.engagement.is_machine, event.engagement.machine_rule) == (bool(rule), rule)


def test_the_same_event_twice_is_the_same_act() -> None:
    """Twice in one body and again in a retry: one click."""
    first, second = events(SendGrid(), dump(item("click"), item("click")))
    again = one("click", sg_event_id="another id of the same event")

    assert first == second == again
    assert first.engagement.act_id != one("click", url="https://x.test").engagement.act_id


def test_an_opt_out_names_its_list() -> None:
    """A group's opt-out is narrower than one from everything."""
    assert one("group_unsubscribe", asm_group_id=42).detail == "asm_group_id=42"


@pytest.mark.parametrize("category", ["cat acts", ["a", "b"], None, 5])
def test_a_category_of_any_type_is_no_matter(category: Any) -> None:
    """It is text or a list."""
    assert one(category=category).kind == pb.EVENT_KIND_DELIVERED


@pytest.mark.parametrize("timestamp", [None, "soon", 0, 1e300, -5, [], 99_999_999_999])
def test_a_time_that_cannot_be_is_replaced_and_marked(timestamp: Any) -> None:
    """A custom argument may hide the time; the event counts all the same."""
    event = one(timestamp=timestamp)

    assert (event.occur_time_us, event.is_time_clamped) == (NOW_US, True)


def test_one_bad_item_leaves_its_neighbours() -> None:
    """A thousand events must not be lost for one."""
    body = dump(item(), 5, {"email": JANE}, item(sg_message_id="x" * 600), item("open"))
    body = body.replace(b"[{", b'[{"a": "\\ud800", ', 1)

    reading = SendGrid().parse(post("sendgrid", body), account("sendgrid"))

    assert not isinstance(reading, Refused)
    assert [event.provider_word for event in reading.batch.events] == ["delivered", "open"]
    assert [part.reason for part in reading.batch.quarantined] == [
        "ITEM_NOT_AN_OBJECT", "EVENT_MISSING", "ID_TOO_LONG",
    ]  # fmt: skip
    assert reading.batch.quarantined[0].body == b"5"
    assert all(part.is_part for part in reading.batch.quarantined)


@pytest.mark.parametrize(
    ("body", "reasons"),
    [
        (b"", ["BODY_NOT_A_LIST"]),
        (b"{}", ["BODY_NOT_A_LIST"]),
        (b"[", ["BODY_NOT_A_LIST"]),
        (b"\xff", ["BODY_NOT_A_LIST"]),
        (b"[]", []),
        (b"[" + b"1," * 5_000 + b"1]", ["PARTS_TOO_MANY"]),
        (b'[{"event":"open","email":"\\u0000"}]', ["INVALID_TEXT"]),
    ],
)
def test_what_cannot_be_read_is_kept(body: bytes, reasons: list[str]) -> None:
    """It is authentic, so it is never thrown away."""
    assert quarantined(SendGrid(), body) == reasons


def test_an_item_can_be_read_again_alone() -> None:
    """What quarantine kept is replayed once the dialect can read it."""
    whole = SendGrid().whole_of(json.dumps(item()).encode(), "[17]", account("sendgrid"))

    (event,) = events(SendGrid(), whole)
    assert event.provider_message_id == ACCEPTED_ID
