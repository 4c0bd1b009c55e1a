"""The streams: made where they are missing, changed to what the settings say, watched from then on.

A stream must never forget what it acknowledged: limits retention, and a full stream says no.
"""

import asyncio
from collections.abc import Iterable
from enum import Enum
from typing import Any, Final

import nats.errors
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig, StreamInfo
from nats.js.errors import APIError, NotFoundError
from nats.js.errors import Error as JetStreamError

from libs.runtime import logs, measures
from libs.runtime.broker_checks import BrokerUnsuitable
from libs.runtime.settings import RuntimeSettings

_log = logs.get_logger()

EVENTS_STREAM: Final = "EVENTS"
CHANGES_STREAM: Final = "CHANGES"
SET_ASIDE_STREAM: Final = "SET_ASIDE"
CHECKPOINTS_STREAM: Final = "CHECKPOINTS"
# A lane only spreads load over streams at size; one lane is the default and nothing depends on it.
EVENTS_SUBJECT: Final = "bluetick.events.v1.0"
EVENTS_SUBJECTS: Final = "bluetick.events.v1.>"
CHANGES_SUBJECTS: Final = "bluetick.changes.v1.>"
SET_ASIDE_SUBJECT: Final = "bluetick.set_aside.v1"
CHECKPOINTS_SUBJECT: Final = "bluetick.checkpoints.v1"
# One small message a consumer.
_CHECKPOINTS_BYTES_MAX: Final = 16 * 1024 * 1024

# From here on the operator has to act; there is time left.
FILL_WARNING: Final = 0.8

_LOOK_EVERY_S: Final = 5.0
_RETRY_S: Final = 0.5
_NAME_IN_USE: Final = 10058
# What can be changed while the stream lives, and what only tells that it is not ours.
_CHANGEABLE: Final = ("subjects", "max_age", "max_bytes", "num_replicas", "allow_atomic")
_FIXED: Final = ("retention", "discard", "storage")


def changes_subject(tenant_id: str, state: str) -> str:
    """Return the subject of changes into ``state`` (lower case: ``delivered``)."""
    return f"bluetick.changes.v1.{tenant_id}.{state}"


def wanted_streams(settings: RuntimeSettings) -> list[StreamConfig]:
    """Return the streams as the settings want them."""

    def stream(name: str, subjects: str, hours: int, bytes_max: int) -> StreamConfig:
        return StreamConfig(
            name=name,
            subjects=[subjects],
            retention=RetentionPolicy.LIMITS,
            # A full stream must say no: with "old" it would delete what was acknowledged.
            discard=DiscardPolicy.NEW,
            storage=StorageType.FILE,
            max_age=hours * 3600.0,
            max_bytes=bytes_max,
            num_replicas=settings.nats_replicas,
            duplicate_window=120.0,
            allow_atomic=name == CHANGES_STREAM,
            allow_direct=False,
            # Of checkpoints, the last one of each consumer.
            max_msgs_per_subject=1 if name == CHECKPOINTS_STREAM else -1,
        )

    return [
        stream(EVENTS_STREAM, EVENTS_SUBJECTS, settings.events_retention_h,
               settings.events_bytes_max),
        stream(CHANGES_STREAM, CHANGES_SUBJECTS, settings.changes_retention_h,
               settings.changes_bytes_max),
        # Kept until somebody puts it back: no age.
        stream(SET_ASIDE_STREAM, f"{SET_ASIDE_SUBJECT}.>", 0, settings.set_aside_bytes_max),
        stream(CHECKPOINTS_STREAM, f"{CHECKPOINTS_SUBJECT}.>", 0, _CHECKPOINTS_BYTES_MAX),
    ]  # fmt: skip


