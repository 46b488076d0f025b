"""The command line: one chat, many, a local simulator; uses only what any user of the package can use.

Replies go to stdout, everything else to stderr. Exit codes: 0, 1 a call failed, 2 usage or configuration, 130 Ctrl-C.
"""

import asyncio
import json
import os
import sys
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from difflib import get_close_matches
from importlib.util import find_spec
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO, cast

from attrs import frozen

from .. import (
    PROVIDERS,
    AsyncCompletion,
    ChatCompletion,
    CompletionError,
    ConfigurationError,
    CreateParams,
    InvalidRequestError,
    Provider,
    __version__,
    known_providers,
)
from ..testing import SimulatorServer
from . import batch as many
from .common import FAILED, INTERRUPTED, OK, SIMULATED, USAGE, CommandLineError, client_for, say, visible

if TYPE_CHECKING:
    from cyclopts import App

NARROWEST = 24
"""Characters of a column below which choices that stand side by side go on in the next row."""

OWN_FLAGS = {
    "messages": "the prompt and --system",
    "model": "--model",
    "n": "-n",
    "stream": "--no-stream",
    "timeout": "--timeout",
}
"""Parameters that `--option` leaves to other flags."""


@frozen
class Question:
    """What `anycompletion chat` was asked, ready to be sent."""

    model: str
    messages: list[dict[str, str]]
    params: CreateParams
    n: int
    stream: bool
    json: bool


