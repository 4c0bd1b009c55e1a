"""The catalogue of this process: the shipped tables, until ``configure`` lays others over them."""

from collections.abc import Callable

from libs.catalogue.tables import Catalogue, Files, overlaid, shipped

_standing: Catalogue | None = None
_forget: list[Callable[[], None]] = []


def configure(paths: Files) -> None:
    """Lay the operator's tables over the shipped ones; a service does so once, at its start.

    Raises:
        CatalogueProblem: a file is missing or wrong; the catalogue stays as it was.
    """
    global _standing
    _standing = overlaid(paths)
    for forget in _forget:
        forget()


def catalogue() -> Catalogue:
    """Return the tables in force."""
    return _standing or shipped()


def when_configured(forget: Callable[[], None]) -> None:
    """Call ``forget`` after each ``configure``: what was looked up before may be different now."""
    _forget.append(forget)
