import json
from typing import Any

import msgspec
import pytest
from bluetick.v1 import common_pb2 as pb
from bluetick.v1.event_pb2 import Event

from libs.runtime.accounts import Account
from libs.runtime.keys import message_key
from services.ingest.providers.provider import Authentic, Callback, Refused
from services.ingest.providers.ses import Ses
from tests.ingest.email_callbacks import NOW_US, account, events, post, quarantined
from tests.ingest.security_suite import SignedProviderSuite
from tests.ingest.sns_signing import (
    CERTIFICATE_URL,
    SUBSCRIBE_URL,
    TOPIC,
    confirmation,
    envelope,
    signer,
)

KEY, PEM = signer("first")
OTHER_KEY, OTHER_PEM = signer("second")
MESSAGE_ID = "0100018e3f1c2b7d-7c191be4"
SENT_US = 1_785_899_000_000_000
SENT = "2026-08-05T03:03:20.000Z"
LATER = "2026-08-05T03:03:21.5Z"
LATER_US = SENT_US + 1_500_000
JANE, MARY = "jane@example.net", "Mary@example.net"


def mail(*destination: str, **fields: Any) -> dict[str, Any]:
    told = {"messageId": MESSAGE_ID, "timestamp": SENT, "destination": list(destination or [JANE])}
    return {**told, **fields}


def told(word: str, part: Any = None, *, field: str = "eventType", **fields: Any) -> list[Event]:
    """The events of one SES event; ``part`` is the object that goes with the word."""
    names = {"Rendering Failure": "failure", "DeliveryDelay": "deliveryDelay"}
    message = {field: word, "mail": mail(), names.get(word, word.lower()): part or {}, **fields}
    return events(Ses(), envelope(message, KEY))


def one(word: str, part: Any = None, **fields: Any) -> Event:
    (event,) = told(word, part, **fields)
    return event


class TestCredentials(SignedProviderSuite):
    provider = Ses()
    # The envelope carries the signature.
    signature_header = ""
    secret_name = "certificate"
    # What the envelope says is signed, and not how it is written.
    is_encoding_signed = False

    def account(self) -> Account:
        return account("ses", {"certificate": [PEM, OTHER_PEM]})

    def signed(
        self, body: bytes | None = None, *, secret_index: int = 0, at_us: int = NOW_US
    ) -> Callback:
        key = (KEY, OTHER_KEY)[secret_index]
        message = {"eventType": "Send", "mail": mail()}
        return post("ses", envelope(message, key) if body is None else body)

    def unsigned(self, callback: Callback) -> Callback:
        return _with(callback, Signature=None)

    def forged(self, callback: Callback) -> Callback:
        return _with(callback, Signature="AAAA")

    def test_an_account_without_a_secret_asks_to_try_again(self) -> None:
        """Without a pinned certificate one is fetched; until it is there, nothing is proven."""
        bare = account("ses", topic_arns=TOPIC)
        callback = self.signed()

        verdict = self.provider.authenticate(callback, bare)
        fetched = msgspec.structs.replace(callback, certificate=PEM)
        other = msgspec.structs.replace(callback, certificate=OTHER_PEM)

        assert self.provider.certificate_url(callback, bare) == CERTIFICATE_URL
        assert verdict == Refused("CERTIFICATE_UNAVAILABLE", 503)
        assert self.provider.authenticate(fetched, bare) == Authentic()
        assert self.provider.authenticate(other, bare) == Refused("SIGNATURE_WRONG")

    def test_both_versions_of_the_signature_are_read_and_no_third(self) -> None:
        """Topics sign with SHA-1 unless they were changed."""
        for version, is_taken in (("1", True), ("2", True), ("3", False), ("", False)):
            body = envelope("text", KEY, version)
            assert (self.verdict(post("ses", body)) == Authentic()) == is_taken

    def test_the_version_cannot_be_swapped(self) -> None:
        """The envelope names its hash, but cannot make a signature fit another one."""
        swapped = _with(post("ses", envelope("text", KEY, "2")), SignatureVersion="1")

        assert self.verdict(swapped) == Refused("SIGNATURE_WRONG")

    @pytest.mark.parametrize("subject", ["Amazon SES Email Event", "", None])
    def test_a_subject_is_signed_if_there_is_one(self, subject: str | None) -> None:
        """Feedback notifications have one, event publishing has none."""
        callback = post("ses", envelope("text", KEY, Subject=subject))

        assert self.verdict(callback) == Authentic()
        assert self.verdict(_with(callback, Subject="Another")) == Refused("SIGNATURE_WRONG")

    def test_confirmations_sign_their_own_fields(self) -> None:
        """An address that was swapped in would be called in our name."""
        callback = post("ses", confirmation(KEY))

        assert self.verdict(callback) == Authentic()
        assert isinstance(self.verdict(_with(callback, SubscribeURL="https://x.test")), Refused)
        assert isinstance(self.verdict(_with(callback, Type="Notification")), Refused)

    def test_a_pinned_certificate_ends_all_asking(self) -> None:
        """An operator who pins one wants no other, and no request."""
        assert self.provider.certificate_url(self.signed(), self.account()) == ""
        wrong = account("ses", {"certificate": [OTHER_PEM]})
        assert self.provider.authenticate(self.signed(), wrong) == Refused("SIGNATURE_WRONG")
        junk = account("ses", {"certificate": ["no certificate"]})
        assert self.provider.authenticate(self.signed(), junk) == Refused("SIGNATURE_WRONG")

    def test_a_short_key_does_not_count(self) -> None:
        """It can be computed from its certificate."""
        key, pem = signer("short", 1024)
        owner = account("ses", {"certificate": [pem]})

        verdict = self.provider.authenticate(post("ses", envelope("text", key)), owner)

        assert verdict == Refused("SIGNATURE_WRONG")

    @pytest.mark.parametrize(
        "url",
        [
            "http://sns.eu-west-1.amazonaws.com/SimpleNotificationService-a.pem",
            "https://sns.eu-west-1.amazonaws.com.evil.test/SimpleNotificationService-a.pem",
            "https://evil.test/sns.eu-west-1.amazonaws.com/SimpleNotificationService-a.pem",
            "https://sns.eu-west-1.amazonaws.com@evil.test/SimpleNotificationService-a.pem",
            "https://user@sns.eu-west-1.amazonaws.com/SimpleNotificationService-a.pem",
            "https://sns.eu-west-1.amazonaws.com:443/SimpleNotificationService-a.pem",
            "https://sns.eu-west-1.amazonaws.com:8080/SimpleNotificationService-a.pem",
            "https://127.0.0.1/SimpleNotificationService-a.pem",
            "https://[::1]/SimpleNotificationService-a.pem",
            "https://169.254.169.254/SimpleNotificationService-a.pem",
            "https://s3.eu-west-1.amazonaws.com/SimpleNotificationService-a.pem",
            "https://sns.bucket.s3-1.amazonaws.com/SimpleNotificationService-a.pem",
            "https://sns-eu-west-1.amazonaws.com/SimpleNotificationService-a.pem",
            "https://xsns.eu-west-1.amazonaws.com/SimpleNotificationService-a.pem",
            "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-a.pem?x=1",
            "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-a.pem#",
            "https://sns.eu-west-1.amazonaws.com/a/../SimpleNotificationService-a.pem",
            "https://sns.eu-west-1.amazonaws.com/other.pem",
            "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-a.pem\n",
            "https://sns.eu-west-1.amazonaws.com\\@evil.test/SimpleNotificationService-a.pem",
            "https://sns.eu-west-1.amazonaws.co\u043c/SimpleNotificationService-a.pem",
            "file:///etc/passwd",
            "",
        ],
    )
    def test_a_certificate_from_elsewhere_is_refused_and_never_asked_for(self, url: str) -> None:
        """Whoever calls names the address: a request to it would be made in our name."""
        for owner in (account("ses", topic_arns=TOPIC), self.account()):
            callback = post("ses", envelope("text", KEY, SigningCertURL=url))

            assert self.provider.certificate_url(callback, owner) == ""
            assert self.provider.authenticate(callback, owner) == Refused("CERTIFICATE_URL_REFUSED")

    @pytest.mark.parametrize(
        "url",
        [
            "https://sns.us-gov-west-1.amazonaws.com/SimpleNotificationService-0aZ.pem",
            "https://sns.cn-north-1.amazonaws.com.cn/SimpleNotificationService-0aZ.pem",
            "https://sns.ap-southeast-2.amazonaws.com/SimpleNotificationService-0aZ.pem",
        ],
    )
    def test_the_certificates_of_all_regions_are_taken(self, url: str) -> None:
        """China has a domain of its own."""
        callback = post("ses", envelope("text", KEY, SigningCertURL=url))

        assert self.provider.certificate_url(callback, account("ses", topic_arns=TOPIC)) == url

    def test_only_the_topics_of_the_account_may_publish(self) -> None:
        """Amazon signs for every topic of every customer."""
        mine = account("ses", {"certificate": [PEM]}, topic_arns=f"arn:other, {TOPIC}")
        theirs = account("ses", {"certificate": [PEM]}, topic_arns="arn:other")
        unpinned = account("ses", topic_arns="arn:other")

        assert self.provider.authenticate(self.signed(), mine) == Authentic()
        assert self.provider.authenticate(self.signed(), theirs) == Refused("TOPIC_REFUSED")
        assert self.provider.certificate_url(self.signed(), unpinned) == ""


