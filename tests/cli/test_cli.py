"""The command line as a process of its own and as a function."""

import asyncio
import io
import json
import os
import pty
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from anycompletion import PROVIDERS, AsyncCompletion, ChatCompletion, __version__, cli
from anycompletion.cli import common
from anycompletion.cli.call_options import parse_options
from anycompletion.testing import FAULTS, Recorder, SimulatorServer

COMMAND = (sys.executable, "-W", "error", "-X", "dev", "-m", "anycompletion")
INTERRUPTIBLE = (
    *(sys.executable, "-W", "error", "-c"),
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from anycompletion.cli import main; sys.exit(main())",
)
"""The command with Ctrl-C enabled: a shell starts background jobs, such as a test run may be, with it ignored."""

BARE = {
    name: value
    for name, value in os.environ.items()
    if name != "ANYCOMPLETION_MODEL"
    and not any(name in (*row.key_env, *row.token_env, *row.base_url_env) for row in PROVIDERS.values())
}
"""The environment without a model or a key."""


SERVED = SimulatorServer().api_keys.keys()
"""The providers that the simulator serves."""


def without_slow_steps(err: bytes) -> str:
    """What was written to stderr, without asyncio's reports of slow steps, which depend on the machine's load."""
    return re.sub(r"^Executing <.*> took [\d.]+ seconds\n", "", err.decode(), flags=re.MULTILINE)


class Completed(NamedTuple):
    """Exit code and output of a command."""

    code: int | None
    out: str
    err: str


async def run(*arguments: str, stdin: str | bytes | None = None, **environment: str) -> Completed:
    """Runs the command in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        *arguments,
        env=BARE | environment,
        stdin=asyncio.subprocess.DEVNULL if stdin is None else PIPE,
        stdout=PIPE,
        stderr=PIPE,
    )
    data = stdin.encode() if isinstance(stdin, str) else stdin
    out, err = await asyncio.wait_for(process.communicate(data), 60)
    return Completed(process.returncode, out.decode(), without_slow_steps(err))


def environment_of(simulator: SimulatorServer) -> dict[str, str]:
    """The environment that makes the simulator every provider."""
    values: dict[str, str] = {}
    for name, url in simulator.base_urls.items():
        row = PROVIDERS[name]
        values |= dict.fromkeys(row.base_url_env[:1], url) | {row.key_env[0]: simulator.api_keys[name]}
    return values


@pytest.fixture
async def simulator() -> AsyncIterator[SimulatorServer]:
    """A simulator that repeats the last message."""
    async with SimulatorServer(reply=lambda body: f"You wrote: {body['messages'][-1]['content']}") as server:
        yield server


Main = Callable[..., Completed]


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Main:
    """Runs the command as a function, in the bare environment."""
    for name in os.environ.keys() - BARE.keys():
        monkeypatch.delenv(name)

    def call(*arguments: str, stdin: str = "") -> Completed:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        code = cli.main(arguments)
        return Completed(code, *capsys.readouterr())

    return call


# --- replies -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [[], ["--no-stream"]])
async def test_only_the_reply_is_written_to_stdout(simulator: SimulatorServer, more: Sequence[str]) -> None:
    """A script could not use the reply."""
    done = await run("chat", "Hello!", "-m", "openai/gpt-4o-mini", *more, **environment_of(simulator))
    assert done == Completed(0, "You wrote: Hello!\n", "")


async def test_flags_reach_the_provider(simulator: SimulatorServer) -> None:
    """A flag would be accepted and ignored."""
    flags = (
        "-s",
        "One line.",
        "-o",
        "temperature=0.5",
        "-o",
        "logprobs=True",
        "-o",
        'stop=["END"]',
        "--option",
        "user=me",
        "--timeout",
        "30",
    )
    await run("chat", "Hi.", "--model", "openai/gpt-4o-mini", *flags, **environment_of(simulator))
    (request,) = simulator.requests
    assert request.body is not None
    assert request.body["messages"] == [
        {"role": "system", "content": "One line."},
        {"role": "user", "content": "Hi."},
    ]
    assert {name: request.body[name] for name in ("temperature", "logprobs", "stop", "user", "stream")} == {
        "temperature": 0.5,
        "logprobs": True,
        "stop": ["END"],
        "user": "me",
        "stream": True,
    }


TEXTS: dict[str, object] = {
    "user=42": "42",
    "user=true": "true",
    "user=[1]": "[1]",
    'user="a b"': "a b",
    "stop=7": "7",
    'stop=["a", "b"]': ["a", "b"],
    "tool_choice=auto": "auto",
    "seed=7": 7,
}
"""Option → its value."""


@pytest.mark.parametrize("option", TEXTS)
def test_texts_that_are_json_stay_texts(option: str) -> None:
    """A user's id or an API version that consists of digits could not be given."""
    name = option.partition("=")[0]
    assert parse_options([option], {}) == {name: TEXTS[option]}
    nested = "[" * 100_000
    assert parse_options([f"{name}={nested}"], {}) == {name: nested}, "deeper than a parser goes"


async def test_the_model_can_come_from_the_environment(simulator: SimulatorServer) -> None:
    """ANYCOMPLETION_MODEL would be ignored, or override the flag."""
    environment = environment_of(simulator) | {"ANYCOMPLETION_MODEL": "anthropic/claude-haiku-4-5"}
    await run("chat", "Hi.", **environment)
    await run("chat", "Hi.", "-m", "openai/gpt-4o-mini", **environment)
    assert [request.provider for request in simulator.requests] == ["anthropic", "openai"]


async def test_piped_text_is_the_prompt_or_is_appended(simulator: SimulatorServer) -> None:
    """A file on stdin would not be sent."""
    environment = environment_of(simulator) | {"ANYCOMPLETION_MODEL": "openai/gpt-4o-mini"}
    assert (await run("chat", stdin="Grüße\n", **environment)).out == "You wrote: Grüße\n"
    assert (await run("chat", "Sum up.", stdin="a\nb\n", **environment)).out == "You wrote: Sum up.\n\na\nb\n"


@pytest.mark.parametrize("n", [1, 3])
async def test_json_is_one_completion(simulator: SimulatorServer, n: int) -> None:
    """`--json` could not be piped into a tool that reads OpenAI's format."""
    flags = ("-m", "anthropic/claude-haiku-4-5", "--json", "-n", str(n))
    done = await run("chat", "Hello!", *flags, **environment_of(simulator))
    reply = ChatCompletion.from_dict(json.loads(done.out))
    assert done.out.count("\n") == 1
    assert reply.texts == ["You wrote: Hello!"] * n
    assert not any(
        request.body["stream"] for request in simulator.requests if request.body and "stream" in request.body
    )


async def test_several_choices_are_written_one_after_another_without_a_terminal(simulator: SimulatorServer) -> None:
    """The chunks of several choices would be interleaved in a pipe or a file."""
    done = await run("chat", "Hello!", "-m", "openai/gpt-4o-mini", "-n", "2", **environment_of(simulator))
    text = "You wrote: Hello!"
    assert done == Completed(0, f"--- choice 0 ---\n{text}\n\n--- choice 1 ---\n{text}\n", "")


async def test_several_choices_are_side_by_side_on_a_terminal(simulator: SimulatorServer) -> None:
    """On a terminal the choices would not be side by side, or be erased at the end."""
    screen = await on_terminal("chat", "Hello!", "-m", "openai/gpt-4o-mini", "-n", "2", **environment_of(simulator))
    last = screen.rstrip().splitlines()[-3:]
    assert "choice 0" in last[0]
    assert "choice 1" in last[0]
    assert last[1].count("You wrote: Hello!") == 2


async def test_a_choice_that_nothing_asked_for_is_shown(simulator: SimulatorServer) -> None:
    """A server that sends more choices than asked would end the command with a traceback."""
    simulator.fault = "3-choices"  # type: ignore[assignment]  # the setter takes names, too
    arguments = ("chat", "Hello!", "-m", "openai/gpt-4o-mini", "-n", "2")
    screen = await on_terminal(*arguments, noted=True, **environment_of(simulator))
    assert "choice 2" in screen


async def test_many_choices_continue_in_the_next_row(simulator: SimulatorServer) -> None:
    """Columns would become too narrow to read."""
    screen = await on_terminal("chat", "Hello!", "-m", "openai/gpt-4o-mini", "-n", "6", **environment_of(simulator))
    rows = [[f"choice {number}" in line for number in range(6)] for line in screen.splitlines() if "choice" in line]
    assert rows[-2:] == [[True] * 4 + [False] * 2, [False] * 4 + [True] * 2]