class Streams:
    """All streams of this installation."""

    def __init__(self, jetstream: JetStreamContext, settings: RuntimeSettings) -> None:
        self._jetstream = jetstream
        self._wanted = wanted_streams(settings)
        self._faults: dict[str, str] = {}
        self._filling: set[str] = set()

    @property
    def fault(self) -> str:
        """What is wrong with a stream; empty if nothing. For readiness."""
        return "; ".join(fault for _, fault in sorted(self._faults.items()))

    async def ensure(self) -> None:
        """Return when all are there as the settings want them. Waits for a broker that is away.

        Raises:
            BrokerUnsuitable: the broker refuses a stream, or one of that name is another's or could
                lose data; the text names the difference.
        """
        for wanted in self._wanted:
            while True:
                try:
                    await self._ensure(wanted)
                    break
                except APIError as error:
                    if not _is_passing(error):
                        raise BrokerUnsuitable(_refusal(wanted, error)) from error
                    _log.warning("stream.unreachable", stream=wanted.name, error=str(error))
                except (JetStreamError, nats.errors.Error, OSError) as error:
                    _log.warning("stream.unreachable", stream=wanted.name, error=str(error))
                await asyncio.sleep(_RETRY_S)

    async def watch(self, stopping: asyncio.Event) -> None:
        """Measure the streams, and make again what vanished, until ``stopping``."""
        while not stopping.is_set():
            for wanted in self._wanted:
                await self._look(wanted)
            try:
                await asyncio.wait_for(stopping.wait(), _LOOK_EVERY_S if not self._faults else 1.0)
            except TimeoutError:
                continue

    async def _ensure(self, wanted: StreamConfig) -> None:
        name = wanted.name or ""
        try:
            found = await self._jetstream.stream_info(name)
        except NotFoundError:
            await self._make(wanted)
            found = await self._jetstream.stream_info(name)
        await self._adapt(found, wanted)

    async def _make(self, wanted: StreamConfig) -> None:
        name = wanted.name or ""
        try:
            await self._jetstream.add_stream(wanted)
        except APIError as error:
            if error.err_code != _NAME_IN_USE:
                raise
            # Another replica was faster, with other settings; they are compared next.
            _log.info("stream.creation_lost", stream=name)
            return
        measures.STREAM_MADE.labels(name).inc()
        _log.info("stream.made", stream=name, bytes_max=wanted.max_bytes)

    async def _adapt(self, info: StreamInfo, wanted: StreamConfig) -> None:
        found, name = info.config, wanted.name or ""
        if fixed := _differences(found, wanted, _FIXED):
            raise BrokerUnsuitable(
                f"Stream {name} exists with {', '.join(fixed)}, or acknowledged data may be "
                "deleted. Move its content to a stream made anew."
            )
        changed = _differences(found, wanted, _CHANGEABLE)
        if not changed:
            return
        if wanted.max_bytes and 0 < wanted.max_bytes < info.state.bytes:
            raise BrokerUnsuitable(
                f"Stream {name} holds {info.state.bytes:,} bytes; to shrink it to "
                f"{wanted.max_bytes:,} would delete some. Raise BLUETICK_{name}_BYTES_MAX."
            )
        for field in _CHANGEABLE:
            setattr(found, field, getattr(wanted, field))
        await self._jetstream.update_stream(found)
        _log.warning("stream.changed", stream=name, changed=changed)

    async def _look(self, wanted: StreamConfig) -> None:
        name = wanted.name or ""
        try:
            info = await self._jetstream.stream_info(name)
        except NotFoundError:
            _log.error("stream.vanished", stream=name)
            try:
                await self._make(wanted)
            except (JetStreamError, nats.errors.Error, OSError) as error:
                self._faults[name] = f"stream {name} is gone and cannot be made again: {error}"
            return
        except (JetStreamError, nats.errors.Error, OSError) as error:
            self._faults[name] = f"stream {name} does not answer: {type(error).__name__}"
            return
        self._faults.pop(name, None)
        self._measure(name, info)

    def _measure(self, name: str, info: StreamInfo) -> None:
        bytes_max = info.config.max_bytes or 0
        fill = info.state.bytes / bytes_max if bytes_max > 0 else 0.0
        measures.STREAM_BYTES.labels(name).set(info.state.bytes)
        measures.STREAM_FILL.labels(name).set(fill)
        if fill < FILL_WARNING:
            self._filling.discard(name)
        elif name not in self._filling:
            self._filling.add(name)
            _log.warning("stream.filling", stream=name, fill=round(fill, 3), bytes_max=bytes_max)


def _differences(found: StreamConfig, wanted: StreamConfig, fields: Iterable[str]) -> list[str]:
    told = []
    for field in fields:
        has, needs = _plain(getattr(found, field)), _plain(getattr(wanted, field))
        if has != needs:
            told.append(f"{field} {has} where {needs} is needed")
    return told


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    return sorted(value) if isinstance(value, list) else value or 0


def _is_passing(error: APIError) -> bool:
    """Return whether waiting helps: a cluster without a leader, a server that is starting."""
    # 10047: no room for what the stream may hold, and 10074: too few servers for its replicas. Both
    # come with code 503 or 400, and both only end when somebody changes a setting.
    return error.code == 503 and error.err_code not in (10047, 10074, 10023)


def _refusal(wanted: StreamConfig, error: APIError) -> str:
    return (
        f"The broker refuses stream {wanted.name} ({wanted.max_bytes:,} bytes, "
        f"{wanted.num_replicas} replicas): {error.description} ({error.err_code}). Change "
        f"BLUETICK_{wanted.name}_BYTES_MAX or BLUETICK_NATS_REPLICAS, or the broker's limits."
    )
