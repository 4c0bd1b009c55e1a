import subprocess
import sys

import pytest

from libs.embedded import ports


def test_a_port_that_another_process_has_chosen_is_not_chosen_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two machines that start at one moment would both find it free."""
    choice = "from libs.embedded import ports; print(ports.free_port(), flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", choice], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        taken = int(other.stdout.readline())
        assert ports.is_free(taken)
        monkeypatch.setattr(ports, "_FIRST", taken)
        monkeypatch.setattr(ports, "_LAST", taken)

        with pytest.raises(OSError, match="No free port"):
            ports.free_port()

        other.communicate("\n")
    assert ports.free_port() == taken
