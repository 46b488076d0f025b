"""`anycompletion simulate`: serves the simulator of the providers until Ctrl-C; listens on 127.0.0.1 only."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from .. import known_providers
from ..testing import FAULTS, SimulatorServer
from .common import OK, CommandLineError, print_note, print_text

_FAULT_HELP = (
    "What goes wrong; may be repeated. "
    f"Any of {', '.join(FAULTS)}, N-choices, and cut-after-N-events (or close-, reset-, stall-, error-after-N-events)."
)


def simulate(
    *,
    port: int = 0,
    reply: str | None = None,
    latency: float = 0.0,
    chunk_delay: float = 0.0,
    fault: Annotated[tuple[str, ...], Parameter(negative=(), show_default=False, help=_FAULT_HELP)] = (),
    replay: Path | None = None,
) -> int:
    """Serves a simulator of the providers on 127.0.0.1 until Ctrl-C.

    It prints the shell commands that direct programs on this machine to it, and takes no connection from elsewhere.

    Parameters
    ----------
    port
        The port to listen on; 0 takes any free port.
    reply
        The text of every reply; by default a reply repeats the last message.
    latency
        Seconds before each response.
    chunk_delay
        Seconds between two pieces of a stream.
    replay
        A folder of recordings, as anycompletion.testing.Recorder writes it, to answer with.
    """
    try:
        server = SimulatorServer(
            port=port, reply=reply, latency=latency, chunk_delay=chunk_delay, fault=fault or None, replay=replay
        )
    except (OSError, ValueError) as error:
        raise CommandLineError(str(error)) from None
    return asyncio.run(_serve(server, port))


async def _serve(server: SimulatorServer, port: int) -> int:
    try:
        await server.start()
    except (OSError, OverflowError, ValueError) as error:
        raise CommandLineError(f"--port {port}: {getattr(error, 'strerror', None) or error}") from None
    try:
        _print_addresses(server)
        await asyncio.Event().wait()
    finally:
        await server.aclose()
    return OK


def _print_addresses(server: SimulatorServer) -> None:
    """To stdout what a shell has to do so that programs find the server; to stderr the base URLs, for people."""
    environment, rows = server.environment, known_providers()
    print_text(f"unset {' '.join(name for name, value in environment.items() if not value)}\n")
    for name, value in environment.items():
        if value:
            print_text(f"export {name}={value}\n")
    for provider, url in server.base_urls.items():
        print_note(f"{provider} {url}")
        if provider not in rows or not rows[provider].base_url_env:
            print_note(f"# {provider}: no variable has its base URL; its key is {server.api_keys[provider]}")
    print_note("Ctrl-C ends it.")
