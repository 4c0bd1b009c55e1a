"""Prints what packages of ours need: `ours` or `others`, through all of ours that they use.

Usage: packages.py ours|others PACKAGE... where PACKAGE is a folder with a pyproject.toml.
Locks name the others only; ours are built from this checkout, in the order printed.
"""

import re
import sys
import tomllib
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
# No lock is for us: this is what our own distributions are called.
OURS = re.compile(r"bluetick(-[a-z]+)?$")


def projects() -> dict[str, Path]:
    """Return the folder of each of our distributions, by its name."""
    return {
        tomllib.loads(file.read_text())["project"]["name"]: file.parent
        for file in sorted(TOP.glob("*/*/pyproject.toml"))
        if file.parent.parent.name in {"libs", "services"}
    }


def parts_of(requirement: str) -> tuple[str, list[str]]:
    """Return name and extras: 'sqlalchemy', ['asyncio'] of 'sqlalchemy[asyncio]>=2'."""
    found = re.match(r"([A-Za-z0-9._-]+)(?:\[([^]]*)\])?", requirement)
    if found is None:
        raise ValueError(f"not a requirement: {requirement!r}")
    return found[1].lower(), [extra.strip() for extra in (found[2] or "").split(",") if extra]


def requirements_of(folder: Path, extras: list[str]) -> list[str]:
    """Return what a package of ours asks for, with these extras."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    known = project.get("optional-dependencies", {})
    asked = [project.get("dependencies", []), *(known[extra] for extra in extras)]
    return [requirement for some in asked for requirement in some]


def closure(folder: Path) -> tuple[list[Path], set[str]]:
    """Return our packages that ``folder`` needs, itself last, and the others' requirements."""
    known, ours, others = projects(), dict[Path, None](), set[str]()

    def visit(each: Path, extras: list[str]) -> None:
        for requirement in requirements_of(each, extras):
            name, wanted = parts_of(requirement)
            if OURS.match(name):
                visit(known[name], wanted)
            else:
                others.add(requirement)
        ours[each] = None

    visit(folder.resolve(), [])
    return list(ours), others


def main() -> None:
    """Print what was asked for, one a line."""
    which, *folders = sys.argv[1:]
    ours, others = dict[Path, None](), set[str]()
    for folder in folders:
        needed, requirements = closure(Path(folder))
        ours |= dict.fromkeys(needed)
        others |= requirements
    lines = {"ours": [str(each.relative_to(TOP)) for each in ours], "others": sorted(others)}
    print("\n".join(lines[which]))


if __name__ == "__main__":
    main()
