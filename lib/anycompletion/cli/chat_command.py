"""`anycompletion chat`: one chat, printed as it arrives; several choices side by side on a terminal."""

from __future__ import annotations

import asyncio
import json as json_module
import os
import sys
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Annotated, Any, TextIO, cast

from attrs import frozen
from cyclopts import Parameter
from cyclopts.validators import Number

from .. import PROVIDERS, AsyncCompletion, ChatCompletion, CreateParams
from .common import OK, SIMULATED, CommandLineError, client_for, print_note, print_text, replace_controls

MIN_COLUMN_WIDTH = 24
"""Characters of a column; choices that would get fewer continue in the next row."""

OTHER_FLAGS = {
    "api_key": "an environment variable such as OPENAI_API_KEY, which no list of processes shows,",
    "messages": "the prompt and --system",
    "model": "--model",
    "n": "-n",
    "stream": "--no-stream",
    "timeout": "--timeout",
}
"""Parameters that have a flag of their own and are refused by `--option`."""


@frozen
class ChatArguments:
    """The arguments of `anycompletion chat`, parsed."""

    model: str
    messages: list[dict[str, str]]
    params: CreateParams
    n: int
    stream: bool
    json: bool


def chat(
    prompt: str = "",
    /,
    *,
    model: Annotated[str | None, Parameter(("--model", "-m"))] = None,
    system: Annotated[str | None, Parameter(("--system", "-s"))] = None,
    n: Annotated[int, Parameter("-n", validator=Number(gte=1))] = 1,
    option: Annotated[tuple[str, ...], Parameter(("--option", "-o"), negative=(), show_default=False)] = (),
    stream: Annotated[bool, Parameter(negative="--no-stream", show_default=False)] = True,
    json: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    timeout: float | None = None,
) -> int:
    """Asks a model, and prints the reply as it arrives.

    Text on stdin is appended to the prompt, or is the prompt if there is none.

    Parameters
    ----------
    prompt
        What to ask.
    model
        provider/model, such as openai/gpt-4o-mini; default: ANYCOMPLETION_MODEL. With sim/openai or
        sim/anthropic a simulator on this machine answers.
    system
        How the model should answer.
    n
        How many answers: side by side on a terminal, one after another elsewhere.
    option
        A parameter as name=value, such as temperature=0; the value is JSON, or else text. May be repeated.
    stream
        Print the reply as it arrives, or when it is complete.
    json
        Print the whole reply as one line of JSON, in OpenAI's format.
    timeout
        Seconds the whole call may take.
    """
    messages = [] if system is None else [{"role": "system", "content": system}]
    messages.append({"role": "user", "content": _join_prompt(prompt, _read_piped(sys.stdin))})
    params = cast("CreateParams", _parse_options(option) | {"n": n, "timeout": timeout})
    return asyncio.run(_run(ChatArguments(_choose_model(model, os.environ), messages, params, n, stream, json)))


# --- arguments ---


def _read_piped(source: TextIO | None) -> str:
    """The text piped into stdin; "" at a terminal."""
    if source is None or source.closed or source.isatty():
        return ""
    try:
        return source.read()
    except UnicodeDecodeError:
        raise CommandLineError("stdin is not text in UTF-8") from None


def _join_prompt(prompt: str, piped: str) -> str:
    text = "\n\n".join(part for part in (prompt, piped.strip()) if part)
    if not text:
        raise CommandLineError(
            'Nothing to ask: give a prompt, as in anycompletion chat "Knock knock.", or pipe one in.'
        )
    return text


def _parse_options(options: Sequence[str]) -> dict[str, Any]:
    """``name=value`` texts as parameters; a value that is not JSON is text."""
    params: dict[str, Any] = {}
    for option in options:
        name, equals, value = option.partition("=")
        if not equals or not name:
            raise CommandLineError("--option: write name=value")  # what was written may be a key
        if name in OTHER_FLAGS:
            raise CommandLineError(f"--option {name}: use {OTHER_FLAGS[name]} for this")
        if name not in CreateParams.__annotations__:
            close = get_close_matches(name, CreateParams.__annotations__, 3)
            hint = f"did you mean {' or '.join(close)}?" if close else "extra_body takes what only a provider knows"
            raise CommandLineError(f"--option {name}: no such parameter; {hint}")  # its value may be a key
        params[name] = _parse_value(value)
    return params


def _parse_value(text: str) -> Any:
    try:
        return json_module.loads(text)
    except ValueError:
        return text


