"""Docs say what is true now."""

import re
import runpy
from pathlib import Path

TOP = Path(__file__).parents[2]


def test_the_table_of_settings_is_the_one_in_the_code() -> None:
    """An operator trusts this page at three in the morning."""
    page = runpy.run_path(str(TOP / "tools" / "write_settings.py"))["page"]()

    assert (TOP / "docs" / "settings.md").read_text(encoding="utf-8") == page


def test_the_page_of_failures_is_the_one_in_the_catalogue() -> None:
    """Whoever replaces a row looks up here what there is."""
    page = runpy.run_path(str(TOP / "tools" / "write_failures.py"))["page"]()

    assert (TOP / "docs" / "failures.md").read_text(encoding="utf-8") == page


def test_every_relative_link_leads_somewhere() -> None:
    """A broken link is a broken promise."""
    for page in [*TOP.glob("*.md"), *(TOP / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} -> {target}"


def test_every_file_and_test_that_the_architecture_names_exists() -> None:
    """The page maps each guarantee to its proof; a proof that moved is none."""
    text = (TOP / "ARCHITECTURE.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:services|libs|tests|protos|tools|docs)/[\w./-]+)`", text)

    assert len(named) > 20
    missing = [path for path in named if not (TOP / path).exists()]
    assert not missing
