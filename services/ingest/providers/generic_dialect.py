"""A dialect that is data: where the values of a receipt stand, and what its words mean."""

from collections.abc import Mapping
from datetime import UTC, tzinfo
from typing import Any, Final

import msgspec
from bluetick.v1 import common_pb2 as pb

from services.ingest.providers.generic_values import (
    TIME_FORMATS,
    Path,
    Paths,
    paths_of,
    zone_of,
)

KIND_BY_WORD: Final[Mapping[str, int]] = {
    "accepted": pb.EVENT_KIND_ACCEPTED,
    "queued": pb.EVENT_KIND_QUEUED,
    "sent": pb.EVENT_KIND_SENT,
    "delivered": pb.EVENT_KIND_DELIVERED,
    "read": pb.EVENT_KIND_READ,
    "played": pb.EVENT_KIND_PLAYED,
    # "failed" never left the provider; "undelivered" did.
    "failed": pb.EVENT_KIND_DROPPED,
    "undelivered": pb.EVENT_KIND_UNDELIVERED,
    "deferred": pb.EVENT_KIND_DEFERRED,
    "canceled": pb.EVENT_KIND_CANCELED,
    "unsubscribed": pb.EVENT_KIND_UNSUBSCRIBED,
    "resubscribed": pb.EVENT_KIND_RESUBSCRIBED,
    "complained": pb.EVENT_KIND_COMPLAINED,
    "info": pb.EVENT_KIND_INFO,
}
FORMATS: Final = ("any", "json", "form", "query", "array")
METHODS: Final = ("GET", "POST")
_PLACES: Final = (
    "id", "status", "recipient", "time", "error", "detail", "reference", "items", "recipients",
    "receipt", "sender", "part", "part_count",
)  # fmt: skip
_INBOUND_PLACES: Final = (
    "id", "person", "own", "text", "time", "keyword", "answered", "reference", "part_count",
)  # fmt: skip
OPTIONS: Final[Mapping[str, str]] = {
    "preset": "ready-made dialect",
    "statuses": 'JSON of the form {"their word": "our word"}',
    "status_mask": '"true": the status is a sum of bits',
    "format": f"one of {', '.join(FORMATS)}",
    "method": f"one of {', '.join(METHODS)}",
    "time_formats": f"comma separated, of {', '.join(TIME_FORMATS)}",
    "time_zone": 'IANA name or offset ("+03:00") of times without a zone',
    **{f"{name}_field": f"where a receipt has its {name}" for name in _PLACES},
    **{f"inbound_{name}_field": f"where an inbound message has its {name}"
       for name in _INBOUND_PLACES},
}  # fmt: skip


class OptionProblem(ValueError):
    """The account's options make no dialect; the message says which one and what it may be."""


class InboundPlaces(msgspec.Struct, frozen=True, kw_only=True):
    """Where an inbound message has its parts. Looked up in the item, "^" from the body."""

    id: Paths
    person: Paths  # who wrote
    text: Paths
    own: Paths = ()  # our number
    time: Paths = ()
    keyword: Paths = ()  # the account's own, which stands before the text
    answered: Paths = ()  # id of our message that it answers
    reference: Paths = ()  # what the parts of a long message have in common
    part_count: Paths = ()
    header: Paths = ()  # user data header in hexadecimal, which says the same of an SMS
    # What says that it is one: the value of a field. Without: a text, and no status.
    event: Paths = ()
    event_word: str = ""


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """How one source of receipts writes. Places are looked up in the item, "^" from the body."""

    statuses: Mapping[str, int]  # their word, case folded -> EventKind
    id: Paths
    status: Paths
    recipient: Paths = ()
    time: Paths = ()
    error: Paths = ()
    detail: Paths = ()
    reference: Paths = ()
    format: str = "any"  # one of FORMATS; "any": by method and first character
    method: str = ""  # one of METHODS; empty: both
    items: Path = ()  # a list of items inside the body; empty: the body is the item
    recipients: Paths = ()  # a list; if longer than one, the id is "id/recipient"
    receipt: Paths = ()  # an SMPP receipt, read into fields "receipt.stat" and so on
    sender: Paths = ()  # our number
    part: Paths = ()  # id of the part that is told of, where the id is the whole message's
    part_count: Paths = ()
    event: Paths = ()  # the kind of callback; without items it may be of another product
    inbound: InboundPlaces | None = None
    # Who left a sender's list, and whose: fields that stand alone in a notice of it.
    leaver: str = ""
    left: str = ""
    vocabulary: str = ""  # of its failure codes; empty: those of all generic sources
    answer: str = ""  # what the source wants to hear, else it tries again
    is_mask: bool = False  # the status is a sum of bits; the first of `statuses` that is set counts
    # A time that is promised and missing is marked; otherwise the time of receipt simply stands.
    is_time_promised: bool = False
    time_formats: tuple[str, ...] = TIME_FORMATS
    zone: tzinfo = UTC