async def test_a_failed_call_leaves_no_empty_columns(simulator: SimulatorServer) -> None:
    """A failure would be shown with empty columns."""
    arguments = ("chat", "Hello!", "-m", "openai/no-such-model", "-n", "2")
    screen = await on_terminal(*arguments, code=1, **environment_of(simulator))
    assert "choice" not in screen.rpartition("\x1b[2K")[2]  # the screen after the live columns are erased


async def test_a_reply_cannot_control_the_terminal(simulator: SimulatorServer) -> None:
    """A model could clear the screen, rename the window or fake the shell's prompt."""
    simulator.reply = "a\x1b[2Jb\x9b31mc"
    screen = await on_terminal("chat", "Hello!", "-m", "openai/gpt-4o-mini", **environment_of(simulator))
    assert screen == "a\ufffd[2Jb\ufffd31mc\r\n"


async def on_terminal(*arguments: str, code: int = 0, noted: bool = False, **environment: str) -> str:
    """The output of the command on a terminal; `noted` if it also writes a note to stderr."""
    ours, theirs = pty.openpty()
    try:
        process = await asyncio.create_subprocess_exec(
            *COMMAND,
            *arguments,
            env=BARE | {"TERM": "xterm", "COLUMNS": "100", "LINES": "40"} | environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=theirs,
            stderr=PIPE,
        )
    finally:
        os.close(theirs)
    screen, (_, err) = await asyncio.gather(asyncio.to_thread(_read_all, ours), process.communicate())
    assert (process.returncode, bool(without_slow_steps(err))) == (code, code != 0 or noted)
    return screen.decode()


def _read_all(terminal: int) -> bytes:
    with open(terminal, "rb", buffering=0) as file:
        data = b""
        try:
            while piece := file.read(65536):
                data += piece
        except OSError:
            pass  # how Linux reports that the other end of the terminal is closed
        return data


# --- the simulator -------------------------------------------------------------------------------------------------


async def test_without_model_and_key_the_simulator_replies_with_a_note() -> None:
    """The first command of the README would fail, or present a simulation as a provider's reply."""
    done = await run("chat", "Knock knock.")
    assert done.code == 0
    assert done.out.startswith("Who's there?")
    assert "simulator" in done.err


@pytest.mark.parametrize("model", ["sim/openai", "sim/anthropic", "sim/openai/some-model", "sim/responses"])
async def test_a_simulated_model_needs_no_key_and_ignores_base_urls_of_the_environment(model: str) -> None:
    """`-m sim/…` would call a real provider, or use the wrong format."""
    elsewhere = dict.fromkeys(("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL"), "https://unreachable.invalid")
    done = await run("chat", "Knock knock.", "-m", model, **elsewhere)
    assert done.code == 0
    assert done.out.startswith("Who's there?")
    assert "simulator" not in done.err


@pytest.mark.parametrize("provider", SERVED)
async def test_every_simulated_provider_has_a_model(provider: str) -> None:
    """`-m sim/…` would lack a provider that the simulator serves."""
    async with common.client_for(f"sim/{provider}") as (client, model):
        assert (await client.create(model, "Hi.")).text.startswith("You said: Hi.")


