"""TCP ports on the loopback address."""

from __future__ import annotations

import asyncio
import random
import socket
import sys

LOOPBACK = "127.0.0.1"
# Below the range the kernel takes outgoing connections from (32768 and up on Linux), so that
# nothing slips in between the choice of a port and its use.
_FIRST, _LAST = 15000, 32000
_ATTEMPTS_MAX = 200
_random = random.SystemRandom()
# Held for as long as the process lives, so that another machine starting at the same moment does
# not choose the same port before this one listens on it.
_claims: list[socket.socket] = []


def is_free(port: int) -> bool:
    """True when ``port`` can be listened on now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def free_port(preferred: int | None = None) -> int:
    """A port nobody listens on: ``preferred`` when it is free.

    Raises:
        OSError: none was found in 200 tries.
    """
    if preferred is not None and is_free(preferred):
        return preferred
    for _ in range(_ATTEMPTS_MAX):
        port = _random.randint(_FIRST, _LAST)
        if is_free(port) and _claim(port):
            return port
    raise OSError(f"No free port between {_FIRST} and {_LAST} was found.")


def _claim(port: int) -> bool:
    """Claim a port among processes of this program; a name in the kernel, gone with the process."""
    if sys.platform != "linux":
        return True
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        claim.bind(f"\0bluetick-port-{port}")
    except OSError:
        claim.close()
        return False
    _claims.append(claim)
    return True


async def becomes_free(port: int, *, patience_s: float) -> bool:
    """Wait until ``port`` can be listened on; False when ``patience_s`` was not enough."""
    deadline = asyncio.get_running_loop().time() + patience_s
    while not is_free(port):
        if asyncio.get_running_loop().time() > deadline:
            return False
        await asyncio.sleep(0.05)
    return True
