"""The protos keep their form, keep their promises, and the generated code is theirs."""

import shutil
from pathlib import Path

from tests.deployment.conftest import TOP, Run

_RELEASED = TOP / "protos" / "released.binpb"


def test_the_protos_pass_the_linter(run: Run) -> None:
    """Every message and field is named and commented alike."""
    linted = run("buf", "lint", "protos")

    assert linted.returncode == 0, linted.stdout


def test_generated_code_is_what_the_protos_give(run: Run, tmp_path: Path) -> None:
    """Nobody edits generated code, and nobody forgets to generate it."""
    generated = run(TOP / "tools" / "generate_contracts.sh", tmp_path)

    assert generated.returncode == 0, generated.stderr
    assert _files(tmp_path / "bluetick") == _files(TOP / "libs" / "contracts" / "bluetick")


def _files(folder: Path) -> dict[str, str]:
    return {
        str(file.relative_to(folder)): file.read_text()
        for file in folder.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }


def test_yesterdays_clients_still_understand_the_protos(run: Run) -> None:
    """A released field never changes its number, type or name. `released.binpb` is the promise."""
    broken = run("buf", "breaking", "protos", "--against", _RELEASED)

    assert broken.returncode == 0, broken.stdout


def test_a_change_that_breaks_clients_would_be_noticed(run: Run, tmp_path: Path) -> None:
    """A check that never fails is no check."""
    protos = tmp_path / "protos"
    shutil.copytree(TOP / "protos", protos)
    service = protos / "bluetick" / "v1" / "message_service.proto"
    changed = service.read_text().replace("string message_ref = 1;", "int64 message_ref = 1;")
    assert changed != service.read_text()
    service.write_text(changed)

    broken = run("buf", "breaking", protos, "--against", _RELEASED)

    assert broken.returncode != 0
    assert "message_ref" in broken.stdout