@pytest.mark.parametrize("variable", ["OPENAI_API_KEY", "ANTHROPIC_AUTH_TOKEN"])
def test_a_key_without_a_model_is_a_usage_error(main: Main, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    """A user with a key or a token would get the simulator, or a model they did not choose."""
    monkeypatch.setenv(variable, "made-up")
    done = main("chat", "Hello!")
    assert (done.code, done.out) == (2, "")
    assert f"{variable} is set, but no model" in done.err


@asynccontextmanager
async def serving(*arguments: str) -> AsyncIterator[tuple[Process, list[str]]]:
    """`anycompletion simulate` in a process of its own, and the lines for people that it prints at its start."""
    process = await asyncio.create_subprocess_exec(
        *(*INTERRUPTIBLE, "simulate", *arguments),
        env=BARE,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
    )
    assert process.stderr is not None
    try:
        notes = [""]
        while not notes[-1].startswith("Ctrl-C"):
            notes.append((await asyncio.wait_for(process.stderr.readline(), 30)).decode().removesuffix("\n"))
        yield process, notes[1:]
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def urls_of(notes: list[str]) -> dict[str, str]:
    """The base URLs among the lines for people, by provider."""
    return dict(note.split() for note in notes if note.split()[0] in SERVED)


async def exports_of(process: Process) -> dict[str, str]:
    """The environment of a shell that was given the lines for it that `anycompletion simulate` prints at its start."""
    assert process.stdout is not None
    commands = b""
    with suppress(TimeoutError):  # all of them are in the pipe before the last line for people is printed
        while True:
            commands += await asyncio.wait_for(process.stdout.readline(), 0.3)
    script = f"{commands.decode()}\nenv"
    done = await asyncio.create_subprocess_exec("bash", "-eu", "-c", script, env=BARE, stdout=PIPE)
    lines = (await done.communicate())[0].decode().splitlines()
    return {name: value for name, _, value in (line.partition("=") for line in lines) if BARE.get(name) != value}


async def test_simulate_serves_until_interrupted() -> None:
    """The simulator could not be used from another process, or would not stop cleanly."""
    async with serving() as (process, notes):
        assert notes[-1] == "Ctrl-C ends it."
        assert {note.split()[0] for note in notes[:-1] if not note.startswith("#")} == SERVED
        exports = await exports_of(process)
        done = await run("chat", "Knock knock.", "-m", "anthropic/claude-haiku-4-5", **exports)
        assert done.code == 0
        assert done.out.startswith("Who's there?")
        process.send_signal(signal.SIGINT)
        out, err = await asyncio.wait_for(process.communicate(), 30)
        assert (process.returncode, out, err) == (130, b"", b"")


async def test_simulate_exports_what_directs_programs_to_it(simulator: SimulatorServer, tmp_path: Path) -> None:
    """A shell would get the address as a key, or keep a variable that has priority over the simulator's."""
    urls, keys = {"venice": simulator.base_urls["openai"]}, {"venice": simulator.api_keys["openai"]}
    async with AsyncCompletion(providers=[Recorder(tmp_path)], base_urls=urls, api_keys=keys) as client:
        await client.create("venice/gpt-4o-mini", "Hi.")
    async with serving("--replay", str(tmp_path)) as (process, notes):
        exports = await exports_of(process)
    assert any(note.startswith("# venice: ") and note.endswith(" simulated-venice-key") for note in notes)
    served = {note.split()[0] for note in notes}
    assert {name for name, value in exports.items() if value.startswith("http")} == {
        row.base_url_env[0] for name, row in PROVIDERS.items() if name in served and row.base_url_env
    }


def test_simulate_lists_its_faults(main: Main) -> None:
    """A user without the README could not find out what can go wrong."""
    words = re.split(r"[\s│,.()]+", main("simulate", "--help").out)
    assert {*FAULTS, "N-choices", "cut-after-N-events", "reset-"} <= {*words}


async def test_simulate_listens_on_the_given_port() -> None:
    """`--port` would be ignored, or a port in use would raise a traceback."""
    async with serving() as (_, notes):
        port = urls_of(notes)["openai"].split(":")[2].split("/")[0]
        done = await run("simulate", "--port", port)
        assert (done.code, done.out) == (2, "")
        assert port in done.err
    async with serving("--port", port) as (_, notes):
        assert f"127.0.0.1:{port}" in urls_of(notes)["anthropic"]


async def test_simulate_goes_wrong_on_demand() -> None:
    """From the command line, the simulator could show no reply of one's own and no fault."""
    async with serving("--reply", "One.", "--fault", "server-error", "--chunk-delay", "0.01") as (_, notes):
        arguments = ("-m", "openai/gpt-4o", "--base-url", urls_of(notes)["openai"], "-o", "max_retries=0")
        done = await run("chat", "Hi.", *arguments, OPENAI_API_KEY="simulated-openai-key")
        assert (done.code, done.err.startswith("InternalServerError: openai/gpt-4o: 500 ")) == (1, True)
    async with serving("--reply", "One.") as (_, notes):
        arguments = ("-m", "anthropic/claude-x", "--base-url", urls_of(notes)["anthropic"])
        done = await run("chat", "Hi.", *arguments, ANTHROPIC_API_KEY="simulated-anthropic-key")
        assert (done.code, done.out) == (0, "One.\n")


# --- errors ------------------------------------------------------------------------------------------------------


async def test_a_failed_call_exits_1(simulator: SimulatorServer) -> None:
    """A script would take a failure for a reply."""
    model = "openai/no-such-model"
    for more in ([], ["--no-stream"], ["--json"], ["-n", "2"]):
        done = await run("chat", "Hello!", "-m", model, *more, **environment_of(simulator))
        assert (done.code, done.out) == (1, "")
        assert done.err.startswith("NotFoundError: ")


async def test_a_truncated_stream_keeps_its_text_and_exits_1(simulator: SimulatorServer) -> None:
    """A partial reply would look complete, be discarded, or leave the shell's prompt in its line."""
    simulator.fault = "cut-after-3-events"  # type: ignore[assignment]  # the setter takes names, too
    done = await run("chat", "Hello!", "-m", "anthropic/claude-haiku-4-5", **environment_of(simulator))
    assert done.code == 1
    assert "You wrote: Hello!".startswith(done.out.removesuffix("\n"))
    assert done.out[-1:] in ("", "\n")
    assert done.err.startswith("StreamInterruptedError: anthropic/claude-haiku-4-5: ")


async def test_warnings_are_written_to_stderr(simulator: SimulatorServer) -> None:
    """A reply truncated by max_tokens, or a dropped parameter, would not be noticed."""
    flags = ("-m", "anthropic/claude-haiku-4-5", "-o", "max_tokens=2", "-o", "seed=1", "-o", "on_unsupported=warn")
    done = await run("chat", "Hello!", *flags, **environment_of(simulator))
    assert done.code == 0
    assert "the reply ended with length, which is the limit of its tokens" in done.err
    assert "seed" in done.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["chat", "Hi.", "-m", "openai/gpt-4o-mini"], "OPENAI_API_KEY"),
        (["chat", "Hi.", "-m", "opanai/gpt-4o-mini"], "did you mean openai"),
        (["chat", "Hi.", "-m", "sim/unknown"], "sim/openai, sim/anthropic"),
        (["chat"], "Nothing to ask"),
        (["chat", "Hi.", "-m", "sim/openai", "-o", "temperature"], "write name=value"),
        (["chat", "Hi.", "-m", "sim/openai", "-o", "=1"], "write name=value"),
        (["chat", "Hi.", "-m", "sim/openai", "-o", "temprature=1"], "did you mean temperature"),
        (["chat", "Hi.", "-m", "sim/openai", "-o", "xyzzy=1"], "extra_body"),
        (["chat", "Hi.", "-m", "sim/openai", "-o", "n=2"], "use -n"),
        (["chat", "Hi.", "-m", "sim/openai", "-o", "temperature=warm"], "temperature"),
        (["chat", "Hi.", "-m", "sim/anthropic", "-o", "seed=1"], "seed"),
        (["chat", "Hi.", "-n", "0"], "-n"),
        (["chat", "Hi.", "-n", "many"], "-n"),
        (["chat", "Hi.", "--bogus"], "--bogus"),
        (
            ["chat", "how", "are", "you"],
            'Unexpected: are you. Put a text with spaces in quotes, as in anycompletion chat "',
        ),
        (["chat", "-5 degrees?"], 'as in anycompletion chat -- "-5 degrees?"'),
        (
            ["chat", "Hi.", "--modle", "sim/openai"],
            "Did you mean --model?\nanycompletion chat --help lists the options.",
        ),
        (["chat", " "], "Nothing to ask"),
        (["chat", "Hi.", "-m", "sim/openai", "-o", "base_url=x"], "use --base-url"),
        (["chat", "Hi.", "-m", "sim/openai", "--base-url", "https://x"], "is answered by the simulator"),
        (["chat", "Hi.", "-m", "gpt-4o", "--base-url", "https://x"], "needs a --model of the form provider/model"),
        (["chat", "Hi.", "-m", "sim/openai", "--timeout", "-1"], "timeout: must be more than 0 seconds"),
        (["simulate", "--fault", "rate-limt"], "the closest is 'rate-limit'"),
        (["simulate", "--latency", "-1"], "latency must not be negative"),
        (["simulate", "--chunk-delay", "-1"], "chunk_delay must not be negative"),
        (["simulate", "--replay", "/nowhere"], "/nowhere"),
        (["simulate", "--port", "99999"], "port must be from 0 to 65535"),
        (["simulate", "--host", "0.0.0.0"], "Unknown option: --host"),
        (["chta"], "chta"),
    ],
)
def test_usage_and_configuration_errors_exit_2(main: Main, arguments: Sequence[str], sentence: str) -> None:
    """A mistake would look like a failed call, or end in a traceback instead of a hint."""
    done = main(*arguments)
    assert (done.code, done.out) == (2, "")
    assert sentence in done.err
    assert "Traceback" not in done.err