def _with(callback: Callback, **fields: Any) -> Callback:
    changed = {**json.loads(callback.body), **fields}
    told = {name: value for name, value in changed.items() if value is not None}
    return msgspec.structs.replace(callback, body=json.dumps(told).encode())


@pytest.mark.parametrize(
    ("options", "body", "url"),
    [
        ({"confirm_subscriptions": "true"}, confirmation(KEY), SUBSCRIBE_URL),
        ({}, confirmation(KEY), ""),
        ({"confirm_subscriptions": "yes"}, confirmation(KEY), ""),
        ({"confirm_subscriptions": "true"}, envelope("x", KEY, SubscribeURL=SUBSCRIBE_URL), ""),
        ({"confirm_subscriptions": "true"},
         confirmation(KEY, SubscribeURL="https://evil.test/?Action=ConfirmSubscription"), ""),
        ({"confirm_subscriptions": "true"},
         confirmation(KEY, SubscribeURL=SUBSCRIBE_URL.replace("Confirm", "Delete")), ""),
        ({"confirm_subscriptions": "true"}, confirmation(KEY, Type="UnsubscribeConfirmation"), ""),
    ],
)  # fmt: skip
def test_a_subscription_is_confirmed_only_where_the_account_allows(
    options: dict[str, str], body: bytes, url: str
) -> None:
    """Anybody with a topic can ask us to subscribe to it."""
    owner = account("ses", {"certificate": [PEM]}, **options)

    assert Ses().confirm_url(post("ses", body), owner) == url


def test_a_confirmation_is_kept_with_its_token() -> None:
    """The operator can confirm by hand."""
    for kind in ("SubscriptionConfirmation", "UnsubscribeConfirmation"):
        body = confirmation(KEY, Type=kind)
        (event,) = events(Ses(), body)
        assert (event.kind, event.provider_word) == (pb.EVENT_KIND_INFO, kind)
        assert (event.detail, event.raw, event.message_key) == (TOPIC, body, b"")


def test_plain_text_is_information() -> None:
    """SES says hello to a topic in words."""
    (event,) = events(Ses(), envelope("Successfully validated SNS topic.", KEY))

    assert event.kind == pb.EVENT_KIND_INFO
    assert event.detail == f"{TOPIC}: Successfully validated SNS topic."


