"""What the commands share: exit codes, the simulator behind a model's name, what is said on stderr."""

import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from .. import AsyncCompletion
from ..testing import SimulatorServer

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130

SIMULATED = "sim/"
"""A model that begins with this is answered by the simulator, and costs nothing."""

SIMULATED_MODELS = {
    "openai": "gpt-4o-mini",
    "anthropic": "claude-haiku-4-5",
    "azure": "my-deployment",
    "cohere": "command-a-03-2025",
    "replicate": "meta/meta-llama-3-8b-instruct",
    "openrouter": "openai/gpt-4o-mini",
}
"""What the simulator is asked for where `-m sim/<provider>` names no model."""


class CommandLineError(Exception):
    """What was asked cannot be done; the text says what to write instead."""


@asynccontextmanager
async def client_for(model: str) -> AsyncGenerator[tuple[AsyncCompletion, str]]:
    """A client, and the model's name for it; the simulator runs behind a model that begins with ``sim/``."""
    if not model.startswith(SIMULATED):
        async with AsyncCompletion() as client:
            yield client, model
        return
    provider, _, name = model.removeprefix(SIMULATED).partition("/")
    if provider not in SIMULATED_MODELS:
        raise CommandLineError(
            f"{model}: the simulator knows {', '.join(SIMULATED + name for name in SIMULATED_MODELS)}"
        )
    async with (
        SimulatorServer() as server,
        AsyncCompletion(base_urls=server.base_urls, api_keys=server.api_keys) as client,
    ):
        yield client, f"{provider}/{name or SIMULATED_MODELS[provider]}"


_CONTROLS = {code: "\ufffd" for code in (*range(32), *range(127, 160)) if chr(code) not in "\t\n"}


def visible(text: str) -> str:
    """`text` without the codes by which a reply could steer the terminal."""
    return text.translate(_CONTROLS)


def say(text: str) -> None:
    """Tells the user, where replies do not go."""
    print(visible(text), file=sys.stderr, flush=True)