IN_SHELL = {
    "no key": (["-m", "openai/x"], "no API key for openai: set OPENAI_API_KEY\n"),
    "one of several keys": (["-m", "cohere/x"], "no API key for cohere: set CO_API_KEY or COHERE_API_KEY\n"),
    "no base URL": (["-m", "gpustack/x"], "no base URL for gpustack: give --base-url\n"),
    "a base URL of the environment": (["-m", "azure/x"], "or AZURE_AI_API_BASE, or give --base-url\n"),
    "a part of the base URL": (["-m", "cloudflare/x"], ", or give --base-url\n"),
    "no provider": (["-m", "llama3"], "write provider/model, such as openai/gpt-4o\n"),
    "an unknown provider": (["-m", "nope/x"], "unknown provider 'nope'; anycompletion providers lists them\n"),
    "plain http": (["-m", "openai/x", "--base-url", "http://x.example"], "; plain http is allowed to this machine\n"),
    "a parameter": (["-m", "sim/anthropic", "-o", "seed=1"], "-o on_unsupported=warn leaves it out\n"),
    "another parameter": (
        ["-m", "sim/anthropic", "-o", 'metadata={"a": "b"}'],
        "metadata: Anthropic's metadata holds a user id only: give -o user=...; -o on_unsupported=warn leaves it out\n",
    ),
    "a field of the provider": (
        ["-m", "sim/cohere", "-o", "service_tier=flex"],
        """Cohere has a number instead: give -o extra_body='{"priority": 0}'; -o on_unsupported=warn leaves it out\n""",
    ),
    "a flag": (
        ["-m", "sim/cohere", "-o", "top_logprobs=3"],
        "the chosen tokens only: give -o logprobs=True; -o on_unsupported=warn leaves it out\n",
    ),
    "a value": (["-m", "sim/anthropic", "-o", "temperature=2"], "temperature: Anthropic takes at most 1; -o on_un"),
    "a field of the command": (["-o", 'extra_body={"model": "x"}'], "extra_body.model: is set by the command itself\n"),
    "no text": (["-m", "sim/openai", "-s", "\udcff"], "the prompt is not text in UTF-8\n"),
}
"""Mistake → arguments and the end of the text, or its beginning."""


