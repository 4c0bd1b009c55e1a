"""The image's steps: the Dockerfile is sound, and each service stands on its lock alone."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.deployment.compose import SERVICES, compose
from tests.deployment.conftest import TOP, Run

_BUILT = [*SERVICES, "status analytics ingest"]


def test_the_dockerfile_passes_the_linter(run: Run) -> None:
    """The linter reads the shell lines too."""
    linted = run("hadolint", "Dockerfile")

    assert linted.returncode == 0, linted.stdout


def test_the_image_runs_as_nobody_in_particular() -> None:
    """Root in a container is root too close to the machine."""
    lines = (TOP / "Dockerfile").read_text().splitlines()

    assert "USER 10001:10001" in lines
    assert any(line.startswith("HEALTHCHECK") for line in lines)


def test_the_images_that_compose_builds_are_the_ones_that_are_tested() -> None:
    """An image that nobody builds here could fail on a stranger's machine."""
    built = {
        service["build"]["args"]["SERVICE"]
        for service in compose()["services"].values()
        if "build" in service
    }

    assert built == set(_BUILT)


@pytest.mark.packaging
@pytest.mark.parametrize("services", _BUILT)
def test_a_service_builds_and_starts_from_its_wheels_and_its_lock_alone(
    services: str, run: Run, tmp_path: Path
) -> None:
    """What works in a checkout by accident does not work in an image. Minutes; same steps."""
    names, wheels, image = services.split(), tmp_path / "wheels", tmp_path / "image"
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
    into = (*pip, "--python", image / "bin" / "python", "install")
    _must(run(sys.executable, "-m", "venv", "--without-pip", image))
    for name in names:
        _must(run(*into, "--require-hashes", "--requirement", f"services/{name}/requirements.txt"))
    folders = [f"services/{name}" for name in names]
    ours = run(sys.executable, "tools/packages.py", "ours", *folders).stdout.split()
    for folder in ours:
        build = ("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", wheels)
        _must(run(*pip, *build, f"./{folder}"))
    _must(run(*into, "--no-deps", "--no-index", *sorted(wheels.glob("*.whl"))))

    python = image / "bin" / "python"
    for name in names:
        _must(run(python, "-I", "-c", f"import services.{name}.__main__", cwd=tmp_path))
        # Without its settings it may refuse to start, but never for want of a module.
        assert (image / "bin" / f"bluetick-{name}").exists()
    for other in set(SERVICES) - set(names):
        assert run(python, "-I", "-c", f"import services.{other}.__main__", cwd=tmp_path).returncode
    if len(names) > 1:
        migrate = "import libs.runtime.migrate as m; print(*map(m.script_location, m.OWNERS))"
        found = _must(run(python, "-I", "-c", migrate, cwd=tmp_path)).split()
        assert all((Path(folder) / "env.py").exists() for folder in found)


def _must(finished: "subprocess.CompletedProcess[str]") -> str:
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout
