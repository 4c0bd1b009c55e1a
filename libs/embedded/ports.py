"""TCP ports on the loopback address."""

from __future__ import annotations

import asyncio
import random
import socket

LOOPBACK = "127.0.0.1"
# Below the range the kernel takes outgoing connections from (32768 and up on Linux), so that
# nothing slips in between the choice of a port and its use.
_FIRST, _LAST = 15000, 32000
_ATTEMPTS_MAX = 200
_random = random.SystemRandom()


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
        if is_free(port):
            return port
    raise OSError(f"No free port between {_FIRST} and {_LAST} was found.")


async def becomes_free(port: int, *, patience_s: float) -> bool:
    """Wait until ``port`` can be listened on; False when ``patience_s`` was not enough."""
    deadline = asyncio.get_running_loop().time() + patience_s
    while not is_free(port):
        if asyncio.get_running_loop().time() > deadline:
            return False
        await asyncio.sleep(0.05)
    return True
