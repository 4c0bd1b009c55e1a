"""Looks at the broker: does it lose nothing, has it room, does somebody work on what it holds."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from urllib.parse import urlsplit

import nats
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import ConsumerInfo, DiscardPolicy, RetentionPolicy, StreamInfo
from nats.js.errors import Error as JetStreamError
from nats.js.errors import NotFoundError

from libs.cli.doctor_signs import Sign, Signs
from libs.runtime.broker import CHANGES_STREAM, EVENTS_STREAM, SET_ASIDE_STREAM
from libs.runtime.broker_checks import BrokerUnsuitable, check_durability
from libs.runtime.settings import RuntimeSettings

_CONNECT_S = 3
# Stream -> its work, which every message must go through.
_WORKERS = {EVENTS_STREAM: "status", CHANGES_STREAM: "analytics"}
_FILL_ODD = 0.80
_FILL_WRONG = 0.95
_WAITING_ODD = 10_000
# A service asks for work all the time, but for a moment between two requests.
_LOOKS = 5
_LOOK_EVERY_S = 0.3


async def broker_signs(settings: RuntimeSettings) -> list[Sign]:
    """Look at the broker, its streams and who consumes them."""
    signs = Signs("broker")
    address = urlsplit(settings.nats_url)
    place = f"{address.hostname}:{address.port or 4222}"
    client = Client()
    try:
        async with asyncio.timeout(_CONNECT_S):
            await client.connect(
                settings.nats_url,
                connect_timeout=_CONNECT_S,
                max_reconnect_attempts=1,
                reconnect_time_wait=0.1,  # type: ignore[arg-type]
                allow_reconnect=False,
                # Without a handler the client prints what goes wrong.
                error_cb=_ignore,
            )
    except (nats.errors.Error, OSError, TimeoutError) as error:
        signs.wrong(
            "connection",
            f"{place} does not answer ({type(error).__name__}).",
            "Start NATS, or set BLUETICK_NATS_URL. `bluetick up` brings its own.",
        )
        return signs.found
    signs.fine("connection", f"{place} answers")
    try:
        await asyncio.to_thread(_look_at_durability, signs, settings)
        await asyncio.to_thread(_look_at_health, signs, settings.nats_monitor_url)
        jetstream = client.jetstream(timeout=_CONNECT_S)
        for stream, worker in _WORKERS.items():
            await _look_at_stream(signs, jetstream, stream, worker)
        await _look_at_what_was_set_aside(signs, jetstream)
    finally:
        await client.close()
    return signs.found


async def _ignore(error: Exception) -> None:
    """What matters is raised as well."""


def _look_at_durability(signs: Signs, settings: RuntimeSettings) -> None:
    if settings.nats_allow_lazy_sync:
        signs.odd(
            "durability",
            "It may acknowledge before it syncs to disk, as BLUETICK_NATS_ALLOW_LAZY_SYNC allows.",
            "Set `sync_interval: always` in NATS and take the permission back.",
        )
    elif not settings.nats_monitor_url:
        signs.odd(
            "durability",
            "It is not known whether it syncs before it acknowledges.",
            "Set BLUETICK_NATS_MONITOR_URL (http://host:8222), and `http_port` in NATS.",
        )
    else:
        try:
            check_durability(settings)
            signs.fine("durability", "syncs to disk before it acknowledges")
        except BrokerUnsuitable as problem:
            signs.wrong("durability", str(problem), "Set `sync_interval: always` in NATS.")


def _look_at_health(signs: Signs, monitor_url: str) -> None:
    """A stream whose disk was full refuses for ever, and tells its health page alone."""
    if not monitor_url:
        return
    try:
        with urllib.request.urlopen(f"{monitor_url}/healthz", timeout=_CONNECT_S):  # noqa: S310
            signs.fine("health", "it says that it is well")
    except urllib.error.HTTPError as error:
        signs.wrong(
            "health",
            f"It says: {_problem_of(error)}.",
            "If a disk was full: make room, then restart NATS, since it does not try again by "
            "itself. `bluetick up` does that for its own.",
        )
    except (OSError, ValueError) as error:
        signs.odd(
            "health",
            f"Its monitoring port does not answer ({type(error).__name__}).",
            "Mend BLUETICK_NATS_MONITOR_URL, or `http_port` in NATS.",
        )


def _problem_of(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.loads(error.read(4096))["error"])[:300]
    except (ValueError, KeyError, TypeError):
        return f"status {error.code}"


async def _look_at_what_was_set_aside(signs: Signs, jetstream: JetStreamContext) -> None:
    subject = f"stream {SET_ASIDE_STREAM}"
    try:
        found = await jetstream.stream_info(SET_ASIDE_STREAM)
    except NotFoundError:
        signs.wrong(subject, "It is not there.", "Start any service: each makes it.")
        return
    except (JetStreamError, nats.errors.Error, TimeoutError):
        return  # told of the other streams already
    _look_at_room(signs, subject, found)
    if found.state.messages:
        signs.wrong(
            "set aside",
            f"{found.state.messages:,} broker messages that nobody could handle wait here; what is "
            "in them counts nowhere.",
            "The log's `message.set_aside` names the cause. Mend it, or update, then "
            "`bluetick replay --set-aside`.",
        )


async def _look_at_stream(
    signs: Signs, jetstream: JetStreamContext, stream: str, worker: str
) -> None:
    subject = f"stream {stream}"
    try:
        found = await jetstream.stream_info(stream)
        _look_at_room(signs, subject, found)
        consumer = await _worker(jetstream, stream, worker)
    except NotFoundError:
        signs.wrong(subject, "It is not there.", "Start ingest or status: they make it.")
    except (JetStreamError, nats.errors.Error, TimeoutError) as error:
        signs.wrong(
            subject, f"JetStream does not answer ({error}).", "Switch `jetstream` on in NATS."
        )
    else:
        _look_at_worker(signs, worker, consumer)


def _look_at_room(signs: Signs, subject: str, found: StreamInfo) -> None:
    config, state = found.config, found.state
    if config.discard != DiscardPolicy.NEW or config.retention != RetentionPolicy.LIMITS:
        signs.wrong(
            subject,
            f"Its retention is {config.retention} and its discard {config.discard}: it may delete "
            "what it acknowledged.",
            f"Edit it: `nats stream edit {config.name} --discard=new`, retention limits.",
        )
    room = config.max_bytes or -1
    fill = state.bytes / room if room > 0 else 0.0
    says = f"{state.messages:,} messages, {state.bytes / 1024**2:,.1f} MiB"
    if room > 0:
        says += f", {fill:.0%} full"
    cure = (
        f"Raise BLUETICK_{config.name}_BYTES_MAX and restart, or lower the hours of retention; "
        "a full stream refuses, and doors answer 503."
    )
    if fill >= _FILL_WRONG:
        signs.wrong(subject, says, cure)
    elif fill >= _FILL_ODD:
        signs.odd(subject, says, cure)
    else:
        signs.fine(subject, says)


async def _worker(jetstream: JetStreamContext, stream: str, worker: str) -> ConsumerInfo | None:
    """Return the worker's consumer, if possible at a moment when it asks for work."""
    found: ConsumerInfo | None = None
    for _ in range(_LOOKS):
        try:
            found = await jetstream.consumer_info(stream, worker)
        except NotFoundError:
            return None
        if found.num_waiting:
            return found
        await asyncio.sleep(_LOOK_EVERY_S)
    return found


def _look_at_worker(signs: Signs, worker: str, found: ConsumerInfo | None) -> None:
    start = f"Start {worker} (`bluetick {worker}`), or see its log and its /readyz."
    if found is None:
        signs.wrong(worker, "It never ran: it has no consumer.", start)
        return
    waiting = (found.num_pending or 0) + (found.num_ack_pending or 0)
    says = f"{waiting:,} broker messages wait for it"
    if not found.num_waiting and not found.num_ack_pending:
        signs.wrong(worker, f"It does not ask for work; {says}.", start)
    elif waiting > _WAITING_ODD:
        signs.odd(worker, f"{says}.", f"Add replicas of {worker}, or look at its database.")
    else:
        signs.fine(worker, f"at work, {says}" if waiting else "at work, nothing waits")
