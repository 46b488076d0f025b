"""More concurrent calls than the process may open connections."""

import asyncio
import sys

import pytest

from anycompletion.testing import SimulatorServer
from faults.harness import covers

pytest.importorskip("resource", reason="this system has no such limit")

SCRIPT = """
import asyncio, os, resource, sys

resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))
url, key, calls, loop = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]

from anycompletion import AsyncCompletion

async def main():
    most = 0
    done = []

    async def one(number):
        nonlocal most
        result = await client.attempt("openai/m", "Hi.")
        most = max(most, len(os.listdir("/dev/fd")))
        done.append(number)
        return result.error

    async with AsyncCompletion(base_urls={"openai": url}, api_keys={"openai": key}) as client:
        errors = await asyncio.gather(*(one(number) for number in range(calls)))
    late = sum(abs(place - number) > 300 for place, number in enumerate(done))
    print(len(errors), [error for error in errors if error is not None][:3], most < 200, late < 100)

if loop == "uvloop":
    import uvloop

    uvloop.run(main())
else:
    asyncio.run(main())
"""


@covers("F60")
async def test_more_calls_than_descriptors_all_succeed_in_their_order(loop_name: str | None) -> None:
    """A burst would end in errors about too many open files, in the client or in the application."""
    async with SimulatorServer() as sim, asyncio.timeout(60):
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", SCRIPT, sim.base_urls["openai"], sim.api_keys["openai"], "1000", loop_name or ""),
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await child.communicate()
    assert output.decode().strip() == "1000 [] True True"
    assert child.returncode == 0