def _choose_model(flag: str | None, environment: Mapping[str, str]) -> str:
    """The model to ask; the simulator's if no model is configured and no key that would allow another."""
    model = flag or environment.get("ANYCOMPLETION_MODEL")
    if model:
        return model
    found = [name for row in PROVIDERS.values() for name in row.key_env if environment.get(name)]
    if found:
        raise CommandLineError(f"{found[0]} is set, but no model: name one with --model or ANYCOMPLETION_MODEL.")
    print_note("No model and no key was given: a simulator on this machine answers. Name a model with --model.")
    return f"{SIMULATED}openai"


# --- the call ---


async def _run(arguments: ChatArguments) -> int:
    async with client_for(arguments.model) as (client, model):
        if arguments.json:
            reply = await _create(client, model, arguments)
            print_text(json_module.dumps(reply.to_dict(), ensure_ascii=False), end="\n")
        elif arguments.n > 1:
            reply = await _print_choices(client, model, arguments)
        else:
            reply = await _print_reply(client, model, arguments)
    _print_warnings(reply)
    return OK


async def _create(client: AsyncCompletion, model: str, arguments: ChatArguments) -> ChatCompletion:
    return await client.create(model, arguments.messages, **arguments.params)


async def _print_reply(client: AsyncCompletion, model: str, arguments: ChatArguments) -> ChatCompletion:
    """Prints one choice, as it arrives or at the end."""
    if not arguments.stream:
        reply = await _create(client, model, arguments)
        print_text(_with_newline(reply.text))
        return reply
    async with client.stream(model, arguments.messages, **arguments.params) as stream:
        last = ""
        try:
            async for text in stream.text:
                print_text(text)
                last = text or last
        finally:  # after Ctrl-C and a failure, too: the shell's prompt begins a line
            if last and not last.endswith("\n"):
                print_text("\n")
        print_text("" if last else "\n")
        return await stream.get_final_completion()


async def _print_choices(client: AsyncCompletion, model: str, arguments: ChatArguments) -> ChatCompletion:
    """Prints several choices: side by side and live on a terminal, one after another elsewhere."""
    if arguments.stream and sys.stdout.isatty():
        return await _print_side_by_side(client, model, arguments)
    reply = await _create(client, model, arguments)
    parts = [f"--- choice {number} ---\n{_with_newline(text)}" for number, text in enumerate(reply.texts, 1)]
    print_text("\n".join(parts))
    return reply


async def _print_side_by_side(client: AsyncCompletion, model: str, arguments: ChatArguments) -> ChatCompletion:
    from rich.console import Console  # noqa: PLC0415 (slow to import, and only this needs it)
    from rich.live import Live  # noqa: PLC0415 (as above)
    from rich.panel import Panel  # noqa: PLC0415 (as above)
    from rich.table import Table  # noqa: PLC0415 (as above)
    from rich.text import Text  # noqa: PLC0415 (as above)

    console = Console(file=sys.stdout)
    texts = dict.fromkeys(range(arguments.n), "")
    per_row = min(arguments.n, max(1, console.width // MIN_COLUMN_WIDTH))

    def grid() -> Table:
        table = Table.grid(expand=True)
        for _ in range(per_row):
            table.add_column(ratio=1)
        panels = [Panel(Text(text), title=f"choice {number}") for number, text in enumerate(texts.values(), 1)]
        for first in range(0, len(panels), per_row):
            table.add_row(*panels[first : first + per_row])
        return table

    try:
        # Live shows at most one screenful, so it is transient and the whole grid is printed at the end.
        with Live(console=console, transient=True, get_renderable=grid, refresh_per_second=12):
            async with client.stream(model, arguments.messages, **arguments.params) as stream:
                async for chunk in stream:
                    for choice in chunk.choices:
                        text = replace_controls(choice.delta.content or "")
                        texts[choice.index] = texts.get(choice.index, "") + text
                return await stream.get_final_completion()
    finally:
        if any(texts.values()):
            console.print(grid())


def _with_newline(text: str) -> str:
    return text if text.endswith("\n") else text + "\n"


def _print_warnings(reply: ChatCompletion) -> None:
    """Prints to stderr what the text of the reply does not show."""
    for warning in reply.info.warnings:
        print_note(f"Note: {warning}")
    for choice in reply.choices:
        if choice.finish_reason not in ("stop", None):
            print_note(f"Note: choice {choice.index + 1} ended with {choice.finish_reason}.")
