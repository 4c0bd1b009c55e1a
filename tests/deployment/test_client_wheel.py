"""What another team installs: the client and the contracts, with grpcio and protobuf alone."""

import sys
from pathlib import Path

import pytest

from tests.deployment.conftest import Run

_USES = """
import importlib.metadata, bluetick.client as client
from bluetick.v1.message_service_pb2 import ChangeFilter
print(sorted(d.name.lower() for d in importlib.metadata.distributions()))
try:
    client.Listener("nats://a:b@127.0.0.1:4222")
except ImportError:
    print("needs nats")
"""


@pytest.mark.packaging
def test_the_client_installs_and_imports_alone(run: Run, tmp_path: Path) -> None:
    """A platform's image does not want our servers' packages."""
    wheels, place = tmp_path / "wheels", tmp_path / "place"
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
    for command in (
        (sys.executable, "-m", "venv", "--without-pip", place),
        (*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", wheels,
         "./libs/contracts", "./libs/client"),
    ):  # fmt: skip
        done = run(*command)
        assert done.returncode == 0, done.stderr
    found = sorted(wheels.glob("*.whl"))
    done = run(*pip, "--python", place / "bin" / "python", "install", *found)
    assert done.returncode == 0, done.stderr

    used = run(place / "bin" / "python", "-I", "-c", _USES, cwd=tmp_path)

    assert used.returncode == 0, used.stderr
    packages, listening = used.stdout.splitlines()
    assert listening == "needs nats"
    # typing-extensions is grpcio's own.
    assert set(eval(packages)) <= {
        "bluetick-client", "bluetick-contracts", "grpcio", "protobuf", "typing-extensions",
        "typing_extensions",
    }  # fmt: skip
