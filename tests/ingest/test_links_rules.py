import pytest

from libs.runtime.secret_keys import SecretKey, parse_keys
from services.ingest.domain.destinations import (
    LINK_KEY_BYTES,
    URL_CHARACTERS_MAX,
    Destination,
    link_key,
    location_of,
    problem_of,
)
from services.ingest.domain.link_token import LinkKeyring
from services.ingest.domain.machine_clicks import click_rule

OLD = SecretKey("a", b"the first secret of ours")
NEW = SecretKey("b", b"the second secret of ours")
KEY = bytes(range(LINK_KEY_BYTES))
UUID = "0197b1c2-3d4e-7f50-8a6b-9c0d1e2f3a4b"
CHROME = (
    "Mozilla/5.0 (Linux; Android 14; SM-S921B) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/126.0.0.0 Mobile Safari/537.36"
)


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example/sale?id=1&next=https://a.example/#top",
        "http://localhost:8080",
        "https://[2001:db8::1]:8443/a",
        "https://münchen.example/straße",
        "HTTPS://SHOP.EXAMPLE/A",
        "https://shop.example/@someone?mail=a@b.example",
        "https://shop.example/" + "a" * (URL_CHARACTERS_MAX - 21),
    ],
)
def test_what_a_browser_opens_is_taken(url: str) -> None:
    """A sender's own links must not need rewriting."""
    assert problem_of(url) == ""


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("", "empty"),
        ("javascript:alert(1)", "not http"),
        ("data:text/html,hello", "not http"),
        ("ftp://files.example/a", "not http"),
        ("//evil.example/a", "not http"),
        ("shop.example/a", "not http"),
        ("https:evil.example", "host"),
        ("https:///evil.example", "host"),
        ("https://", "host"),
        ("https://.../\\evil.example", "backslash"),
        ("https://shop.example\\@evil.example", "backslash"),
        ("https://shop.example@evil.example/", "user name"),
        ("https://user:word@shop.example/", "user name"),
        ("https://shop.example%2fevil.example/", "host"),
        ("https://shop.example/a\r\nset-cookie: a=b", "white space"),
        ("https://shop.example/a b", "white space"),
        ("java\tscript:alert(1)", "white space"),
        (" https://shop.example/", "white space"),
        ("https://shop.example/\x00", "white space"),
        ("https://shop.example:port/", "no address"),
        ("https://shop.example:99999/", "no address"),
        ("https://[::1/", "no address"),
        ("https://" + "ü" * 70 + ".example/", "no address"),
        ("https://shop.example/" + "a" * URL_CHARACTERS_MAX, "limit"),
    ],
)
def test_what_could_lead_astray_is_refused_with_the_reason(url: str, word: str) -> None:
    """A redirect lends our address to whoever it leads to, so only what is plain is taken."""
    assert word in problem_of(url)


def test_a_location_is_ascii_and_leads_to_the_same_place() -> None:
    """HTTP headers hold nothing else; what was escaped already must not be escaped again."""
    assert location_of("https://a.example/x%20y?q=a+b&c=%7E") == (
        "https://a.example/x%20y?q=a+b&c=%7E"
    )
    assert location_of("https://münchen.example:8443/straße?q=ü%20a#ö") == (
        "https://xn--mnchen-3ya.example:8443/stra%C3%9Fe?q=%C3%BC%20a#%C3%B6"
    )


def test_a_link_keeps_its_name_and_every_difference_makes_another() -> None:
    """Links in messages of last year must still be found, and cards must stay apart."""
    link = Destination("demo", "https://a.example/", "sale", "Sale", 1, 1)
    others = [
        Destination("acme", "https://a.example/", "sale", "Sale", 1, 1),
        Destination("demo", "https://a.example/2", "sale", "Sale", 1, 1),
        Destination("demo", "https://a.example/", "", "Sale", 1, 1),
        Destination("demo", "https://a.example/", "sale", "", 1, 1),
        Destination("demo", "https://a.example/", "sale", "Sale", 2, 1),
        Destination("demo", "https://a.example/", "sale", "Sale", 1, 2),
    ]

    # Written down: it must never change, since links in the world carry it.
    assert link_key(link).hex() == "0c1916c3a570aa79"
    assert len({link_key(link), link_key(link, 1), *map(link_key, others)}) == 8


@pytest.mark.parametrize("ref", ["1", "order 7/ü", "x" * 256, "ü" * 256, UUID, UUID.upper()])
def test_a_token_brings_back_what_was_signed(ref: str) -> None:
    """The message is known from the link alone: nothing is stored for it."""
    keyring = LinkKeyring([OLD])

    token = keyring.sign(KEY, ref)

    assert keyring.verify(token) == (KEY, ref)
    assert token == keyring.sign(KEY, ref)
    assert token.replace("-", "a").replace("_", "a").isalnum()