@pytest.mark.parametrize("field", ["eventType", "notificationType"])
@pytest.mark.parametrize(
    ("word", "part", "kind", "time_us"),
    [
        ("Send", {}, pb.EVENT_KIND_SENT, SENT_US),
        ("Delivery", {"timestamp": LATER}, pb.EVENT_KIND_DELIVERED, LATER_US),
        ("DeliveryDelay", {"timestamp": LATER}, pb.EVENT_KIND_DEFERRED, LATER_US),
        ("Bounce", {"timestamp": LATER}, pb.EVENT_KIND_UNDELIVERED, LATER_US),
        ("Reject", {"reason": "Bad content"}, pb.EVENT_KIND_DROPPED, SENT_US),
        ("Rendering Failure", {"errorMessage": "x"}, pb.EVENT_KIND_DROPPED, SENT_US),
        ("Open", {"timestamp": LATER}, pb.EVENT_KIND_READ, LATER_US),
        ("Click", {"timestamp": LATER}, pb.EVENT_KIND_CLICKED, LATER_US),
        ("Complaint", {"timestamp": LATER}, pb.EVENT_KIND_COMPLAINED, LATER_US),
    ],
)
def test_each_word_has_its_kind_in_both_shapes(
    field: str, word: str, part: dict[str, Any], kind: int, time_us: int
) -> None:
    """Event publishing and feedback notifications name the word differently."""
    event = one(word, part, field=field)

    assert (event.kind, event.provider_word, event.occur_time_us) == (kind, word, time_us)
    assert event.provider_message_id == f"{MESSAGE_ID}/{JANE}"
    assert event.message_key == message_key("demo", "ses", f"{MESSAGE_ID}/{JANE}")
    assert (event.address, event.is_time_clamped) == (JANE, False)


@pytest.mark.parametrize(
    ("word", "part", "addresses"),
    [
        ("Send", {}, [JANE, MARY]),
        ("Open", {}, [JANE, MARY]),
        ("Click", {}, [JANE, MARY]),
        ("Delivery", {"recipients": [MARY]}, [MARY]),
        ("Bounce", {"bouncedRecipients": [{"emailAddress": f"Mary <{MARY}>"}]}, [MARY]),
        ("Complaint", {"complainedRecipients": [{"emailAddress": MARY}]}, [MARY]),
        ("DeliveryDelay", {"delayedRecipients": [{"emailAddress": JANE}, 5, {}]}, [JANE]),
        ("Bounce", {"bouncedRecipients": []}, [JANE, MARY]),
    ],
)
def test_one_event_becomes_one_for_each_recipient(
    word: str, part: dict[str, Any], addresses: list[str]
) -> None:
    """One id covers all of them; who opened or clicked SES does not say, so all did."""
    found = told(word, part, mail=mail(JANE, MARY))

    assert [event.address for event in found] == addresses
    assert [event.provider_message_id for event in found] == [
        f"{MESSAGE_ID}/{address}" for address in addresses
    ]