@pytest.mark.parametrize("mistake", IN_SHELL)
def test_hints_are_for_a_shell(main: Main, mistake: str) -> None:
    """Users of the command line would be asked to write Python."""
    arguments, text = IN_SHELL[mistake]
    done = main("chat", "Hi.", *arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.endswith(text) or done.err.startswith(text)
    for word in ("Provider(", "pass ", "api_keys", "base_urls", "provider="):
        assert word not in done.err


async def test_the_base_url_is_where_the_key_is_sent(simulator: SimulatorServer) -> None:
    """A server without a row or a variable of its own could not be asked from the command line."""
    arguments = ("-m", "openai/gpt-4o-mini", "--base-url", simulator.base_urls["openai"])
    done = await run("chat", "Hi.", *arguments, OPENAI_API_KEY=simulator.api_keys["openai"])
    assert done == Completed(0, "You wrote: Hi.\n", "")


async def test_a_dash_is_stdin_and_a_byte_order_mark_is_no_text(simulator: SimulatorServer) -> None:
    """`chat -` would be refused, or a file of Windows begin with an invisible character."""
    environment = environment_of(simulator) | {"ANYCOMPLETION_MODEL": "openai/gpt-4o-mini"}
    done = await run("chat", "-", stdin=b"\xef\xbb\xbfHello\r\n", **environment)
    assert done == Completed(0, "You wrote: Hello\n", "")


@pytest.mark.parametrize("option", ["-m", "--model", "-s", "-n", "-o", "--timeout", "--base-url"])
def test_a_dash_after_an_option_is_its_value(main: Main, option: str) -> None:
    """The dash would be left out, and the prompt become the value of the option."""
    done = main("chat", option, "-", "Hello")
    assert (done.code, done.out) == (2, "")
    assert f"{option} requires an argument" in done.err
    assert main("chat", "--json", "-", "-m", "sim/openai", stdin="Hello").code == 0, "a flag has no value"


async def test_waiting_for_stdin_is_reported(simulator: SimulatorServer) -> None:
    """Where another program forgot to close its end of the pipe, the command would wait without a word."""
    process = await asyncio.create_subprocess_exec(
        *(*COMMAND, "chat", "Hi.", "-m", "openai/gpt-4o-mini"),
        env=BARE | environment_of(simulator),
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
    )
    assert process.stderr is not None
    note = await asyncio.wait_for(process.stderr.readline(), 30)
    assert note.startswith(b"Waiting for text on stdin")
    out, _ = await asyncio.wait_for(process.communicate(b"More."), 30)
    assert out == b"You wrote: Hi.\n\nMore.\n"


@pytest.mark.parametrize("command", ["chat Hi.", "batch -m sim/openai"])
async def test_without_stderr_notes_do_not_mix_with_replies(command: str) -> None:
    """Under a service manager that closes stderr, notes and progress would be read as replies."""
    script = f"""echo '{{"messages": "Hi."}}' | '{sys.executable}' -m anycompletion {command} 2>&-"""
    process = await asyncio.create_subprocess_exec("sh", "-c", script, env=BARE, stdout=PIPE)
    out, _ = await asyncio.wait_for(process.communicate(), 30)
    assert (process.returncode, out.count(b"\n")) == (0, 3 if "chat" in command else 1), out


OUTPUTS = {
    "a full disk": (">/dev/full", "stdout: No space left on device\n"),
    "none": (">&-", "stdout is closed, so there is nowhere to write the output\n"),
}


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is full")
@pytest.mark.parametrize("command", ["chat Hi. -m sim/openai", "providers"])
@pytest.mark.parametrize("output", OUTPUTS)
async def test_output_that_cannot_be_written_is_an_error(output: str, command: str) -> None:
    """A full disk or a closed output would end the command with a traceback."""
    redirection, text = OUTPUTS[output]
    script = f"'{sys.executable}' -m anycompletion {command} </dev/null {redirection}"
    process = await asyncio.create_subprocess_exec("sh", "-c", script, env=BARE, stdout=PIPE, stderr=PIPE)
    _, err = await asyncio.wait_for(process.communicate(), 30)
    assert (process.returncode, err.decode()) == (1, text)


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "cp437"])
async def test_output_in_another_encoding_replaces_what_it_lacks(simulator: SimulatorServer, encoding: str) -> None:
    """A reply, a note or an error would end in a traceback on a terminal that is not in UTF-8."""
    environment = environment_of(simulator) | {"PYTHONIOENCODING": encoding, "ANYCOMPLETION_MODEL": "openai/gpt-4o"}
    done = await run("chat", "\u2192 \u65e5", **environment)
    assert done == Completed(0, "You wrote: ? ?\n" if encoding != "cp437" else done.out, "")
    refused = await run("chat", "Hi.", "-m", "\u65e5\u672c", **environment)
    assert (refused.code, "names no provider" in refused.err) == (2, True)


