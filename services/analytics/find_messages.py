"""Use case: find the messages behind a number."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from libs.runtime.rpc_errors import FailedPrecondition
from services.analytics.domain.lists.selection import NotKept, Selection
from services.analytics.domain.watermark import Freshness, Watermark
from services.analytics.keep_campaigns import not_found

# Messages that one call finds.
LIMIT_MAX = 10_000
# Messages of one person in one campaign among which a filter looks.
OF_PERSON_MAX = 10_000


class Question(msgspec.Struct, frozen=True):
    """Which messages of which campaign."""

    tenant_id: str
    campaign_id: str
    selection: Selection
    # Behind this number; 0: from the first.
    after_number: int
    limit: int
    is_counting: bool


class Page(msgspec.Struct, frozen=True):
    """Messages in the order of their numbers."""

    # (number, key)
    messages: Sequence[tuple[int, bytes]]
    is_end: bool
    # All that there are; 0 if nobody asked.
    total_count: int
    # Moves of the campaign wait that are of this time or later; None: none wait.
    postponed_us: int | None


class TooMany(Exception):
    """The person has more messages in the campaign than a filter looks among."""


class ListReader(Protocol):
    """Reads lists."""

    async def find(self, question: Question) -> Page | None:
        """Return a page; None: no such campaign.

        Raises:
            NotKept: a value has no term of its own.
            TooMany: see there.
        """


async def find_messages(
    reader: ListReader, watermark: Watermark, question: Question
) -> tuple[Page, Freshness]:
    """Return a page, and how fresh it is.

    The watermark is taken before the lists are read: what it promises is then in them.

    Raises:
        NotFound: there is no such campaign.
        FailedPrecondition: the lists do not tell apart what is looked for.
    """
    freshness = watermark.freshness(question.tenant_id)
    try:
        page = await reader.find(question)
    except NotKept as error:
        raise FailedPrecondition(
            f"{error.field}: The campaign has more values than are kept apart; those that came "
            "later are found together as (other). Use a value that reports show.",
            reason="FILTER_VALUE_NOT_KEPT",
            metadata={"field": error.field},
        ) from None
    except TooMany:
        raise FailedPrecondition(
            f"where.contact_id: More than {OF_PERSON_MAX:,} messages of this person are in the "
            "campaign; leave the person out.",
            reason="FILTER_TOO_WIDE",
            metadata={"field": "where.contact_id"},
        ) from None
    if page is None:
        raise not_found(question.campaign_id)
    return page, freshness.at_most(page.postponed_us)