# --- the commands ---


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line `arguments` (default: the process's own), and returns the exit code."""
    if find_spec("cyclopts") is None:
        say("The command line needs one more package: pip install 'anycompletion[cli]'")
        return USAGE
    from cyclopts import CycloptsError  # noqa: PLC0415 (an extra, which may be missing)

    _settle_encodings()
    try:
        code = _app()(sys.argv[1:] if arguments is None else arguments)
    except CycloptsError:
        return USAGE  # Cyclopts has said what is wrong
    except (CommandLineError, ConfigurationError, InvalidRequestError) as fault:
        say(str(fault))
        return USAGE
    except CompletionError as fault:
        say(f"{type(fault).__name__}: {fault}")
        return FAILED
    except BrokenPipeError:
        _hush(sys.stdout)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    return OK if code is None else code


def _app() -> "App":
    from cyclopts import App, Parameter  # noqa: PLC0415 (an extra, which may be missing)
    from cyclopts.validators import Number  # noqa: PLC0415 (likewise)

    app = App(
        name="anycompletion",
        help="One chat-completion format in, any provider out.",
        version=__version__,
        exit_on_error=False,
        result_action="return_value",
    )

    @app.command
    def chat(  # pyright: ignore[reportUnusedFunction] (the decorator keeps it)
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
        """Asks a model, and prints the reply as it comes.

        Text on stdin is put below the prompt, or is the prompt where there is none.

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
            Print the reply as it comes, or when it is complete.
        json
            Print the whole reply as one line of JSON, in OpenAI's format.
        timeout
            Seconds the whole call may take.
        """
        messages = [] if system is None else [{"role": "system", "content": system}]
        messages.append({"role": "user", "content": _prompt(prompt, _piped(sys.stdin))})
        params = _options(option) | {"n": n, "timeout": timeout}
        question = Question(_model(model, os.environ), messages, cast("CreateParams", params), n, stream, json)
        return _run(_ask(question))

    @app.command
    def batch(  # pyright: ignore[reportUnusedFunction] (the decorator keeps it)
        requests: Annotated[str, Parameter(allow_leading_hyphen=True)] = "-",
        /,
        *,
        model: Annotated[str | None, Parameter(("--model", "-m"))] = None,
        concurrency: Annotated[int | None, Parameter(validator=Number(gte=1))] = None,
        journal: Path | None = None,
        output: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
        ordered: Annotated[bool, Parameter(negative=())] = False,
    ) -> int:
        """Asks many questions, so many at a time, and writes a line of JSON for each answer.

        Each line of the input is one request: an input line of OpenAI's Batch API, or {"custom_id": …, "messages": …}.
        The answers are output lines of OpenAI's Batch API. With a journal, the same command goes on where it was
        interrupted: what is answered is skipped, what failed for a reason that may pass is asked again.

        Parameters
        ----------
        requests
            A file of requests; - is stdin.
        model
            provider/model for all requests, whatever they say; default: their own, or ANYCOMPLETION_MODEL. With
            sim/openai a simulator on this machine answers.
        concurrency
            How many requests are under way at most; by default as many as each provider takes.
        journal
            The file that keeps the answers.
        output
            Where the answers are written; - is stdout, which is the default without a journal.
        ordered
            Write the answers in the order of the requests.
        """
        job = many.Job(requests, model, os.environ.get("ANYCOMPLETION_MODEL"), concurrency, journal, output, ordered)
        return _run(many.run(job))

    @app.command
    def providers() -> int:  # pyright: ignore[reportUnusedFunction] (the decorator keeps it)
        """Lists the providers: whether their key was found, the format they speak, where they are."""
        print(*_table(known_providers().values(), os.environ), sep="\n")
        return OK

    @app.command
    def simulate(*, port: int = 0) -> int:  # pyright: ignore[reportUnusedFunction] (the decorator keeps it)
        """Serves a simulator of the providers on 127.0.0.1 until Ctrl-C.

        Parameters
        ----------
        port
            Where to listen; 0 takes any free port.
        """
        return _run(_simulate(port))

    return app


def _run(work: Coroutine[Any, Any, int]) -> int:
    return asyncio.run(work)


# --- the address book ---


def _table(rows: Iterable[Provider], environment: Mapping[str, str]) -> list[str]:
    """One line per provider, in columns."""
    lines = [("PROVIDER", "FORMAT", "BASE URL", "KEY")]
    lines += [
        (row.name, row.dialect, _base_url(row, environment), _key_state(row, environment))
        for row in sorted(rows, key=lambda row: row.name)
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]


def _key_state(row: Provider, environment: Mapping[str, str]) -> str:
    found = next((name for name in (*row.token_env, *row.key_env) if environment.get(name)), None)
    if found is not None:
        return f"found: {found}"
    return "none needed" if row.key_optional else f"missing: {', '.join(row.key_env)}"


def _base_url(row: Provider, environment: Mapping[str, str]) -> str:
    found = next((environment[name] for name in row.base_url_env if environment.get(name)), None)
    return found or row.base_url or f"missing: {', '.join(row.base_url_env) or 'base_urls'}"


# --- arguments → a question ---


def _piped(source: TextIO | None) -> str:
    """What was piped in; "" at a terminal."""
    if source is None or source.closed or source.isatty():
        return ""
    try:
        return source.read()
    except UnicodeDecodeError:
        raise CommandLineError("stdin is not text in UTF-8") from None


def _prompt(prompt: str, piped: str) -> str:
    text = "\n\n".join(part for part in (prompt, piped.strip()) if part)
    if not text:
        raise CommandLineError(
            'Nothing to ask: give a prompt, as in anycompletion chat "Knock knock.", or pipe one in.'
        )
    return text


def _options(options: Sequence[str]) -> dict[str, Any]:
    """``name=value`` texts as parameters; a value that is not JSON is text."""
    params: dict[str, Any] = {}
    for option in options:
        name, equals, value = option.partition("=")
        if not equals or not name:
            raise CommandLineError(f"--option {option}: write name=value")
        if name in OWN_FLAGS:
            raise CommandLineError(f"--option {option}: use {OWN_FLAGS[name]} for this")
        if name not in CreateParams.__annotations__:
            close = get_close_matches(name, CreateParams.__annotations__, 3)
            hint = f"did you mean {' or '.join(close)}?" if close else "extra_body takes what only a provider knows"
            raise CommandLineError(f"--option {option}: no such parameter; {hint}")
        params[name] = _value(value)
    return params


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _model(wanted: str | None, environment: Mapping[str, str]) -> str:
    """The model to ask; the simulator where nobody named one and there is no key to ask another."""
    model = wanted or environment.get("ANYCOMPLETION_MODEL")
    if model:
        return model
    found = [name for row in PROVIDERS.values() for name in row.key_env if environment.get(name)]
    if found:
        raise CommandLineError(f"{found[0]} is set, but no model: name one with --model or ANYCOMPLETION_MODEL.")
    say("No model and no key was given: a simulator on this machine answers. Name a model with --model.")
    return f"{SIMULATED}openai"


# --- asking ---


async def _ask(question: Question) -> int:
    async with client_for(question.model) as (client, model):
        if question.json:
            reply = await _whole(client, model, question)
            _print(json.dumps(reply.to_dict(), ensure_ascii=False), end="\n")
        elif question.n > 1:
            reply = await _several(client, model, question)
        else:
            reply = await _one(client, model, question)
    _remark(reply)
    return OK


async def _whole(client: AsyncCompletion, model: str, question: Question) -> ChatCompletion:
    return await client.create(model, question.messages, **question.params)


async def _one(client: AsyncCompletion, model: str, question: Question) -> ChatCompletion:
    """One answer, printed as it comes or at the end."""
    if not question.stream:
        reply = await _whole(client, model, question)
        _print(_ended(reply.text))
        return reply
    async with client.stream(model, question.messages, **question.params) as stream:
        last = ""
        async for text in stream.text:
            _print(text)
            last = text or last
        _print("" if last.endswith("\n") else "\n")
        return await stream.get_final_completion()


async def _several(client: AsyncCompletion, model: str, question: Question) -> ChatCompletion:
    """Several answers: side by side and live on a terminal, one after another elsewhere."""
    if question.stream and sys.stdout.isatty():
        return await _side_by_side(client, model, question)
    reply = await _whole(client, model, question)
    parts = [f"--- choice {number} ---\n{_ended(text)}" for number, text in enumerate(reply.texts, 1)]
    _print("\n".join(parts))
    return reply


async def _side_by_side(client: AsyncCompletion, model: str, question: Question) -> ChatCompletion:
    from rich.console import Console  # noqa: PLC0415 (comes with the extra, which may be missing)
    from rich.live import Live  # noqa: PLC0415 (likewise)
    from rich.panel import Panel  # noqa: PLC0415 (likewise)
    from rich.table import Table  # noqa: PLC0415 (likewise)
    from rich.text import Text  # noqa: PLC0415 (likewise)

    console = Console(file=sys.stdout)
    texts = [""] * question.n
    per_row = min(question.n, max(1, console.width // NARROWEST))

    def grid() -> Table:
        table = Table.grid(expand=True)
        for _ in range(per_row):
            table.add_column(ratio=1)
        panels = [Panel(Text(text), title=f"choice {number}") for number, text in enumerate(texts, 1)]
        for first in range(0, len(panels), per_row):
            table.add_row(*panels[first : first + per_row])
        return table

    try:
        # Live shows no more than a screenful, so it cleans up after itself and the whole is printed at the end.
        with Live(console=console, transient=True, get_renderable=grid, refresh_per_second=12):
            async with client.stream(model, question.messages, **question.params) as stream:
                async for chunk in stream:
                    for choice in chunk.choices:
                        texts[choice.index] += visible(choice.delta.content or "")
                return await stream.get_final_completion()
    finally:
        if any(texts):
            console.print(grid())


async def _simulate(port: int) -> int:
    try:
        server = await SimulatorServer(port=port).start()
    except (OSError, ValueError) as fault:
        raise CommandLineError(f"--port {port}: {fault}") from None
    try:
        _announce(server)
        await asyncio.Event().wait()
    finally:
        await server.aclose()
    return OK


def _announce(server: SimulatorServer) -> None:
    for provider, url in server.base_urls.items():
        row = PROVIDERS[provider]
        _print(f"{provider} {url}\n")
        say(f"export {row.base_url_env[0]}={url} {row.key_env[0]}={server.api_keys[provider]}")
    say("Ctrl-C ends it.")


# --- printing ---


def _ended(text: str) -> str:
    return text if text.endswith("\n") else text + "\n"


def _print(text: str, end: str = "") -> None:
    print(visible(text) if sys.stdout.isatty() else text, end=end, flush=True)


def _remark(reply: ChatCompletion) -> None:
    """Says on stderr what the text of the reply does not show."""
    for warning in reply.info.warnings:
        say(f"Note: {warning}")
    for choice in reply.choices:
        if choice.finish_reason not in ("stop", None):
            say(f"Note: choice {choice.index + 1} ended with {choice.finish_reason}.")


def _settle_encodings() -> None:
    """Input is UTF-8 or refused; output replaces what this terminal cannot show, which a reply may well hold."""
    settings = ((sys.stdin, "utf-8", "strict"), (sys.stdout, None, "replace"), (sys.stderr, None, "replace"))
    for stream, encoding, errors in settings:
        if isinstance(stream, TextIOWrapper):
            cast("TextIOWrapper", stream).reconfigure(encoding=encoding, errors=errors)


def _hush(stream: TextIO) -> None:
    """Points a stream whose reader has gone at nothing, so that Python can flush it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
