"""What is wrong with an account's callbacks, judged from a few numbers, and what to do about it."""

from collections.abc import Iterator
from typing import Final

import msgspec
from bluetick.v1.ingest_service_pb2 import (
    FINDING_SEVERITY_ERROR,
    FINDING_SEVERITY_INFO,
    FINDING_SEVERITY_WARNING,
    FindingSeverity,
)

from libs.runtime.accounts import LIMIT_REASONS
from services.status.domain.spellings import Hint

# Below so many reads a share says nothing.
FAST_READS_FROM: Final = 50
_FAST_SHARE_MAX: Final = 0.5
_DELIVERED_FROM: Final = 100
_SILENT_SHARE_MAX: Final = 0.05
_REFUSED_SHARE_MAX: Final = 0.01
_LAG_MAX_US: Final = 600_000_000
# A provider's clock may be a little ahead of ours.
_LEAD_MAX_US: Final = 60_000_000


# Callbacks with a right signature came before, and now they have a wrong one.
_ROTATED: Final = frozenset({"SIGNATURE_WRONG", "CREDENTIAL_WRONG"})
_COMPARE_CURE: Final = (
    "Compare the account's secret with the provider's console; while it is rotated, list both. If "
    "the provider signs the address, set BLUETICK_PUBLIC_URL to the one that it calls. A proxy "
    "must not rewrite bodies."
)
_ROTATION_CURE: Final = (
    "Callbacks were proven before, so the secret was probably changed at the provider: add the new "
    "one beside the old one (`bluetick accounts rotate`)."
)
# Reasons that get a finding each; the rarer ones are in the list of refusals.
_REASONS_TOLD: Final = 3


class Refusals(msgspec.Struct, frozen=True):
    """Requests that were refused for one reason; ``count`` in 24 h, some of it in the last one."""

    reason: str
    count: int
    last_hour_count: int
    cure: str

    @property
    def is_limit(self) -> bool:
        """Whether the account's own limits refused them."""
        return self.reason in LIMIT_REASONS


class Vitals(msgspec.Struct):
    """The numbers of one account; see ``CallbackHealth`` for their meaning."""

    provider: str
    account: str
    last_receive_time_us: int = 0
    callback_count: int = 0
    refused_count: int = 0
    lag_us: int | None = None
    quarantined_count: int = 0
    accepted_count: int = 0
    silent_count: int = 0
    delivered_count: int = 0
    read_count: int = 0
    engaged_count: int = 0
    timed_read_count: int = 0
    fast_read_count: int = 0
    lone_opt_out_count: int = 0
    unrecorded_count: int = 0
    contradicted_count: int = 0
    hints: list[Hint] = []
    unknown_words: list[tuple[str, int]] = []
    refusals: list[Refusals] = []  # most frequent first

    @property
    def fast_read_share(self) -> float | None:
        """Reads faster than people, of those that can be timed; None: too few to tell."""
        if self.timed_read_count < FAST_READS_FROM:
            return None
        return self.fast_read_count / self.timed_read_count


class Finding(msgspec.Struct, frozen=True):
    """Something that is wrong, or looks so."""

    code: str
    severity: FindingSeverity.ValueType
    what: str
    cure: str


def findings(vitals: Vitals) -> list[Finding]:
    """Return what is wrong, most urgent first."""
    found = [
        *_doors(vitals),
        *_silence(vitals),
        *_records(vitals),
        *_lateness(vitals),
        *_unread(vitals),
        *_engagement(vitals),
        *_opt_outs(vitals),
    ]
    return sorted(found, key=lambda finding: -finding.severity)


def _doors(vitals: Vitals) -> Iterator[Finding]:
    unproven = [one for one in vitals.refusals if not one.is_limit]
    if vitals.refused_count and not unproven:
        # Their reasons were more than a report holds.
        told = f"{vitals.refused_count:,} requests in 24 h had no valid signature or credential"
        yield _refused(vitals, vitals.refused_count, told, _COMPARE_CURE)
    for one in unproven[:_REASONS_TOLD]:
        told = f"{one.count:,} requests in 24 h, {one.last_hour_count:,} of them in the last hour, "
        told += f"were refused: {one.reason}"
        cure = one.cure or _COMPARE_CURE
        if one.reason in _ROTATED and vitals.last_receive_time_us:
            cure = f"{_ROTATION_CURE} {cure}"
        yield _refused(vitals, one.count, told, cure)
    for one in vitals.refusals:
        if one.is_limit:
            yield Finding(
                "CALLBACKS_LIMITED",
                FINDING_SEVERITY_WARNING,
                f"{one.count:,} requests in 24 h, {one.last_hour_count:,} of them in the last "
                f"hour, were turned away by the account's limits: {one.reason}.",
                one.cure,
            )


def _refused(vitals: Vitals, count: int, told: str, cure: str) -> Finding:
    taken = vitals.callback_count
    severity: FindingSeverity.ValueType = FINDING_SEVERITY_INFO
    if not taken:
        severity = FINDING_SEVERITY_ERROR
    elif count > _REFUSED_SHARE_MAX * taken:
        severity = FINDING_SEVERITY_WARNING
    return Finding("CALLBACKS_REFUSED", severity, f"{told}; {taken:,} were taken.", cure)


