"""What the commands share: exit codes, the simulator behind models that begin with ``sim/``, input and output."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

from .. import PROVIDERS, AsyncCompletion, Provider
from ..testing import SimulatorServer

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130

STDIO = "-"
"""What stands for stdin or stdout where a file is expected."""

SIMULATED = "sim/"
"""Prefix of models that the simulator on this machine answers, at no cost."""

SIMULATED_MODELS = {
    "openai": "gpt-4o-mini",
    "anthropic": "claude-haiku-4-5",
    "azure": "my-deployment",
    "cohere": "command-a-03-2025",
    "replicate": "meta/meta-llama-3-8b-instruct",
    "openrouter": "openai/gpt-4o-mini",
    "bedrock": "us.anthropic.claude-haiku-4-5-20251001-v1:0",
    "gemini": "gemini-3-flash-preview",
    "ollama": "qwen3:8b",
    "responses": "gpt-5-mini",
}
"""Provider, or variant of OpenAI's → the model that ``sim/<provider>`` stands for, if not `_ANY_MODEL`."""

_ANY_MODEL = "some-model"
"""A model's name that most simulated providers accept."""


class CommandLineError(Exception):
    """A mistake in the command's arguments or input; the text contains what to write instead."""


class OutputError(Exception):
    """The output cannot be written; the text contains where and why."""


@asynccontextmanager
async def client_for(model: str, base_url: str | None = None) -> AsyncGenerator[tuple[AsyncCompletion, str]]:
    """A client, and the name of `model` for it; for a model that begins with ``sim/``, the simulator runs meanwhile."""
    if not model.startswith(SIMULATED):
        async with AsyncCompletion(base_urls=_base_urls(model, base_url)) as client:
            yield client, model
        return
    provider, _, name = model.removeprefix(SIMULATED).partition("/")
    simulator = SimulatorServer()
    variants = PROVIDERS["openai"].variants
    if provider not in simulator.api_keys and provider not in variants:
        known = ", ".join(f"{SIMULATED}{each}" for each in [*simulator.api_keys, *variants])
        raise CommandLineError(f"--model {model}: the simulator knows {known}")
    if base_url is not None:
        raise CommandLineError(f"--base-url: {model} is answered by the simulator; name another model with --model")
    async with (
        simulator as server,
        AsyncCompletion(base_urls=server.base_urls, api_keys=server.api_keys) as client,
    ):
        asked = f"openai/{provider}" if provider in variants else provider
        yield client, f"{asked}/{name or SIMULATED_MODELS.get(provider, _ANY_MODEL)}"


def _base_urls(model: str, base_url: str | None) -> dict[str, str]:
    """The client's argument that has the provider of `model` at `base_url`, where its key is sent, too."""
    if base_url is None:
        return {}
    provider, slash, _ = model.partition("/")
    if not slash:
        raise CommandLineError("--base-url: needs a --model of the form provider/model, such as vllm/my-model")
    return {provider: base_url}


def key_variable(row: Provider, environment: Mapping[str, str]) -> str | None:
    """The environment variable that has the provider's key, token or credentials; None where none is set."""
    found = next((name for name in (*row.token_env, *row.key_env) if environment.get(name)), None)
    needed = row.auth.credentials_env[:2]
    return needed[0] if found is None and needed and all(map(environment.get, needed)) else found


# --- input ---


def decode_text(data: bytes, place: str) -> str:
    """Text in UTF-8, without the byte-order mark that some editors and spreadsheets write.

    Raises:
        CommandLineError: it is text in another encoding, or no text; the error names `place`.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        found = " but in UTF-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else ""
        raise CommandLineError(f"{place} is not text in UTF-8{found}; save it as UTF-8") from None


# --- output ---


_INVISIBLE = (
    *range(0x20),
    *range(0x7F, 0xA0),
    *(0x61C, 0x200E, 0x200F, 0x2028, 0x2029),
    *range(0x202A, 0x202F),
    *range(0x2066, 0x206A),
    *range(0xE0000, 0xE0080),
)
"""Control characters, line separators, marks that change the direction of text, and tags, which hide text."""

_CONTROLS = {code: "\ufffd" for code in _INVISIBLE if chr(code) not in "\t\n"}


def replace_controls(text: str) -> str:
    """`text` with control characters replaced: with them, a reply could send commands to the terminal."""
    return text.translate(_CONTROLS)


def print_text(text: str, end: str = "") -> None:
    """Prints to stdout; control characters are replaced on a terminal and kept elsewhere.

    Raises:
        OutputError: stdout is closed or cannot be written.
        BrokenPipeError: its reader has closed it.
    """
    if sys.stdout is None:  # pyright: ignore[reportUnnecessaryComparison]  # a process can be started without one
        raise OutputError("stdout is closed, so there is nowhere to write the output")
    try:
        print(replace_controls(text) if sys.stdout.isatty() else text, end=end, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"stdout: {error.strerror or error}") from None


def print_note(text: str) -> None:
    """Prints a line for the user to stderr, so that it does not mix with replies."""
    if sys.stderr is not None:  # pyright: ignore[reportUnnecessaryComparison]  # as above
        print(replace_controls(text), file=sys.stderr, flush=True)
