"""`bluetick` commands, as somebody types them who has the key of a machine."""

import asyncio
import os
import sys

from libs.testkit.tied import tied


async def bluetick(
    machine: dict, *words: str, role: str = "admin", limit_s: float = 120
) -> tuple[int, str]:
    """Return exit code and all output of a command."""
    process = await started(machine, *words, role=role)
    output, _ = await asyncio.wait_for(process.communicate(), limit_s)
    return process.returncode or 0, output.decode()


async def started(machine: dict, *words: str, role: str = "admin") -> asyncio.subprocess.Process:
    """Return a command that runs; it ends with the tests."""
    environment = {
        **os.environ,
        "BLUETICK_GATEWAY": machine["gateway"],
        "BLUETICK_API_KEY": machine["api_keys"][role],
        "COLUMNS": "200",
    }
    return await asyncio.create_subprocess_exec(
        *tied(sys.executable, "-m", "libs.cli.main", *words),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