def _opt_outs(vitals: Vitals) -> Iterator[Finding]:
    if vitals.lone_opt_out_count:
        yield Finding(
            "OPT_OUTS_WITHOUT_MESSAGE",
            FINDING_SEVERITY_WARNING,
            f"{vitals.lone_opt_out_count:,} people opted out in 7 days whom no message on record "
            "had reached; nothing counts them, and they are kept.",
            "ListUnmatchedOptOuts lists them: take them off the lists like everybody who opts out, "
            "and record the messages that they were sent, with the number they came from.",
        )


def _silence(vitals: Vitals) -> Iterator[Finding]:
    silent, accepted = vitals.silent_count, vitals.accepted_count
    if silent <= 0 or silent <= _SILENT_SHARE_MAX * accepted:
        return
    is_whole = silent >= accepted
    yield Finding(
        "MESSAGES_SILENT",
        FINDING_SEVERITY_ERROR if is_whole else FINDING_SEVERITY_WARNING,
        f"{silent:,} of {accepted:,} accepted messages got no callback at all.",
        "Set the callback address of this account at the provider, subscribe to status events, "
        "and look whether the account's name in the records is that of the address. Messages sent "
        "with another provider account tell nothing here."
        if is_whole
        else "Look whether every sending number or domain of the account has the callback address.",
    )


def _records(vitals: Vitals) -> Iterator[Finding]:
    if vitals.unrecorded_count > 0:
        told = f"{vitals.unrecorded_count:,} messages of 7 days were reported and never recorded"
        for hint in vitals.hints[:1]:
            told += (
                f"; a report names {hint.reported!r} and a record {hint.recorded!r}, which differ "
                f"by {hint.differ_by}"
            )
        yield Finding(
            "REPORTS_WITHOUT_RECORD",
            FINDING_SEVERITY_WARNING if vitals.hints else FINDING_SEVERITY_INFO,
            f"{told}.",
            "Record the id that the provider answers to a send, as it is; for a message centre, "
            "the account's option id_format says in which base it writes ids. If other software "
            "sends from this account, this is normal.",
        )
    if vitals.contradicted_count > 0:
        yield Finding(
            "RECORDS_CONTRADICT",
            FINDING_SEVERITY_WARNING,
            f"{vitals.contradicted_count:,} messages of 7 days were recorded again with another "
            "reference, campaign or contact; of each the earliest record counts.",
            "An id belongs to one message. Where the provider gives one id for several people, "
            'record "id/recipient".',
        )


def _lateness(vitals: Vitals) -> Iterator[Finding]:
    lag_us = vitals.lag_us
    if lag_us is None:
        return
    if lag_us > _LAG_MAX_US:
        yield Finding(
            "CALLBACKS_LATE",
            FINDING_SEVERITY_WARNING,
            f"Half of the callbacks come more than {lag_us / 60_000_000:,.0f} min after the act.",
            "If the door answers 503 or slowly (metric bluetick_ingest_callbacks_total), add "
            "replicas of ingest; else the provider retries or is behind: see its status page.",
        )
    elif lag_us < -_LEAD_MAX_US:
        yield Finding(
            "CALLBACKS_LATE",
            FINDING_SEVERITY_WARNING,
            f"Callbacks come {-lag_us / 1_000_000:,.0f} s before what they tell of.",
            "Set this machine's clock (NTP).",
        )


def _unread(vitals: Vitals) -> Iterator[Finding]:
    if vitals.quarantined_count:
        yield Finding(
            "CALLBACKS_QUARANTINED",
            FINDING_SEVERITY_WARNING,
            f"{vitals.quarantined_count:,} callbacks or parts could not be read.",
            "`bluetick replay --list` says why; after an update, `bluetick replay --all` reads "
            "them again.",
        )
    if vitals.unknown_words:
        told = ", ".join(f"{word!r} ({count:,})" for word, count in vitals.unknown_words[:3])
        yield Finding(
            "WORDS_UNKNOWN",
            FINDING_SEVERITY_INFO,
            f"Words without a meaning here: {told}.",
            "They are kept with their messages. Report them, or add them to the provider's table.",
        )


def _engagement(vitals: Vitals) -> Iterator[Finding]:
    delivered = vitals.delivered_count
    if delivered > _DELIVERED_FROM and not vitals.read_count and not vitals.engaged_count:
        yield Finding(
            "ENGAGEMENT_ZERO",
            FINDING_SEVERITY_WARNING,
            f"{delivered:,} messages were delivered; nobody read, clicked or answered.",
            "Subscribe to read, click and inbound events at the provider. For SMS without links "
            "this is normal.",
        )
    share = vitals.fast_read_share
    if share is not None and share > _FAST_SHARE_MAX:
        yield Finding(
            "READS_TOO_FAST",
            FINDING_SEVERITY_WARNING,
            f"{share:.0%} of the reads came within 2 s after the delivery.",
            "Machines (mail proxies, security scanners, link previews) or a test number read "
            "them: judge this channel by clicks and replies.",
        )
