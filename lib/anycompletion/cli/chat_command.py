"""`anycompletion chat`: one chat, printed as it arrives; several choices side by side on a terminal."""

from __future__ import annotations

import asyncio
import json as json_module
import os
import select
import sys
from collections.abc import Mapping
from typing import Annotated, TextIO, cast

from attrs import frozen
from cyclopts import Parameter
from cyclopts.validators import Number

from .. import PROVIDERS, AsyncCompletion, ChatCompletion, CreateParams
from .call_options import OTHER_FLAGS, BaseURL, Option, parse_options
from .common import (
    OK,
    SIMULATED,
    CommandLineError,
    client_for,
    decode_text,
    key_variable,
    print_note,
    print_text,
    replace_controls,
)

MIN_COLUMN_WIDTH = 24
"""Characters of a column; choices that would get fewer continue in the next row."""

_OTHER_FLAGS = {**OTHER_FLAGS, "messages": "the prompt and --system", "n": "-n", "stream": "--no-stream"}

_STDIN_NOTE = 2.0
"""Seconds without any input on stdin after which a note names what the command waits for."""


@frozen
class ChatArguments:
    """The arguments of `anycompletion chat`, parsed."""

    model: str
    messages: list[dict[str, str]]
    params: CreateParams
    n: int
    stream: bool
    json: bool
    base_url: str | None


def chat(
    prompt: Annotated[str, Parameter(show_default=False)] = "",
    /,
    *,
    model: Annotated[str | None, Parameter(("--model", "-m"))] = None,
    system: Annotated[str | None, Parameter(("--system", "-s"))] = None,
    n: Annotated[int, Parameter("-n", validator=Number(gte=1))] = 1,
    option: Option = (),
    stream: Annotated[bool, Parameter(negative="--no-stream", show_default=False)] = True,
    json: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    timeout: float | None = None,
    base_url: BaseURL = None,
) -> int:
    """Asks a model, and prints the reply as it arrives.

    Text on stdin is appended to the prompt: cat report.txt | anycompletion chat "Summarise." -m openai/gpt-4o-mini

    Parameters
    ----------
    prompt
        What to ask, in quotes; without it, or with -, the text on stdin.
    model
        provider/model, such as openai/gpt-4o-mini ("anycompletion providers" lists the providers); default:
        ANYCOMPLETION_MODEL. With sim/openai or sim/anthropic a simulator on this machine answers, without a key.
    system
        How the model should answer.
    n
        How many answers: side by side on a terminal, one after another elsewhere.
    stream
        Print the reply as it arrives (the default), or when it is complete.
    json
        Print the whole reply as one line of JSON, in OpenAI's format.
    timeout
        Seconds the whole call may take; default: 600.
    """
    messages = [] if system is None else [{"role": "system", "content": system}]
    messages.append({"role": "user", "content": _join_prompt(prompt, _read_piped(sys.stdin, bool(prompt)))})
    params = cast("CreateParams", parse_options(option, _OTHER_FLAGS) | {"n": n, "timeout": timeout})
    chosen = _choose_model(model, os.environ)
    return asyncio.run(_run(ChatArguments(chosen, messages, params, n, stream, json, base_url)))


# --- arguments ---


def _read_piped(source: TextIO | None, has_prompt: bool) -> str:
    """The text piped into stdin; "" at a terminal."""
    if source is None or source.closed or source.isatty():
        return ""
    if has_prompt and _is_silent(source):
        print_note("Waiting for text on stdin, which is appended to the prompt; with </dev/null there is none.")
    return decode_text(source.buffer.read(), "stdin") if hasattr(source, "buffer") else source.read()


def _is_silent(source: TextIO) -> bool:
    """Whether a pipe has brought nothing for `_STDIN_NOTE` seconds, as one has that its other end forgot to close."""
    try:
        return not select.select([source], [], [], _STDIN_NOTE)[0]
    except (OSError, ValueError):
        return False  # Windows waits for sockets only


def _join_prompt(prompt: str, piped: str) -> str:
    text = "\n\n".join(part for part in (prompt, piped.strip()) if part)
    if not text.strip():
        raise CommandLineError(
            'Nothing to ask: give a prompt, as in anycompletion chat "Knock knock.", or pipe one in.'
        )
    return text


def _choose_model(flag: str | None, environment: Mapping[str, str]) -> str:
    """The model to ask; the simulator's if no model is configured and no key that would allow another."""
    model = flag or environment.get("ANYCOMPLETION_MODEL")
    if model:
        return model
    found = next(filter(None, (key_variable(row, environment) for row in PROVIDERS.values())), None)
    if found is not None:
        raise CommandLineError(
            f"{found} is set, but no model: name one with --model or ANYCOMPLETION_MODEL, such as openai/gpt-4o."
        )
    print_note("No model and no key was given: a simulator on this machine answers. Name a model with --model.")
    return f"{SIMULATED}openai"


# --- the call ---


async def _run(arguments: ChatArguments) -> int:
    async with client_for(arguments.model, arguments.base_url) as (client, model):
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
        if not last:  # an empty reply is an empty line, and a failed call prints nothing
            print_text("\n")
        return await stream.get_final_completion()


async def _print_choices(client: AsyncCompletion, model: str, arguments: ChatArguments) -> ChatCompletion:
    """Prints several choices: side by side and live on a terminal, one after another elsewhere."""
    if arguments.stream and sys.stdout.isatty():
        return await _print_side_by_side(client, model, arguments)
    reply = await _create(client, model, arguments)
    parts = [f"--- choice {number} ---\n{_with_newline(text)}" for number, text in enumerate(reply.texts)]
    print_text("\n".join(parts))
    return reply


async def _print_side_by_side(client: AsyncCompletion, model: str, arguments: ChatArguments) -> ChatCompletion:
    from rich.console import Console, Group  # noqa: PLC0415 (slow to import, and only this needs it)
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
        panels = [Panel(Text(text), title=f"choice {number}") for number, text in texts.items()]
        for first in range(0, len(panels), per_row):
            table.add_row(*panels[first : first + per_row])
        return table

    try:
        # Live shows at most one screenful, so it is transient and the whole grid is printed at the end. The terminal
        # writes its ^C at the cursor, which is in a line of its own so that it moves no other line.
        with Live(console=console, transient=True, get_renderable=lambda: Group(grid(), Text()), refresh_per_second=12):
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
            which = "the reply" if len(reply.choices) == 1 else f"choice {choice.index}"
            meaning = _MEANINGS.get(choice.finish_reason, "")
            print_note(f"Note: {which} ended with {choice.finish_reason}{meaning}.")


_MEANINGS = {
    "length": ", which is the limit of its tokens (-o max_tokens=...)",
    "content_filter": ", which is the provider's filter",
    "tool_calls": ": it calls tools, which --json shows",
}
"""Finish reason → clause that explains it."""
