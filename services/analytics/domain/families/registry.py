"""The one list of all families: what stands here has tables, and its numbers are kept."""

from services.analytics.domain.families.attributes import ATTRIBUTES
from services.analytics.domain.families.failures import FAILURES
from services.analytics.domain.families.family import Family
from services.analytics.domain.families.links import LINK_PAIRS, LINK_PEOPLE, LINKS
from services.analytics.domain.families.minutes import MINUTES
from services.analytics.domain.families.people import PEOPLE, PEOPLE_OF_BUTTONS
from services.analytics.domain.families.quarters import QUARTERS
from services.analytics.domain.families.totals import TOTALS
from services.analytics.domain.families.versions import VERSIONS

FAMILIES: tuple[Family, ...] = (
    TOTALS,
    QUARTERS,
    MINUTES,
    ATTRIBUTES,
    FAILURES,
    LINKS,
    LINK_PEOPLE,
    LINK_PAIRS,
    PEOPLE,
    PEOPLE_OF_BUTTONS,
    VERSIONS,
)
