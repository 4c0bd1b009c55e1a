"""Take one callback of a provider: prove it, read it, store it, answer it."""

from collections.abc import Callable
from functools import cache
from typing import Final, Protocol

import msgspec
from bluetick.v1.event_pb2 import CALLBACK_PROOF_UNSPECIFIED, EventBatch

from libs.runtime import logs
from libs.runtime.accounts import Account
from libs.runtime.quick_metrics import Count, QuickCounter
from services.ingest.count_unmapped import count_unmapped
from services.ingest.domain.bloated_events import TEXT_BYTES_MAX, set_bloated_aside
from services.ingest.domain.packed_events import PackedEvents
from services.ingest.domain.reading import Reading
from services.ingest.domain.used_tokens import UsedTokens
from services.ingest.log_events import LogEvent
from services.ingest.own_links import tell_own_links
from services.ingest.providers.bodies import empty_reading
from services.ingest.providers.decoding import without_mark
from services.ingest.providers.provider import (
    Answer,
    Callback,
    Provider,
    Refused,
    SignsTokens,
)
from services.ingest.tell_words import tell_words

_log = logs.get_logger()
_events = QuickCounter("ingest_events_total", "Events read from callbacks", ("provider",))
_quarantined = QuickCounter(
    "ingest_quarantined_total", "Parts of callbacks that could not be read", ("provider",)
)


Parse = Callable[[Callback, Account], Reading | Refused]
ReadCallback = Callable[[Callback, Account, Provider], Answer | Refused | Reading]
TOKEN_USED: Final = Refused(
    "TOKEN_USED_BEFORE",
    401,
    "The signature covers a token only, and that came with another body before: somebody repeats a "
    "signature that they have seen. Change the account's signing key.",
)
DISABLED: Final = Refused(
    "ACCOUNT_DISABLED",
    503,
    "The account is disabled; the provider repeats its callbacks until it is enabled again "
    "(`bluetick accounts enable`), or gives up.",
)
SEALED: Final = Refused(
    "ACCOUNT_SEALED",
    503,
    "A secret of the account is sealed with a key that BLUETICK_ACCOUNT_KEYS of ingest does not "
    "name: give it that key again, or put the account anew.",
)
_tokens = UsedTokens()


class EventSink(Protocol):
    """Where events go."""

    async def submit(self, batch: EventBatch | None, packed: PackedEvents | None = None) -> None:
        """Return when everything in both is on the broker's disk.

        Raises:
            BrokerUnavailable: it may or may not be stored; the caller must not say that it is.
        """


class DoorBook(Protocol):
    """Where it is noted what goes through the doors."""

    def took(self, account: Account, receive_time_us: int, occur_time_us: int) -> None:
        """Note a callback that is stored; ``occur_time_us`` is 0 if it told no time."""

    def refused(
        self, account: Account, reason: str = "", cure: str = "", *, is_unproven: bool = True
    ) -> None:
        """Note a refused request; most are because nothing proved it to be the provider's."""


async def record_callback(
    callback: Callback,
    account: Account,
    provider: Provider,
    events: EventSink,
    doors: DoorBook | None = None,
    *,
    read: ReadCallback | None = None,
) -> Answer | Refused:
    """Answer one callback; an answer of 200 means that all of it is durable.

    A repeat is stored again: whoever applies events does not mind, and looking for repeats here
    would only add a second truth.

    ``read`` stands for ``read_callback``, where somebody measures what that costs.

    Raises:
        BrokerUnavailable: not stored for sure; the provider must be told to try again.
    """
    outcome = (read or read_callback)(callback, account, provider)
    if not isinstance(outcome, Reading):
        return outcome
    if outcome.packed is not None and outcome.packed.count:
        await events.submit(None if outcome.is_all_packed else outcome.batch, outcome.packed)
    elif not outcome.is_empty:
        await events.submit(outcome.batch)
    return note_stored(outcome, account, provider, doors)


