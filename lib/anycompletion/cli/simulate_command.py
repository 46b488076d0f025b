"""`anycompletion simulate`: serves the simulator of the providers until Ctrl-C; listens on 127.0.0.1 only."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from .. import PROVIDERS
from ..testing import SimulatorServer
from .common import OK, CommandLineError, print_note, print_text


def simulate(
    *,
    port: int = 0,
    reply: str | None = None,
    latency: float = 0.0,
    chunk_delay: float = 0.0,
    fault: Annotated[tuple[str, ...], Parameter(negative=(), show_default=False)] = (),
    replay: Path | None = None,
) -> int:
    """Serves a simulator of the providers on 127.0.0.1 until Ctrl-C.

    It prints the variables that direct programs on this machine to it, and takes no connection from elsewhere.

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
    fault
        What goes wrong, such as rate-limit, overloaded, hang or cut-after-3-events (docs/testing.md lists all). May be
        repeated.
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
    for provider, url in server.base_urls.items():
        print_text(f"{provider} {url}\n")
        row = PROVIDERS.get(provider)
        if row is not None:
            values = zip((*row.base_url_env[:1], *row.key_env[:1]), (url, server.api_keys[provider]), strict=False)
            print_note(f"export {' '.join(f'{name}={value}' for name, value in values)}")
    print_note("Ctrl-C ends it.")
