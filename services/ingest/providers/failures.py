"""Why a message failed, for every provider alike: codes to reasons, and opt-outs told by a code."""

from collections.abc import Iterable, Mapping
from typing import Final

from bluetick.v1.common_pb2 import (
    EVENT_KIND_DROPPED,
    EVENT_KIND_UNDELIVERED,
    EVENT_KIND_UNSUBSCRIBED,
    FAILURE_REASON_UNMAPPED,
    FAILURE_STAGE_DROPPED,
    FAILURE_STAGE_UNDELIVERED,
)
from bluetick.v1.event_pb2 import Event

from libs.catalogue.failures import lookup, topic_for
from services.ingest.domain.fields import WORD_CHARACTERS_MAX
from services.ingest.domain.reading import DETAIL_CHARACTERS_MAX, Reading

STAGE_BY_KIND: Final[Mapping[int, int]] = {
    EVENT_KIND_DROPPED: FAILURE_STAGE_DROPPED,
    EVENT_KIND_UNDELIVERED: FAILURE_STAGE_UNDELIVERED,
}
# Codes by which a provider refuses a message because the person had left before: a failure and an
# opt-out in one. 131050 is WhatsApp's own, passed through by those who carry it.
OPT_OUT_CODES: Final[Mapping[str, frozenset[str]]] = {
    "meta": frozenset({"131050"}),
    "dialog360": frozenset({"131050"}),
    "gupshup": frozenset({"131050", "1012"}),
    "messagebird": frozenset({"131050", "103"}),
    "twilio": frozenset({"21610"}),
    "vonage": frozenset({"131050"}),
    "infobip": frozenset({"131050"}),
}


def explain(
    reading: Reading,
    event: Event,
    codes: Iterable[str],
    detail: str,
    *,
    known_as: str = "",
    vocabulary: str = "",
) -> None:
    """Say why the message of ``event`` failed: the provider's code, our reason, their words.

    Args:
        reading: that ``event`` is in; an opt-out that the code tells of is added beside it.
        event: of any kind; only DROPPED and UNDELIVERED have a reason.
        codes: what the provider said, the most telling first; empty ones do not count. The first
            that the catalogue knows counts, else the first of all.
        detail: what the provider or the mail server said in words.
        known_as: what the catalogue may know the failure as, where there is no code.
        vocabulary: that the codes are of; empty: the provider's, in their order.
    """
    given = [code for code in codes if code]
    stage = STAGE_BY_KIND.get(event.kind, FAILURE_STAGE_UNDELIVERED)
    provider = event.provider
    known = vocabulary or provider
    code = next((code for code in given if lookup(known, code, stage)), given[0] if given else "")
    event.provider_code = _storable(code)[:WORD_CHARACTERS_MAX]
    event.detail = _storable(detail)[:DETAIL_CHARACTERS_MAX]
    if event.kind not in STAGE_BY_KIND:
        return
    found = lookup(known, code or known_as, stage)
    event.topic = topic_for(known, code or known_as, stage)  # type: ignore[assignment]
    event.reason = found.reason if found else FAILURE_REASON_UNMAPPED  # type: ignore[assignment]
    if not OPT_OUT_CODES.get(provider, frozenset()).isdisjoint(given):
        add_opt_out_by_failure(reading, event)


def add_opt_out_by_failure(reading: Reading, failure: Event) -> None:
    """Add the opt-out that ``failure`` tells of: the person had left before."""
    opt_out = reading.add_beside(failure)
    opt_out.kind = EVENT_KIND_UNSUBSCRIBED
    opt_out.engagement.act_id = f"{failure.provider_message_id}/opt-out"
    opt_out.engagement.by_failure = True


def _storable(text: str) -> str:
    return text.replace("\x00", "") if "\x00" in text else text