def note_stored(
    reading: Reading, account: Account, provider: Provider, doors: DoorBook | None = None
) -> Answer:
    """Count what is durable by now, and return what the provider hears."""
    counted_events, counted_quarantined = _counters(provider.name)
    counted_events.value += reading.event_count
    # What is packed is plain: no failure, and nothing that could not be read.
    if not reading.is_all_packed:
        counted_quarantined.value += len(reading.batch.quarantined)
        count_unmapped(reading.batch.events)
    if doors is not None:
        doors.took(account, reading.receive_time_us, _told_us(reading))
    return answer_to(reading, provider)


def _told_us(reading: Reading) -> int:
    """Return the provider's time of one of the events; 0: it told none."""
    if reading.packed is not None and (reading.is_all_packed or not reading.batch.events):
        return reading.packed.last_time_us
    if not reading.batch.events:
        return 0
    last = reading.batch.events[-1]
    return 0 if last.is_time_clamped or last.is_time_untold else last.occur_time_us


def answer_to(reading: Reading, provider: Provider) -> Answer:
    """Return what the provider hears when all of ``reading`` is durable."""
    if reading.answer_body is None:
        return provider.answer
    is_json = reading.answer_body.startswith(b"{")
    content_type = "application/json" if is_json else provider.answer.content_type
    return Answer(body=reading.answer_body, content_type=content_type)


def read_callback(
    callback: Callback, account: Account, provider: Provider, parse: Parse | None = None
) -> Answer | Refused | Reading:
    """Say what a callback is, storing nothing: a hand-shake's answer, a refusal, or its events.

    ``parse`` is what reads an authentic one; without it, the provider's own.
    """
    if account.is_disabled or account.is_sealed:
        return DISABLED if account.is_disabled else SEALED
    greeting = provider.handshake(callback, account)
    if greeting is not None:
        return greeting
    verdict = provider.authenticate(callback, account)
    if isinstance(verdict, Refused):
        return verdict
    if provider.signs_tokens and _is_used(callback, account, provider):
        return TOKEN_USED
    return read_authentic(callback, account, provider, parse, proof=verdict.proof)


def read_authentic(
    callback: Callback,
    account: Account,
    provider: Provider,
    parse: Parse | None = None,
    *,
    proof: int = CALLBACK_PROOF_UNSPECIFIED,
) -> Refused | Reading:
    """Say what a callback says that is known to be the provider's by ``proof``, storing nothing."""
    if callback.body[:1] == b"\xef":
        callback = msgspec.structs.replace(callback, body=without_mark(callback.body))
    reading = _parse(callback, account, parse or provider.parse)
    if isinstance(reading, Reading):
        reading.prove(proof)
        # What is packed holds no link and no long text, and is never set aside.
        if reading.is_all_packed:
            return reading
        if account.words:
            tell_words(reading, account.words)
        if callback.link_keys:
            tell_own_links(reading.batch.events, callback.link_keys)
        if len(callback.body) > TEXT_BYTES_MAX:
            set_bloated_aside(reading, callback.body)
        for part in reading.batch.quarantined:
            part.method = callback.method
            part.query = _storable(callback.query)
            part.content_type = _storable(callback.headers.get("content-type", ""))[:256]
    return reading


def _parse(callback: Callback, account: Account, parse: Parse) -> Reading | Refused:
    try:
        return parse(callback, account)
    except Exception as error:
        # A bug of ours. What is authentic is kept until the bug is mended, and then replayed: a
        # provider that is told to try again gives up after some days.
        crashed: LogEvent = "callback.parser_crashed"
        _log.error(crashed, provider=account.provider, exc_info=error)
        reading = empty_reading(callback, account)
        reading.quarantine("PARSER_CRASHED", type(error).__name__, callback.body, is_part=False)
        return reading


def _is_used(callback: Callback, account: Account, provider: Provider) -> bool:
    """Say whether another body came with the same token; what is only tried out uses none up."""
    assert isinstance(provider, SignsTokens)
    token = provider.used_once(callback)
    if not token:
        return False
    name = f"{account.provider}/{account.account}/{token}"
    return _tokens.is_used(
        name, callback.body, callback.receive_time_us, is_kept=not callback.is_trial
    )


@cache
def _counters(provider: str) -> tuple[Count, Count]:
    return _events.of(provider), _quarantined.of(provider)


def _storable(text: str) -> str:
    """Return header or query text without what a text column cannot hold."""
    return text.replace("\x00", "").encode(errors="replace").decode()
