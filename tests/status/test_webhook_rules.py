"""What webhooks decide without a wire: addresses, urls, times, signatures."""

import hmac
from base64 import b64decode, b64encode
from hashlib import sha256
from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.testkit import builders
from libs.testkit.clock import ManualClock
from services.status.domain.public_addresses import is_public, is_reachable
from services.status.domain.webhook_schedule import GIVE_UP_S, SECOND_US, next_attempt_us
from services.status.domain.webhook_signing import headers_of, new_secret
from services.status.domain.webhook_urls import UrlProblem, target_of
from services.status.domain.webhooks import letter_of

# https://www.iana.org/assignments/iana-ipv4-special-registry: not globally reachable.
_PRIVATE = [
    ip_network(one)
    for one in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
        "172.16.0.0/12", "192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24",
        "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    )
]  # fmt: skip


@given(st.sampled_from(_PRIVATE), st.integers(0, 2**32 - 1))
def test_no_private_address_is_public_in_any_of_its_clothes(network, number) -> None:  # type: ignore[no-untyped-def]
    """An IPv4 address can be written inside of an IPv6 one; each leads to the same server."""
    inside = IPv4Address(int(network[0]) + number % network.num_addresses)
    carriers = (0xFFFF << 32, 0x64_FF9B << 96, 0)

    assert not is_public(str(inside))
    for carrier in carriers:
        assert not is_public(str(IPv6Address(carrier + int(inside))))
    assert not is_public(str(IPv6Address((0x2002 << 112) + (int(inside) << 80) + 1)))


@pytest.mark.parametrize(
    "address",
    ["::1", "::", "fe80::1%eth0", "fe80::1", "fc00::1", "fd12::1", "fec0::1", "ff02::1",
     "2001:db8::1", "100::1", "64:ff9b:1::7f00:1"],
)  # fmt: skip
def test_local_and_reserved_addresses_of_ipv6_are_not_public(address: str) -> None:
    assert not is_public(address)


def test_what_everybody_reaches_is_public_and_a_closed_network_keeps_metadata_closed() -> None:
    """Clouds give out credentials at link-local addresses, to whoever asks from inside."""
    for address in ("8.8.8.8", "93.184.216.34", "2606:4700::1111", "::ffff:8.8.8.8"):
        assert is_public(address)
    assert is_reachable("10.1.2.3")
    assert is_reachable("127.0.0.1")
    assert not is_reachable("169.254.169.254")
    assert not is_reachable("::ffff:169.254.169.254")
    assert not is_reachable("fe80::1")


@pytest.mark.parametrize(
    "url",
    ["http://example.com/", "ftp://example.com/", "https://", "https://u:p@example.com/",
     "https://example.com:22/", "https://example.com:99999/", "https://example.com/#there",
     "https://exa mple.com/", "https://b\u00fccher.example/", "https://[::1", "//example.com/",
     "https://example.com/" + "a" * 2_048, "https://example.com/\r\nX: y"],
)  # fmt: skip
def test_addresses_that_no_webhook_may_have(url: str) -> None:
    with pytest.raises(UrlProblem):
        target_of(url, is_closed=False)


def test_an_address_leads_to_host_port_and_path() -> None:
    target = target_of("https://Example.com:8443/in?a=b", is_closed=False)
    assert (target.host, target.port, target.path) == ("example.com", 8443, "/in?a=b")
    assert target.authority == "Example.com:8443"
    assert target_of("http://[::1]:5000", is_closed=True).host == "::1"


def test_pauses_grow_to_hours_and_end_with_the_day() -> None:
    """Nobody is asked every second all day, and the last word is a day after the first."""
    clock = ManualClock()
    first_us = clock.now_us()
    pauses, count = [], 1
    while (
        due_us := next_attempt_us(count, first_us, clock.now_us(), chance=lambda: 0.5)
    ) is not None:
        pauses.append(due_us - clock.now_us())
        clock.set(due_us)
        count += 1

    assert clock.now_us() == first_us + GIVE_UP_S * SECOND_US
    assert 10 <= count <= 20
    assert pauses[:-1] == sorted(pauses[:-1])
    assert pauses[0] < 10 * SECOND_US < 3_600 * SECOND_US < max(pauses)


@given(st.integers(1, 100), st.floats(0, 1), st.floats(0, 200_000), st.integers(0, 86_399))
def test_no_attempt_is_sooner_than_asked_for_or_behind_the_day(
    count: int, chance: float, retry_after_s: float, age_s: int
) -> None:
    now_us = age_s * SECOND_US
    due_us = next_attempt_us(count, 0, now_us, retry_after_s, chance=lambda: chance)
    assert due_us is not None
    end_us = GIVE_UP_S * SECOND_US
    assert min(now_us + int(retry_after_s * SECOND_US), end_us) <= due_us + 1
    assert now_us < due_us <= end_us


def test_the_example_of_the_standard_is_signed_as_it_says() -> None:
    """https://github.com/standard-webhooks/standard-webhooks: the vector of its libraries."""
    secret, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}'
    headers = dict(headers_of("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body, [secret]))
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert headers["webhook-timestamp"] == "1614265330"


def test_each_secret_signs_and_no_two_are_the_same() -> None:
    secrets = [new_secret(), new_secret()]
    assert secrets[0] != secrets[1]
    headers = dict(headers_of("chg_1", 7, b"{}", secrets))
    expected = [
        "v1," + b64encode(hmac.new(b64decode(s[6:]), b"chg_1.7.{}", sha256).digest()).decode()
        for s in secrets
    ]
    assert headers["webhook-signature"].split(" ") == expected


def test_the_id_is_that_of_the_change_and_has_no_full_stop() -> None:
    """Parts and versions of one message are told apart; the same change is always the same."""
    changes = [
        builders.a_change(version=version, part=part, provider_message_id=f"wamid.{number}")
        for version in (1, 2) for part in (0, 1) for number in (1, 2)
    ]  # fmt: skip
    ids = [letter_of(change).webhook_id for change in changes]
    assert len(set(ids)) == len(changes)
    assert ids == [letter_of(change).webhook_id for change in changes]
    assert not any("." in one for one in ids)