def test_a_token_is_short_enough_for_an_sms() -> None:
    """A reference that is a UUID takes 16 bytes instead of 36."""
    keyring = LinkKeyring([OLD])

    assert len(keyring.sign(KEY, UUID)) == 48
    assert len(keyring.sign(KEY, "order-4711")) == 40


def test_tokens_outlive_the_change_of_the_signing_key() -> None:
    """Messages lie in inboxes for months; keys are replaced meanwhile."""
    before = LinkKeyring([OLD]).sign(KEY, "ref-1")

    both = LinkKeyring([NEW, OLD])

    assert both.verify(before) == (KEY, "ref-1")
    assert both.sign(KEY, "ref-1") != before
    assert LinkKeyring([NEW]).verify(before) is None
    # Another secret under the known name.
    assert LinkKeyring([SecretKey("a", NEW.secret)]).verify(before) is None


def test_no_character_of_a_token_can_be_changed() -> None:
    """Else anybody could click in the name of another message."""
    keyring = LinkKeyring([OLD])
    token = keyring.sign(KEY, "ref-1")

    for at, character in enumerate(token):
        changed = token[:at] + ("A" if character != "A" else "B") + token[at + 1 :]
        assert keyring.verify(changed) is None
    for text in ("", "A", token[:-1], token + "A", token + "=", f"{token} ", "ü", "A" * 5_000):
        assert keyring.verify(text) is None
    assert LinkKeyring([]).verify(token) is None


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("secret without an id of sixteen", "id:secret"),
        (":a secret of sixteen or more", "id:secret"),
        ("a:short", "16 characters"),
        (f"a:{'x' * 16},a:{'y' * 16}", "twice"),
        (f"{'k' * 16}:{'x' * 16}", "1 to 15"),
    ],
)
def test_keys_that_cannot_be_used_are_named_without_their_secret(text: str, word: str) -> None:
    """Settings are told on stderr, where secrets must not be."""
    with pytest.raises(ValueError) as refused:
        parse_keys(text)

    assert word in str(refused.value)
    assert "short" not in str(refused.value)


def test_keys_are_read_in_their_order() -> None:
    """The first one signs."""
    keys = parse_keys(f" b:{'x' * 16} , a:{'y:' * 8},")

    assert keys == [SecretKey("b", b"x" * 16), SecretKey("a", b"y:" * 8)]
    assert parse_keys("") == []


@pytest.mark.parametrize(
    "agent",
    [
        CHROME,
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 "
        "(KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
        "Mozilla/5.0 (Linux; Android 10; CUBOT X30) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/120.0.0.0 Mobile Safari/537.36",
        "Mozilla/5.0 (Linux; Android 14; Pixel 8; wv) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Version/4.0 Chrome/126.0.0.0 Mobile Safari/537.36 [FB_IAB/FB4A;FBAV/468.0.0.0;]",
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:127.0) Gecko/20100101 Firefox/127.0",
    ],
)
def test_people_with_their_browsers_are_people(agent: str) -> None:
    """A person taken for a machine is a click that the sender does not see."""
    assert click_rule({"user-agent": agent, "accept": "text/html"}) == ""


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        ("WhatsApp/2.23.20.0 A", "crawler-user-agents"),
        ("facebookexternalhit/1.1", "crawler"),
        ("Slackbot-LinkExpanding 1.0", "crawler"),
        ("Twitterbot/1.0", "crawler"),
        ("LinkedInBot/1.0 (compatible; Mozilla/5.0)", "crawler"),
        (f"{CHROME} (compatible; Google-Read-Aloud)", "crawler-user-agents"),
        ("BarracudaCentral Link Protect", "scanner"),
        ("Mozilla/5.0 Proofpoint", "scanner"),
        ("Mimecast-URL-Protect", "scanner"),
        ("Microsoft Office SafeLinks", "scanner"),
        ("curl/8.7.1", "program"),
        ("python-requests/2.32", "program"),
        ("", "no-user-agent"),
        (" ", "no-user-agent"),
    ],
)
def test_machines_are_flagged_by_a_rule_with_a_version(agent: str, name: str) -> None:
    """Old counts stay explicable when the rules move on."""
    rule = click_rule({"user-agent": agent})

    assert rule.rpartition("/")[0] == name
    assert rule.rpartition("/")[2]


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("purpose", "prefetch"),
        ("sec-purpose", "prefetch;prerender"),
        ("x-purpose", "preview"),
        ("x-moz", "Prefetch"),
    ],
)
def test_a_page_that_is_loaded_in_advance_is_no_persons_click(header: str, value: str) -> None:
    """The browser says so itself."""
    assert click_rule({"user-agent": CHROME, header: value}) == "prefetch/1"


def test_a_long_user_agent_costs_no_more_than_a_long_one_should() -> None:
    """Anybody can send one; the door must not stand still for it."""
    assert click_rule({"user-agent": CHROME + " a" * 50_000}) == ""