@pytest.mark.parametrize(
    ("word", "part", "code", "reason"),
    [
        ("Bounce", {"bounceType": "Permanent", "bounceSubType": "NoEmail"},
         "Permanent/NoEmail", "RECIPIENT_RELATED_ERRORS"),
        ("Bounce", {"bounceType": "Transient", "bounceSubType": "ContentRejected"},
         "Transient/ContentRejected", "INVALID_MESSAGES"),
        ("Bounce", {"bounceType": "Permanent", "bounceSubType": "Suppressed"},
         "Permanent/Suppressed", "RECIPIENT_RELATED_ERRORS"),
        ("Bounce", {"bounceType": "Permanent", "bounceSubType": "Tomorrow"},
         "Permanent/General", "RECIPIENT_RELATED_ERRORS"),
        ("Bounce", {"bounceType": "Undetermined", "bounceSubType": "Undetermined"},
         "Undetermined/Undetermined", "META_ERRORS"),
        ("Bounce", {"bounceType": "Undetermined", "bounceSubType": "Undetermined",
                    "bouncedRecipients": [{"emailAddress": JANE, "status": "5.2.2"}]},
         "5.2.2", "RECIPIENT_RELATED_ERRORS"),
        ("Bounce", {}, "", "UNMAPPED"),
        ("Reject", {"reason": "Bad content"}, "Reject", "POLICY_FAILURES"),
        ("Rendering Failure", {"errorMessage": "x"}, "RenderingFailure", "TEMPLATE_FAILURES"),
    ],
)  # fmt: skip
def test_a_failure_has_the_code_that_the_catalogue_knows(
    word: str, part: dict[str, Any], code: str, reason: str
) -> None:
    """Hard and soft bounces are told apart by their code."""
    event = one(word, part)

    assert event.provider_code == code
    assert pb.FailureReason.Name(event.reason) == f"FAILURE_REASON_{reason}"


def test_a_delay_keeps_the_servers_code() -> None:
    """It is not final, and so has no reason."""
    entry = {"emailAddress": JANE, "status": "4.4.1", "diagnosticCode": "smtp; 421 4.4.1 busy"}

    event = one("DeliveryDelay", {"delayType": "X", "delayedRecipients": [entry]})

    assert (event.provider_code, event.reason) == ("4.4.1", 0)
    assert event.detail == "smtp; 421 4.4.1 busy"


def test_a_click_has_its_link_and_the_same_id_each_time() -> None:
    """SNS repeats a notification for weeks."""
    part = {"timestamp": LATER, "link": "https://x.test/a", "linkTags": {"link_id": ["hero"]}}

    first, again = one("Click", part), one("Click", part)
    other = one("Click", {**part, "timestamp": SENT})

    assert (first.engagement.url, first.engagement.link_id) == ("https://x.test/a", "hero")
    assert first.engagement.act_id == again.engagement.act_id != other.engagement.act_id


def test_the_reference_is_a_tag() -> None:
    """Values of tags are lists."""
    event = one("Send", mail=mail(tags={"message_ref": ["ref-1"], "campaign": ["spring"]}))

    assert event.message_ref == "ref-1"


def test_a_complaint_that_was_taken_back_is_none() -> None:
    """Somebody moved the mail out of the spam folder."""
    assert one("Complaint", {"complaintFeedbackType": "not-spam"}).kind == pb.EVENT_KIND_INFO
    assert one("Complaint", {"complaintFeedbackType": "abuse"}).kind == pb.EVENT_KIND_COMPLAINED


def test_an_earlier_complaint_drops_the_email() -> None:
    """SES did not send it, so the complaint proves no delivery."""
    complaint, dropped = told("Complaint", {"complaintSubType": "OnAccountSuppressionList"})

    assert complaint.engagement.by_failure
    assert dropped.kind == pb.EVENT_KIND_DROPPED
    assert dropped.provider_code == "Complaint/OnAccountSuppressionList"
    assert dropped.reason == pb.FAILURE_REASON_RECIPIENT_RELATED_ERRORS


def _choice(*topics: str, everything: bool | None = False) -> dict[str, Any]:
    """Preferences; a topic with "-" before its name was left."""
    listed = [
        {"topicName": name.strip("-"), "subscriptionStatus": "OptOut" if "-" in name else "OptIn"}
        for name in topics
    ]
    return {"unsubscribeAll": everything, "topicSubscriptionStatus": listed}


