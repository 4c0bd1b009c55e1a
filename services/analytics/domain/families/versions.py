"""How many changes the messages of a campaign have had: one that never came is missed."""

from services.analytics.domain.families.family import Family, Versioned

VERSIONS = Family(
    name="versions",
    says="Changes of the messages of a campaign. Compared, never shown.",
    key=(),
    sums=("versions",),
    how=Versioned(),
)
