"""`anycompletion simulate`: serves the simulator of the providers until Ctrl-C; listens on 127.0.0.1 only."""

from __future__ import annotations

import asyncio

from .. import PROVIDERS
from ..testing import SimulatorServer
from .common import OK, CommandLineError, print_note, print_text


def simulate(*, port: int = 0) -> int:
    """Serves a simulator of the providers on 127.0.0.1 until Ctrl-C.

    Parameters
    ----------
    port
        The port to listen on; 0 takes any free port.
    """
    return asyncio.run(_serve(port))


async def _serve(port: int) -> int:
    try:
        server = await SimulatorServer(port=port).start()
    except (OSError, ValueError) as error:
        raise CommandLineError(f"--port {port}: {error}") from None
    try:
        _print_addresses(server)
        await asyncio.Event().wait()
    finally:
        await server.aclose()
    return OK


def _print_addresses(server: SimulatorServer) -> None:
    for provider, url in server.base_urls.items():
        row = PROVIDERS[provider]
        print_text(f"{provider} {url}\n")
        print_note(f"export {row.base_url_env[0]}={url} {row.key_env[0]}={server.api_keys[provider]}")
    print_note("Ctrl-C ends it.")
