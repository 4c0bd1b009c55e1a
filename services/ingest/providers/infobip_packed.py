"""Infobip's plain reports, packed: accepted, pending, delivered, and nothing about them to explain.

What is not plain is read by `infobip_results.py`, item by item, from the same bytes.
"""

from functools import lru_cache, partial
from typing import Any, Final

import msgspec
from bluetick.v1.common_pb2 import (
    CHANNEL_SMS,
    CHANNEL_UNSPECIFIED,
    EVENT_KIND_QUEUED,
    EVENT_KIND_SENT,
)
from bluetick.v1.event_pb2 import Event
from msgspec import Raw

from libs.runtime.accounts import Account
from libs.runtime.message_ids import is_canonical
from services.ingest.domain.addresses import from_digits
from services.ingest.domain.fields import IDENTITY_CHARACTERS_MAX, WORD_CHARACTERS_MAX
from services.ingest.domain.packed_events import message_ref
from services.ingest.domain.prices import set_price
from services.ingest.domain.reading import Reading
from services.ingest.domain.times import EARLIEST_US, iso_us
from services.ingest.providers.bodies import PARTS_MAX, empty_reading, may_hold_nul, read_item
from services.ingest.providers.decoding import UNREADABLE, check_density
from services.ingest.providers.failures import STAGE_BY_KIND
from services.ingest.providers.infobip_results import (
    CHANNELS,
    GROUP_BY_ID,
    KIND_BY_GROUP,
    SENT_NAMES,
    SENT_SO_FAR,
    add_result,
    price_of_all,
)
from services.ingest.providers.provider import Callback

_KEPT: Final = 4_096


class _Status(msgspec.Struct, gc=False):
    groupName: str = ""
    groupId: int | str = ""
    name: str = ""


class _Price(msgspec.Struct, gc=False):
    pricePerMessage: float | int | str = ""
    currency: str = ""


class _Report(msgspec.Struct, gc=False):
    status: _Status | None = None
    messageId: str = ""
    to: str = ""
    sentAt: str = ""
    doneAt: str = ""
    messageCount: int | str = ""
    price: _Price | None = None
    sender_of: str = msgspec.field(default="", name="from")
    sender: str = ""
    callbackData: str = ""
    integrationType: str = ""
    channel: str = ""
    event: Any = None
    smsCount: Any = msgspec.UNSET
    # Only what is no plain report has one of these.
    message: Any = msgspec.UNSET
    destination: Any = msgspec.UNSET


class _Reports(msgspec.Struct, gc=False):
    results: list[_Report]


class _Raws(msgspec.Struct, gc=False):
    results: list[Raw]


_decode_reports: Final = msgspec.json.Decoder(_Reports).decode
_decode_raws: Final = msgspec.json.Decoder(_Raws).decode


class _NotPlain(Exception):
    """A part of a report is none that most have: the careful way reads it."""


def read_packed(callback: Callback, account: Account) -> Reading | None:
    """Read a list of results in one pass, plain reports as bytes; None if it must be read else."""
    body = callback.body
    # Mail has rules of its own, from its ids on.
    if b"@" in body:
        return None
    try:
        check_density(body)
        reports = _decode_reports(body).results
    except UNREADABLE:
        return None
    if len(reports) > PARTS_MAX or may_hold_nul(callback):
        return None
    reading = empty_reading(callback, account)
    others = _pack(reading, reports)
    if len(others) == len(reports):
        return None
    if others:
        raws = _decode_raws(body).results
        for index in others:
            part = bytes(raws[index])
            read_item(reading, part, part, index, partial(add_result, reading))
        # What is plain tells a phone.
        reading.name_mail()
    return reading


def _pack(reading: Reading, reports: list[_Report]) -> list[int]:
    """Add each that is plain, and return the places of the others."""
    others: list[int] = []
    add, receive_time_us = reading.pack().add, reading.receive_time_us
    for index, report in enumerate(reports):
        message_id, address = report.messageId, report.to.strip()
        try:
            if (
                not is_canonical(message_id)
                or not address
                or "@" in address
                or len(address) > IDENTITY_CHARACTERS_MAX
                or report.event not in (None, "DELIVERY")
                or report.message is not msgspec.UNSET
                or report.destination is not msgspec.UNSET
                or report.status is None
            ):
                raise _NotPlain
            kind, is_begun = _kind(report)
            time_us = iso_us(report.doneAt)
            if time_us is None and is_begun:
                time_us = iso_us(report.sentAt)
            if time_us is None or not EARLIEST_US <= time_us <= receive_time_us:
                raise _NotPlain
            price = b"" if report.price is None else _priced(report.price, report.messageCount)
            own = _own(report.sender_of or report.sender)
        except _NotPlain:
            others.append(index)
            continue
        reference = report.callbackData
        if 0 < len(reference) <= IDENTITY_CHARACTERS_MAX:
            price += message_ref(reference)
        add(message_id, address, time_us, kind, _occurred(time_us), price, own)
    return others


def _kind(report: _Report) -> tuple[bytes, bool]:
    """Return the fields of kind, word and channel, and whether it is not at its end yet."""
    status = report.status
    assert status is not None
    named = report.integrationType or report.channel or report.event or ""
    group_id = status.groupId
    has_count = report.smsCount is not msgspec.UNSET
    told = status.groupName, str(group_id), status.name, named
    if sum(map(len, told)) > WORD_CHARACTERS_MAX * 2:
        raise _NotPlain
    return _kind_of(*told, has_count=has_count)


# What is raised is not kept.
@lru_cache(maxsize=_KEPT)
def _kind_of(
    group_name: str, group_id: str, name: str, named: str, *, has_count: bool
) -> tuple[bytes, bool]:
    group = group_name.upper() or GROUP_BY_ID.get(group_id, "")
    kind = KIND_BY_GROUP.get(group)
    if kind is None or kind in STAGE_BY_KIND or len(name) > WORD_CHARACTERS_MAX:
        raise _NotPlain
    if kind == EVENT_KIND_QUEUED and name in SENT_NAMES:
        kind = EVENT_KIND_SENT
    channel = CHANNELS.get(named.upper(), CHANNEL_SMS if has_count else CHANNEL_UNSPECIFIED)
    event = Event(kind=kind, provider_word=group, channel=channel)
    return event.SerializeToString(), kind in SENT_SO_FAR


def _priced(price: _Price, count: int | str) -> bytes:
    each = price.pricePerMessage
    return _price(each if type(each) is str else str(each), str(count), price.currency)


@lru_cache(maxsize=_KEPT)
def _price(each: str, count: str, currency: str) -> bytes:
    event = Event()
    if each and (amount := price_of_all(each, count)):
        set_price(event, amount, currency)
    return event.SerializeToString()


def _own(told: str) -> bytes:
    told = told.strip()
    if len(told) > IDENTITY_CHARACTERS_MAX:
        raise _NotPlain
    return _own_address(told) if told else b""


@lru_cache(maxsize=_KEPT)
def _own_address(told: str) -> bytes:
    return Event(own_address=from_digits(told)).SerializeToString()


@lru_cache(maxsize=_KEPT)
def _occurred(time_us: int) -> bytes:
    return Event(occur_time_us=time_us).SerializeToString()
