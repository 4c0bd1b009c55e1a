"""What every provider that signs must keep to, written once and inherited by each one's test.

A provider's test subclasses ``SignedProviderSuite`` under a name that starts with ``Test``, says
how its provider signs (``signed``) and whom it signs for (``account``), and inherits the claims.
Where a scheme covers less than the raw body, the class says so, and the claim changes with it.
"""

from typing import ClassVar, cast

import msgspec

from libs.runtime.accounts import Account
from services.ingest.domain.reading import Reading
from services.ingest.providers.provider import Authentic, Callback, Provider, Refused

NOW_S = 1_785_900_000
NOW_US = NOW_S * 1_000_000
AGE_S_MAX = 300


class SignedProviderSuite:
    """The security claims. Not collected by itself: its name does not start with ``Test``."""

    provider: ClassVar[Provider]
    # Lower-case header that carries the signature; empty if the body carries it.
    signature_header: ClassVar[str]
    # Purpose of the secret in the account.
    secret_name: ClassVar[str]
    # The signature covers what the body says; Mailgun's covers a time and a token only.
    is_body_signed: ClassVar[bool] = True
    # The signature covers the raw bytes; else what they decode to, as Twilio's does.
    is_encoding_signed: ClassVar[bool] = True
    # The signed text holds a time, so that an old callback can be told.
    is_time_signed: ClassVar[bool] = False
    # The signature covers the address that was called.
    is_address_signed: ClassVar[bool] = False

    def account(self) -> Account:
        """An account with at least two live secrets of the purpose ``secret_name``."""
        raise AssertionError("each provider's suite says whose account it is")

    def signed(
        self, body: bytes | None = None, *, secret_index: int = 0, at_us: int = NOW_US
    ) -> Callback:
        """A callback that the provider signed over ``body`` (None: a typical one) at ``at_us``.

        ``receive_time_us`` is always ``NOW_US``. A scheme with signatures inside the body may
        add them to ``body``.
        """
        raise AssertionError("each provider's suite says how it signs")

    def tampered(self, callback: Callback) -> Callback:
        """The same callback telling something else."""
        if callback.method == "GET":
            query = callback.query.replace("delivered", "read").replace("sent", "read")
            assert query != callback.query
            url = callback.external_url.split("?")[0]
            return _changed(callback, query=query, external_url=f"{url}?{query}")
        body = _another_digit(callback.body)
        return _changed(callback, body=body)

    def reencoded(self, callback: Callback) -> Callback:
        """The same callback with the same meaning in other bytes; here for JSON."""
        again = msgspec.json.format(
            msgspec.json.encode(msgspec.json.decode(callback.body)), indent=3
        )
        assert again != callback.body
        return _changed(callback, body=again)

    def forged(self, callback: Callback) -> Callback:
        """The callback with a signature of the right form that nobody made."""
        given = callback.headers[self.signature_header]
        middle = len(given) // 2
        other = "A" if given[middle] != "A" else "B"
        forged = given[:middle] + other + given[middle + 1 :]
        return _changed(callback, headers={**callback.headers, self.signature_header: forged})

    def unsigned(self, callback: Callback) -> Callback:
        """The callback without its signature."""
        headers = {
            name: value for name, value in callback.headers.items() if name != self.signature_header
        }
        return _changed(callback, headers=headers)

    def test_a_signed_callback_is_taken_and_read(self) -> None:
        """The rest of this suite would pass with a door that is shut."""
        callback = self.signed()

        assert self.verdict(callback) == Authentic()
        assert isinstance(self.provider.parse(callback, self.account()), Reading)

    def test_any_live_secret_proves_a_callback(self) -> None:
        """While a secret is rotated, callbacks signed with either come in."""
        for index in range(len(self.account().secrets[self.secret_name])):
            assert self.verdict(self.signed(secret_index=index)) == Authentic()

    def test_a_callback_without_a_signature_is_refused(self) -> None:
        """Anybody can post."""
        self.is_refused(self.unsigned(self.signed()))

    def test_a_callback_with_another_signature_is_refused(self) -> None:
        """Anybody can write a header."""
        self.is_refused(self.forged(self.signed()))

    def test_an_odd_signature_is_refused_and_breaks_nothing(self) -> None:
        """Headers are bytes of a stranger, decoded as Latin-1."""
        if not self.signature_header:
            return
        callback = self.signed()
        for odd in ("", " ", "é", "=" * 100_000, "a.b.c", "Bearer", "Bearer .", "\x00"):
            headers = {**callback.headers, self.signature_header: odd}
            self.is_refused(_changed(callback, headers=headers))

    def test_a_body_that_was_changed_on_the_way_is_refused(self) -> None:
        """Whoever reads a callback could otherwise write another one."""
        verdict = self.verdict(self.tampered(self.signed()))

        assert isinstance(verdict, Refused) == self.is_body_signed

    def test_the_raw_bytes_are_signed_and_not_what_they_mean(self) -> None:
        """Decoding and encoding again must never happen before the signature is checked."""
        verdict = self.verdict(self.reencoded(self.signed()))

        is_covered = self.is_body_signed and self.is_encoding_signed
        assert isinstance(verdict, Refused) == is_covered

    def test_the_signature_of_one_address_opens_no_other(self) -> None:
        """A callback for one account must not count for another one."""
        callback = self.signed()
        url = callback.external_url.replace("acct_1", "acct_2")
        assert url != callback.external_url

        verdict = self.verdict(_changed(callback, external_url=url))

        assert isinstance(verdict, Refused) == self.is_address_signed

    def test_an_old_callback_is_refused_if_an_age_is_set(self) -> None:
        """A callback that was overheard cannot be played for ever."""
        old = _limited(self.signed(at_us=NOW_US - (AGE_S_MAX + 1) * 1_000_000))
        young = _limited(self.signed(at_us=NOW_US - (AGE_S_MAX - 1) * 1_000_000))
        ahead = _limited(self.signed(at_us=NOW_US + (AGE_S_MAX + 1) * 1_000_000))

        assert self.verdict(young) == Authentic()
        if self.is_time_signed:
            self.is_refused(old)
            self.is_refused(ahead)
        else:
            assert self.verdict(old) == Authentic()

    def test_any_age_is_taken_if_none_is_set(self) -> None:
        """A queue that stood still for a day must be able to empty itself."""
        assert self.verdict(self.signed(at_us=NOW_US - 86_400_000_000)) == Authentic()

    def test_an_account_without_a_secret_asks_to_try_again(self) -> None:
        """It is our own trouble, and an empty secret is one that anybody has."""
        for secrets in ({}, {self.secret_name: []}, {self.secret_name: [""]}):
            account = msgspec.structs.replace(self.account(), secrets=secrets)
            verdict = self.provider.authenticate(self.signed(), account)
            assert verdict == Refused("SECRET_NOT_CONFIGURED", 503)

    def verdict(self, callback: Callback) -> Authentic | Refused:
        """What the provider's dialect says of a callback."""
        return self.provider.authenticate(callback, self.account())

    def is_refused(self, callback: Callback) -> None:
        """Claim that a callback is turned away, and that its reason names no secret."""
        verdict = self.verdict(callback)
        assert isinstance(verdict, Refused)
        assert verdict.http_status == 401
        assert verdict.reason.isupper()


def _changed(callback: Callback, **fields: object) -> Callback:
    return cast(Callback, msgspec.structs.replace(callback, **fields))


def _limited(callback: Callback) -> Callback:
    return _changed(callback, signature_age_s_max=AGE_S_MAX)


def _another_digit(body: bytes) -> bytes:
    """Return ``body`` with its last digit changed, so that it stays of its form."""
    place = max(body.rfind(digit) for digit in b"0123456789")
    assert place >= 0
    return body[:place] + (b"1" if body[place : place + 1] != b"1" else b"2") + body[place + 1 :]