@pytest.mark.parametrize(
    ("old", "new", "kinds"),
    [
        (_choice("a"), _choice("a", everything=True), [pb.EVENT_KIND_UNSUBSCRIBED]),
        (_choice("a", everything=True), _choice("a"), [pb.EVENT_KIND_RESUBSCRIBED]),
        (_choice("a"), _choice("-a"), [pb.EVENT_KIND_UNSUBSCRIBED]),
        (_choice("-a"), _choice("a"), [pb.EVENT_KIND_RESUBSCRIBED]),
        (_choice("a", "-b"), _choice("-a", "b"),
         [pb.EVENT_KIND_UNSUBSCRIBED, pb.EVENT_KIND_RESUBSCRIBED]),
        ({}, _choice("-a"), [pb.EVENT_KIND_UNSUBSCRIBED]),
        ({}, _choice("a"), [pb.EVENT_KIND_RESUBSCRIBED]),
        ({}, {}, [pb.EVENT_KIND_INFO]),
        (_choice("a"), _choice("a"), [pb.EVENT_KIND_INFO]),
    ],
)  # fmt: skip
def test_a_choice_of_topics_is_to_leave_or_to_come_back(
    old: dict[str, Any], new: dict[str, Any], kinds: list[int]
) -> None:
    """What changed counts, not what is."""
    found = told("Subscription", {"oldTopicPreferences": old, "newTopicPreferences": new})

    assert [event.kind for event in found] == kinds
    assert all(event.engagement.act_id or kind == pb.EVENT_KIND_INFO
               for event, kind in zip(found, kinds, strict=True))  # fmt: skip


def test_an_answer_by_email_finds_its_message() -> None:
    """SES makes the header Message-ID of its own id."""
    headers = [
        {"name": "In-Reply-To", "value": f"<{MESSAGE_ID}@eu-west-1.amazonses.com>"},
        {"name": "Subject", "value": "Unsubscribe"},
    ]
    reply, opt_out = told("Received", mail=mail(source=JANE, headers=headers, messageId="in-1"),
                          field="notificationType")  # fmt: skip

    assert reply.kind == pb.EVENT_KIND_REPLIED
    assert reply.provider_message_id == f"{MESSAGE_ID}/{JANE}"
    assert reply.engagement.act_id == "in-1"
    assert opt_out.kind == pb.EVENT_KIND_UNSUBSCRIBED


@pytest.mark.parametrize("message", [{"hello": 1}, {"eventType": "Tomorrow", "mail": mail()}])
def test_another_publishers_message_is_kept_as_unknown(message: dict[str, Any]) -> None:
    """A topic can have more publishers than SES."""
    (event,) = events(Ses(), envelope(message, KEY))

    assert event.kind == pb.EVENT_KIND_UNKNOWN
    assert json.loads(event.raw) == message


@pytest.mark.parametrize(
    ("body", "reasons"),
    [
        (b"", ["BODY_NOT_JSON"]),
        (b"[]", ["BODY_NOT_AN_OBJECT"]),
        (envelope("{no json", KEY), ["BODY_NOT_JSON"]),
        (envelope({"eventType": "Send", "mail": mail("x" * 600)}, KEY), ["ID_TOO_LONG"]),
        (envelope({"eventType": "Send", "mail": mail(*map(str, range(1_001)))}, KEY),
         ["RECIPIENTS_TOO_MANY"]),
        (envelope({"eventType": "Send", "mail": mail("a\x00b")}, KEY), ["INVALID_TEXT"]),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_kept(body: bytes, reasons: list[str]) -> None:
    """It is authentic, so it is never thrown away."""
    assert quarantined(Ses(), body) == reasons


def test_a_time_is_found_where_the_event_has_none() -> None:
    """The envelope's own time comes last, the time of receipt only after it."""
    bare = {"eventType": "Send", "mail": {"messageId": MESSAGE_ID}}

    (event,) = events(Ses(), envelope(bare, KEY))
    (late,) = events(Ses(), envelope(bare, KEY, Timestamp="soon"))

    assert (event.occur_time_us, event.is_time_clamped) == (NOW_US - 60_000_000, False)
    assert (late.occur_time_us, late.is_time_clamped) == (NOW_US, True)
    assert (event.provider_message_id, event.address) == (MESSAGE_ID, "")
