"""Runs programs as users do, in a process of their own, with every provider replaced by a simulator."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from anycompletion import PROVIDERS
from anycompletion.testing import SimulatorServer

_PYTHONPATH = os.pathsep.join(
    os.path.abspath(path) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path
)
"""Absolute, because programs run in another folder."""


def environment_of(simulator: SimulatorServer) -> dict[str, str]:
    """Environment variables that direct every provider to the simulator, which is also a provider `acme`."""
    overriding = {each for row in PROVIDERS.values() for each in (*row.token_env, *row.api_version_env)}
    values = {name: value for name, value in os.environ.items() if name not in overriding}
    for name, url in simulator.base_urls.items():
        row = PROVIDERS[name]
        if row.base_url_env:  # else no variable directs it anywhere
            values |= {row.base_url_env[0]: url} | dict.fromkeys(row.key_env[:1], simulator.api_keys[name])
    values["PYTHONPATH"] = _PYTHONPATH
    values["ACME_BASE_URL"] = simulator.base_urls["openai"]
    values["ACME_API_KEY"] = simulator.api_keys["openai"]
    values["AZURE_SWEDEN_ENDPOINT"] = simulator.base_urls["azure"]
    values["AZURE_SWEDEN_KEY"] = simulator.api_keys["azure"]
    return values


async def run_program(program: Path, environment: Mapping[str, str], folder: Path) -> str:
    """Runs a program in `folder`, with warnings as errors, and returns its output.

    Raises:
        AssertionError: it failed, or wrote to stderr.
    """
    command = (sys.executable, "-W", "error", str(program))
    status, output, errors = await run_command(*command, environment=environment, folder=folder)
    assert (status, errors) == (0, ""), output
    return output


async def run_command(
    *command: str, environment: Mapping[str, str], folder: Path, seconds: float = 60
) -> tuple[int | None, str, str]:
    """Exit status, output and errors of a command that ends by itself in some seconds, run in `folder`."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env=environment,
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await asyncio.wait_for(process.communicate(), seconds)
    return process.returncode, output.decode(), errors.decode()