async def test_stdin_that_is_not_text_exits_2() -> None:
    """An image on stdin would be sent as garbage, or raise a traceback."""
    done = await run("chat", "What is this?", stdin=b"\x89PNG\xff\xfe")
    assert done == Completed(2, "", "stdin is not text in UTF-8; save it as UTF-8\n")


async def test_ctrl_c_exits_130_without_a_traceback(simulator: SimulatorServer) -> None:
    """A user who interrupts a reply would see a traceback, or the provider would continue."""
    simulator.chunk_delay = 0.2
    simulator.chunks = 1000
    process = await asyncio.create_subprocess_exec(
        *(*INTERRUPTIBLE, "chat", "Hi.", "-m", "openai/gpt-4o-mini"),
        env=BARE | environment_of(simulator),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
    )
    assert process.stdout is not None
    await asyncio.wait_for(process.stdout.read(1), 30)
    process.send_signal(signal.SIGINT)
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert (process.returncode, err) == (130, b"")
    assert out.endswith(b"\n")


async def test_a_closed_pipe_ends_the_command_quietly(simulator: SimulatorServer) -> None:
    """`anycompletion chat … | head -1` would print a traceback."""
    simulator.chunk_delay = 0.05
    simulator.chunks = 200
    process = await asyncio.create_subprocess_exec(
        *(*COMMAND, "chat", "Hi.", "-m", "openai/gpt-4o-mini"),
        env=BARE | environment_of(simulator),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    await asyncio.wait_for(process.stdout.read(1), 30)
    process.stdout._transport.close()  # type: ignore[attr-defined]  # asyncio has no public way to close a pipe
    assert await asyncio.wait_for(process.stderr.read(), 30) == b""
    assert await process.wait() == 1


# --- usage ------------------------------------------------------------------------------------------------------


async def test_version_is_printed() -> None:
    """A bug report could not name the version."""
    assert await run("--version") == Completed(0, f"{__version__}\n", "")


@pytest.mark.parametrize("command", ["", "chat", "batch", "providers", "simulate"])
def test_help_is_printed(main: Main, command: str) -> None:
    """The commands could not be listed, or how one is used, with its exit codes, not be found."""
    done = main(*command.split(), "--help")
    assert (done.code, done.err) == (0, "")
    assert f"Usage: anycompletion {command}".rstrip() in done.out
    assert "Exit codes: 0, 1 a call failed" in done.out
    assert '[default: ""]' not in done.out
    if not command:
        assert main() == done


async def test_without_cyclopts_the_error_names_the_extra() -> None:
    """A user without the extra would see a traceback."""
    hide = "import sys; sys.modules['cyclopts'] = None; from anycompletion.cli import main; sys.exit(main())"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", hide, env=BARE, stdout=PIPE, stderr=PIPE)
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert (process.returncode, out) == (2, b"")
    assert b"pip install 'anycompletion[cli]'" in err


async def test_providers_lists_providers_keys_and_formats() -> None:
    """The providers could not be listed, or the reason for a missing key not be found."""
    done = await run("providers", CO_API_KEY="secret-key", OPENAI_BASE_URL="https://proxy.example/v1")
    lines = {line.split()[0]: line for line in done.out.splitlines()}
    assert done.code == 0
    assert set(lines) == {"PROVIDER", *PROVIDERS}
    assert "found: CO_API_KEY" in lines["cohere"]
    assert "cohere_chat" in lines["cohere"]
    assert "https://proxy.example/v1" in lines["openai"]
    assert "missing: OPENAI_API_KEY" in lines["openai"]
    assert lines["anthropic"].endswith("missing: ANTHROPIC_AUTH_TOKEN or ANTHROPIC_API_KEY")
    assert "missing: --base-url" in lines["gpustack"]
    assert "none needed" in lines["ollama"]
    assert "secret-key" not in done.out + done.err


async def test_providers_lists_the_credentials_of_aws() -> None:
    """A user with AWS's own variables would see that a key is missing."""
    needed = "AWS_BEARER_TOKEN_BEDROCK or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    for environment, state in (
        ({}, f"missing: {needed}"),
        ({"AWS_ACCESS_KEY_ID": "AKIA"}, f"missing: {needed}"),
        ({"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "secret-key"}, "found: AWS_ACCESS_KEY_ID"),
        ({"AWS_BEARER_TOKEN_BEDROCK": "secret-key"}, "found: AWS_BEARER_TOKEN_BEDROCK"),
    ):
        done = await run("providers", **environment)
        (line,) = (line for line in done.out.splitlines() if line.startswith("bedrock "))
        assert line.endswith(state)
        assert "secret-key" not in done.out


@pytest.mark.parametrize(
    "url",
    [
        "https://me:hunter2@proxy.example/v1",
        "https://proxy.example/v1?key=hunter2",
        "https://proxy.example/\x1b[31m\x07/v1",
        "https://proxy.example/v1/hunter2hunter2hunter2/openai",
        "https://proxy.example:hunter2/",
    ],
)
async def test_providers_shows_no_secret_of_a_base_url(url: str) -> None:
    """A password in a base URL, or a command to the terminal, would get into a log."""
    done = await run("providers", OPENAI_BASE_URL=url)
    assert "hunter2" not in done.out + done.err
    assert "\x1b" not in done.out
    assert done.code == 0


@pytest.mark.parametrize("option", ["apikey=sk-hunter2", "api_key=sk-hunter2", "sk-hunter2"])
async def test_a_refused_option_is_not_repeated(option: str) -> None:
    """A key in an option that is refused would be shown, and one that is taken stands in the list of processes."""
    done = await run("chat", "Hi", "-m", "sim/openai", "-o", option)
    assert done.code == 2
    assert "hunter2" not in done.out + done.err
