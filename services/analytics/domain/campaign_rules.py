"""What a campaign may look like. Each problem names the field, the limit and the cure."""

import re
from collections.abc import Iterator
from functools import cache
from zoneinfo import available_timezones

from bluetick.v1 import campaign_service_pb2 as pb

from services.analytics.domain.rates import RATES

CAMPAIGN_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
REQUEST_ID_CHARACTERS_MAX = 128
NAME_CHARACTERS_MAX = 256
TAGS_MAX = 32
WORD_CHARACTERS_MAX = 64
ATTRIBUTE_DIMENSIONS_MAX = 8
VARIANTS_MAX = 26
WINDOW_S_MAX = 90 * 24 * 3600

Problem = tuple[str, str]
_OUTPUT_ONLY = ("create_time", "update_time", "channels", "is_implicit")


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def without_output(campaign: pb.Campaign) -> pb.Campaign:
    """Return the campaign without the fields that only the service sets."""
    kept = pb.Campaign()
    kept.CopyFrom(campaign)
    for field in _OUTPUT_ONLY:
        kept.ClearField(field)  # type: ignore[arg-type]
    return kept


def problems_of(campaign: pb.Campaign) -> list[Problem]:
    """Return (field, what is wrong and the cure) for everything wrong with the campaign."""
    return [(f"campaign.{field}", text) for field, text in _problems(campaign)]


def _problems(campaign: pb.Campaign) -> Iterator[Problem]:
    if campaign.campaign_id and not CAMPAIGN_ID.fullmatch(campaign.campaign_id):
        yield "campaign_id", "1 to 128 characters of letters, digits and . _ : - are allowed."
    if len(campaign.name) > NAME_CHARACTERS_MAX:
        yield "name", f"At most {NAME_CHARACTERS_MAX} characters; shorten it."
    if campaign.kind not in pb.CampaignKind.values():
        yield "kind", "Not a known kind; use BROADCAST, AUTOMATION or API."
    if campaign.state not in pb.CampaignState.values():
        yield "state", "Not a known state; use DRAFT, SENDING, SENT or COMPLETED."
    if campaign.time_zone and campaign.time_zone not in _zones():
        yield "time_zone", "Not an IANA time zone; use one like Europe/Berlin, or leave it empty."
    if campaign.audience_size < 0:
        yield "audience_size", "Not below 0; leave it at 0 when it is not known."
    if len(campaign.industry) > WORD_CHARACTERS_MAX:
        yield "industry", f"At most {WORD_CHARACTERS_MAX} characters; shorten it."
    yield from _words("tags", campaign.tags, TAGS_MAX)
    dimensions = campaign.attribute_dimensions
    yield from _words("attribute_dimensions", dimensions, ATTRIBUTE_DIMENSIONS_MAX)
    yield from _words("variants", campaign.variants, VARIANTS_MAX)
    if campaign.winning_metric and campaign.winning_metric not in RATES:
        yield "winning_metric", f"Not a rate; use one of {', '.join(sorted(RATES))}."
    yield from _windows(campaign)


def _words(field: str, words: object, count_max: int) -> Iterator[Problem]:
    listed = list(words)  # type: ignore[call-overload]
    if len(listed) > count_max:
        yield field, f"{len(listed)} given, at most {count_max}; leave some out."
    for at, word in enumerate(listed):
        if not 1 <= len(word) <= WORD_CHARACTERS_MAX or not word.isprintable():
            yield f"{field}[{at}]", f"1 to {WORD_CHARACTERS_MAX} printable characters are allowed."
        elif word in listed[:at]:
            yield f"{field}[{at}]", "Given twice; leave one out."


def _windows(campaign: pb.Campaign) -> Iterator[Problem]:
    limit = f"Above 0 and at most {WINDOW_S_MAX} seconds (90 days); leave it out for 24 hours."
    if campaign.HasField("attribution_window"):
        window = campaign.attribution_window
        if not 0 < window.seconds <= WINDOW_S_MAX or window.nanos:
            yield "attribution_window", limit
    goal = campaign.goal
    if goal.model not in pb.AttributionModel.values():
        yield "goal.model", "Not a known model; use CLICK, READ or RECEIVE."
    if len(goal.name) > WORD_CHARACTERS_MAX:
        yield "goal.name", f"At most {WORD_CHARACTERS_MAX} characters; shorten it."
    if goal.HasField("window") and not 0 < goal.window.seconds <= WINDOW_S_MAX:
        yield "goal.window", limit