def statuses_of(words: Mapping[str, str]) -> dict[str, int]:
    """Return the table of a dialect from their words to our words.

    Raises:
        OptionProblem: a word of ours that is none.
    """
    unknown = sorted(set(words.values()) - KIND_BY_WORD.keys())
    if unknown:
        raise OptionProblem(f"statuses: {unknown[0]!r} is none of {', '.join(KIND_BY_WORD)}")
    return {theirs.strip().casefold(): KIND_BY_WORD[ours] for theirs, ours in words.items()}


def with_options(base: Dialect | None, options: Mapping[str, str]) -> Dialect:
    """Return ``base`` changed by an account's options; without a base, they say it all.

    Raises:
        OptionProblem: an option has no such value, or one that is needed is missing.
    """
    changes = _place_changes(options) | _time_changes(options)
    if given := options.get("statuses", ""):
        changes["statuses"] = statuses_of(_table(given))
    if given := options.get("status_mask", ""):
        changes["is_mask"] = _one_of("status_mask", given, ("true", "false")) == "true"
    if given := options.get("format", ""):
        changes["format"] = _one_of("format", given, FORMATS)
    if given := options.get("method", ""):
        changes["method"] = _one_of("method", given.upper(), METHODS)
    if inbound := _inbound_of(None if base is None else base.inbound, options):
        changes["inbound"] = inbound
    if base is not None:
        return msgspec.structs.replace(base, **changes)
    for needed in ("id", "status", "statuses"):
        if needed not in changes:
            option = needed if needed == "statuses" else f"{needed}_field"
            raise OptionProblem(f"{option}: needed where no preset is named")
    return Dialect(**changes)


def _place_changes(options: Mapping[str, str]) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    for name in _PLACES:
        given = options.get(f"{name}_field", "")
        if not given:
            continue
        places = paths_of(given)
        if not places:
            raise OptionProblem(f"{name}_field: {given!r} names no field")
        changes[name] = places[0] if name == "items" else places
    return changes


def _inbound_of(base: InboundPlaces | None, options: Mapping[str, str]) -> InboundPlaces | None:
    changes: dict[str, Any] = {}
    for name in _INBOUND_PLACES:
        given = options.get(f"inbound_{name}_field", "")
        if given and not (places := paths_of(given)):
            raise OptionProblem(f"inbound_{name}_field: {given!r} names no field")
        if given:
            changes[name] = places
    if base is not None:
        return msgspec.structs.replace(base, **changes) if changes else None
    if not changes:
        return None
    for needed in ("id", "person", "text"):
        if needed not in changes:
            raise OptionProblem(
                f"inbound_{needed}_field: needed to read inbound messages where no preset is named"
            )
    return InboundPlaces(**changes)


def _time_changes(options: Mapping[str, str]) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if options.get("time_field", ""):
        changes["is_time_promised"] = True
    if given := options.get("time_formats", ""):
        names = tuple(name.strip() for name in given.split(","))
        changes["time_formats"] = tuple(_one_of("time_formats", n, TIME_FORMATS) for n in names)
    if given := options.get("time_zone", ""):
        try:
            changes["zone"] = zone_of(given)
        except (ValueError, OSError, KeyError):
            raise OptionProblem(
                f"time_zone: {given!r} is neither an IANA name nor an offset like +03:00"
            ) from None
    return changes


def _table(text: str) -> dict[str, str]:
    try:
        return msgspec.json.decode(text, type=dict[str, str])
    except (msgspec.MsgspecError, ValueError):
        raise OptionProblem('statuses: not JSON of the form {"their word": "our word"}') from None


def _one_of(name: str, given: str, allowed: tuple[str, ...]) -> str:
    if given not in allowed:
        raise OptionProblem(f"{name}: {given!r} is none of {', '.join(allowed)}")
    return given
