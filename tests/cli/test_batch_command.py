"""`anycompletion batch` as a process: lines in, lines out, exit codes."""

import asyncio
import json
import os
import pty
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from anycompletion import cli
from anycompletion.batch import read_results
from anycompletion.testing import Fault, SimulatorServer
from cli.test_cli import BARE, COMMAND, INTERRUPTIBLE, Completed, environment_of, run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a journal needs the file locks of POSIX")

MODEL = ("-m", "openai/gpt-4o-mini")


@pytest.fixture
async def simulator() -> AsyncIterator[SimulatorServer]:
    """A simulator that repeats the last message."""
    async with SimulatorServer(reply=lambda body: f"You wrote: {body['messages'][-1]['content']}") as server:
        yield server


def line(number: int, **more: Any) -> str:
    message = {"role": "user", "content": f"Hello {number}."}
    return json.dumps({"custom_id": f"row-{number}", "messages": [message]} | more) + "\n"


def batch_line(number: int, **body: Any) -> str:
    body = {"messages": [{"role": "user", "content": f"Hello {number}."}], **body}
    whole = {"custom_id": f"row-{number}", "method": "POST", "url": "/v1/chat/completions", "body": body}
    return json.dumps(whole) + "\n"


def put(path: Path, text: str) -> str:
    path.write_text(text, "utf-8")
    return str(path)


def content(path: Path) -> str:
    return path.read_text("utf-8")


def answers(out: str) -> dict[str | None, Any]:
    """Id → text of the answer, status of an error response or code of an error."""
    found: dict[str | None, Any] = {}
    for each in map(json.loads, out.splitlines()):
        assert each["custom_id"] not in found
        if each["error"] is not None:
            found[each["custom_id"]] = each["error"]["code"]
        elif each["response"]["status_code"] == 200:
            found[each["custom_id"]] = each["response"]["body"]["choices"][0]["message"]["content"]
        else:
            found[each["custom_id"]] = each["response"]["status_code"]
    return found


def expected_answers(*numbers: int) -> dict[str | None, Any]:
    return {f"row-{number}": f"You wrote: Hello {number}." for number in numbers}


@pytest.mark.parametrize("source", ["file", "stdin", "pipe"])
async def test_lines_in_lines_out(source: str, simulator: SimulatorServer, tmp_path: Path) -> None:
    """A file of requests could not be processed in a shell, or its answers not be piped; nor one with a BOM."""
    text = "\ufeff" + line(1) + "\n" + batch_line(2) + batch_line(3, model="gpt-4o", temperature=0)
    given = put(tmp_path / "q.jsonl", text)
    environment = environment_of(simulator)
    if source == "file":
        done = await run("batch", given, *MODEL, **environment)
    elif source == "pipe":
        done = await run("batch", *MODEL, stdin=text, **environment)
    else:
        with open(given) as file:  # noqa: ASYNC230 (nothing else runs)
            process = await asyncio.create_subprocess_exec(
                *COMMAND, "batch", "-", *MODEL, env=BARE | environment, stdin=file, stdout=PIPE, stderr=PIPE
            )
            out, err = await asyncio.wait_for(process.communicate(), 60)
            done = Completed(process.returncode, out.decode(), err.decode())
    assert answers(done.out) == expected_answers(1, 2, 3)
    assert done.code == 0
    assert "3 answered; 0 failed; " in done.err
    assert {request.body["model"] for request in simulator.requests if request.body} == {"gpt-4o-mini"}


async def test_empty_input_is_empty_output() -> None:
    """An empty batch would hang, or look like a failure."""
    for stdin in (None, ""):
        done = await run("batch", "-m", "sim/openai", stdin=stdin)
        assert (done.code, done.out) == (0, "")
        assert "0 answered; 0 failed; " in done.err
        assert "Traceback" not in done.err


async def test_without_a_model_lines_use_their_own(simulator: SimulatorServer, tmp_path: Path) -> None:
    """A file that names models would be refused, or all its lines be sent to one model."""
    text = batch_line(1, model="gpt-4o") + batch_line(2) + batch_line(3, model="anthropic/claude-haiku-4-5")
    environment = environment_of(simulator) | {"ANYCOMPLETION_MODEL": "openai/gpt-4o-mini"}
    done = await run("batch", put(tmp_path / "q.jsonl", text), "--ordered", "--concurrency", "1", **environment)
    assert (done.code, list(answers(done.out))) == (0, ["row-1", "row-2", "row-3"])
    assert [request.body["model"] for request in simulator.requests if request.body] == [
        *("gpt-4o", "gpt-4o-mini", "claude-haiku-4-5")
    ]


async def test_a_failed_line_is_reported_and_the_others_are_answered(
    simulator: SimulatorServer, tmp_path: Path
) -> None:
    """A script could not detect a failure, or one invalid line would lose all answers."""
    text = line(1) + "no JSON\n" + line(2, model="x") + line(2) + '["a"]\n' + line(3, temperature="hot")
    text += line(4, custom_id=5) + line(6, temprature=1)
    done = await run("batch", put(tmp_path / "q.jsonl", text), *MODEL, "--ordered", **environment_of(simulator))
    lines = [json.loads(each) for each in done.out.splitlines()]
    assert [each["custom_id"] for each in lines] == [*("row-1", None, "row-2", "row-2", None, "row-3", None, "row-6")]
    assert [each["error"] and each["error"]["message"][:9] for each in lines] == [
        *(None, "line 2 is", None, "the id 'r", "line 5 is", "temperatu", "custom_id", "unknown k")
    ]
    assert done.code == 1
    assert "2 answered; 6 failed" in done.err


async def test_the_output_can_be_a_file(simulator: SimulatorServer, tmp_path: Path) -> None:
    """Answers could only be read from stdout, or a journal would not be copied completely."""
    given, out = put(tmp_path / "q.jsonl", line(1) + line(2)), tmp_path / "out.jsonl"
    environment = environment_of(simulator)
    done = await run("batch", given, *MODEL, "--output", str(out), **environment)
    assert (done.code, done.out, answers(content(out))) == (0, "", expected_answers(1, 2))
    put(tmp_path / "q.jsonl", line(1))
    journal = ("--journal", str(tmp_path / "a.jsonl"))
    assert (await run("batch", given, *MODEL, *journal, **environment)).out == ""
    put(tmp_path / "q.jsonl", line(1) + line(2))
    done = await run("batch", given, *MODEL, *journal, "--output", "-", **environment)
    assert answers(done.out) == expected_answers(1, 2)
    assert "1 finished before (the journal has them)" in done.err


async def test_flags_reach_every_request(simulator: SimulatorServer, tmp_path: Path) -> None:
    """A flag of the batch would be accepted and ignored, or replace messages of the input."""
    asked = [{"role": "system", "content": "In French."}, {"role": "user", "content": "Hi."}]
    text = line(1, temperature=1) + json.dumps({"messages": "Hi."}) + "\n" + batch_line(2, messages=asked)
    flags = ("-s", "Be brief.", "-o", "temperature=0", "-o", 'extra_body={"x": 1}', "-o", "max_retries=0")
    simulator.fault = Fault.status(500, times=1)  # type: ignore[assignment]  # the setter takes one, too
    environment = environment_of(simulator)
    given = put(tmp_path / "q.jsonl", text)
    done = await run("batch", given, *MODEL, *flags, "--timeout", "20", "--concurrency", "1", **environment)
    assert (done.code, len(simulator.requests)) == (1, 3), "nothing is tried again"
    bodies = [request.body for request in simulator.requests if request.body]
    assert {(body["temperature"], body["x"]) for body in bodies} == {(0, 1)}
    assert [[message["content"] for message in body["messages"]] for body in bodies] == [
        ["Be brief.", "Hello 1."],
        ["Be brief.", "Hi."],
        ["Be brief.", "In French.", "Hi."],
    ]


async def test_flags_of_how_to_send_do_not_change_what_a_journal_has(
    simulator: SimulatorServer, tmp_path: Path
) -> None:
    """A batch could not be resumed with a longer timeout, or be resumed with another question under the same ids."""
    given, journal = put(tmp_path / "q.jsonl", line(1)), ("--journal", str(tmp_path / "a.jsonl"))
    environment = environment_of(simulator)
    assert (await run("batch", given, *MODEL, *journal, **environment)).code == 0
    again = await run("batch", given, *MODEL, *journal, "--timeout", "50", "-o", "max_retries=7", **environment)
    assert (again.code, len(simulator.requests)) == (0, 1)
    other = await run("batch", given, *MODEL, *journal, "-o", "temperature=0", **environment)
    assert (other.code, len(simulator.requests)) == (1, 1)
    assert other.err.startswith("--journal: the request of 'row-1' is not the one that was answered")


async def test_permanent_failures_of_an_earlier_run_still_count(simulator: SimulatorServer, tmp_path: Path) -> None:
    """The second run of a batch with a refused request would look successful."""
    given = put(tmp_path / "q.jsonl", line(1) + line(2, temperature="hot"))
    arguments = ("batch", given, *MODEL, "--journal", str(tmp_path / "a.jsonl"))
    assert (await run(*arguments, **environment_of(simulator))).code == 1
    again = await run(*arguments, **environment_of(simulator))
    assert again.code == 1
    assert "2 finished before (the journal has them, 1 of them failed for good)" in again.err


class Main:
    """The command as a function, in the bare environment."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str) -> Completed:
        code = cli.main(arguments)
        return Completed(code, *self._capsys.readouterr())


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Main:
    """Runs the command without a process of its own."""
    for name in os.environ.keys() - BARE.keys():
        monkeypatch.delenv(name)
    return Main(capsys)


def test_the_simulator_answers_only_if_it_is_named(main: Main, tmp_path: Path) -> None:
    """A batch without a key would get simulated answers, or could not be tried without cost."""
    given = put(tmp_path / "q.jsonl", line(1) + line(2))
    done = main("batch", given, "-m", "sim/anthropic")
    assert (done.code, answers(done.out).keys()) == (0, {"row-1", "row-2"})
    assert main("batch", given, "-m", "openai/gpt-4o")[:2] == (2, "")
    named = main("batch", put(tmp_path / "q.jsonl", line(1, model="sim/openai")))
    assert named.code == 1
    assert "the simulator is asked by --model sim/openai" in named.out
    assert main("batch", given, "-m", "sim/unknown").code == 2


def test_the_first_request_needs_a_model(main: Main, tmp_path: Path) -> None:
    """With a forgotten --model every line of a large file would fail, instead of the command."""
    done = main("batch", put(tmp_path / "q.jsonl", "\n" + line(1) + line(2, model="sim/openai")))
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("line 2 has no model: give --model")
    later = main("batch", put(tmp_path / "q.jsonl", line(1, model="azure/x", n="x") + line(2)), "--ordered")
    messages = [each["error"]["message"] for each in map(json.loads, later.out.splitlines())]
    assert (later.code, messages[1]) == (1, "model: is missing")


SAME_FILES = {
    "output and requests": (("{q}", "--output", "{q}"), "--output", "the requests"),
    "output and requests by another path": (("{q}", "--output", "{dir}/./q.jsonl"), "--output", "the requests"),
    "a link to the requests": (("{q}", "--output", "{dir}/link"), "--output", "the requests"),
    "journal and requests": (("{q}", "--journal", "{q}"), "--journal", "the requests"),
    "journal and output": (("{q}", "--journal", "{dir}/new", "--output", "{dir}/new"), "--output", "--journal"),
}
"""Case → arguments, the one that is refused, and what its file is already."""


@pytest.mark.parametrize("case", SAME_FILES)
def test_no_file_is_overwritten_that_is_read(case: str, main: Main, tmp_path: Path) -> None:
    """A user's only file of requests, or the answers of a journal, would be emptied."""
    arguments, refused, other = SAME_FILES[case]
    path = tmp_path / "q.jsonl"
    put(path, line(1))
    (tmp_path / "link").symlink_to(path)
    done = main("batch", *(each.format(q=path, dir=tmp_path) for each in arguments), "-m", "sim/openai")
    assert done.code == 2
    assert done.err.startswith(refused)
    assert f"is the file of {other}; name another file" in done.err
    assert content(path) == line(1)


KEPT = {
    "no model": ((), 2, "old\n"),
    "a wrong option": (("-m", "sim/openai", "-o", "temperature=warm"), 2, "old\n"),
    "no key": ((*MODEL,), 2, "old\n"),
    "an answer": (("-m", "sim/openai"), 0, None),
}
"""Case → arguments, exit code, and what the output has afterwards; None for one new line."""


@pytest.mark.parametrize("case", KEPT)
def test_earlier_output_is_replaced_by_answers_only(case: str, main: Main, tmp_path: Path) -> None:
    """A forgotten flag would cost the answers of the run before."""
    arguments, code, left = KEPT[case]
    out = tmp_path / "out.jsonl"
    out.write_text("old\n", "utf-8")
    done = main("batch", put(tmp_path / "q.jsonl", line(1)), "--output", str(out), *arguments)
    assert done.code == code
    if left is None:
        assert answers(content(out)).keys() == {"row-1"}
    else:
        assert content(out) == left
    empty = main("batch", put(tmp_path / "q.jsonl", ""), "--output", str(out), "-m", "sim/openai")
    assert (empty.code, content(out)) == (0, "")


ENCODINGS = {
    "Latin-1": ("caf\xe9".encode("latin-1"), "line 2 is not text in UTF-8; save it as UTF-8"),
    "UTF-16, as PowerShell writes it": ("x".encode("utf-16"), "line 2 is not text in UTF-8 but in UTF-16"),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
async def test_input_in_another_encoding_is_an_error_with_its_line(encoding: str, tmp_path: Path) -> None:
    """A file from Windows would be sent with replaced characters, or be refused without a reason."""
    data, text = ENCODINGS[encoding]
    data = line(1).encode() + data
    (tmp_path / "q.jsonl").write_bytes(data)
    of_file = await run("batch", str(tmp_path / "q.jsonl"), "-m", "sim/openai")
    assert (of_file.code, of_file.out) == (2, "")
    assert f"q.jsonl: {text}" in of_file.err
    of_pipe = await run("batch", "-m", "sim/openai", "--ordered", stdin=data)
    first, second = map(json.loads, of_pipe.out.splitlines())
    assert first["response"]["status_code"] == 200
    assert second["error"]["message"].startswith(text)


async def test_lines_of_windows_are_read(simulator: SimulatorServer, tmp_path: Path) -> None:
    """CRLF, blank lines or a missing last newline would make lines that fail."""
    text = "\r\n".join([line(1).strip(), "", "  ", line(2).strip()])
    done = await run("batch", put(tmp_path / "q.jsonl", text), *MODEL, **environment_of(simulator))
    assert (done.code, answers(done.out)) == (0, expected_answers(1, 2))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is full")
@pytest.mark.parametrize("more", [(), ("--output", "/dev/full")])
async def test_output_that_cannot_be_written_is_an_error(more: tuple[str, ...], tmp_path: Path) -> None:
    """A full disk would end a batch with a traceback."""
    given = put(tmp_path / "q.jsonl", line(1) + line(2))
    with open("/dev/full", "w") as full:  # noqa: ASYNC230 (nothing else runs)
        process = await asyncio.create_subprocess_exec(
            *COMMAND, "batch", given, "-m", "sim/openai", *more, env=BARE, stdin=DEVNULL, stdout=full, stderr=PIPE
        )
        _, err = await asyncio.wait_for(process.communicate(), 60)
    place = "--output /dev/full" if more else "stdout"
    assert (process.returncode, err.decode()) == (1, f"{place}: No space left on device\n")


async def test_a_closed_pipe_ends_a_batch_quietly(tmp_path: Path) -> None:
    """`anycompletion batch … | head -1` would print a traceback, or go on paying for answers that nothing reads."""
    given = put(tmp_path / "q.jsonl", "".join(map(line, range(2000))))
    script = f"'{sys.executable}' -m anycompletion batch '{given}' -m sim/openai | head -c 1"
    process = await asyncio.create_subprocess_exec(
        "sh", "-c", script, env=BARE, stdin=DEVNULL, stdout=PIPE, stderr=PIPE
    )
    assert await asyncio.wait_for(process.communicate(), 60) == (b"{", b"")


USAGE: dict[str, tuple[tuple[str, ...], str]] = {
    "an option that no model has": ((*MODEL, "-o", "temprature=0"), "did you mean temperature"),
    "an option that the model does not have": (("-m", "sim/anthropic", "-o", "seed=1"), "-o on_unsupported=warn"),
    "a wrong value": (("-m", "sim/openai", "-o", "temperature=warm"), "temperature: expected a number"),
    "a wrong option of sending": (("-m", "sim/openai", "-o", "max_retries=-1"), "max_retries: must lie"),
    "a wrong timeout": (("-m", "sim/openai", "--timeout", "0"), "timeout: must be more than 0 seconds"),
    "a stream": ((*MODEL, "-o", "stream=true"), "--option stream: use the command chat"),
    "no folder for the journal": (("-m", "sim/openai", "--journal", "/nowhere/j"), "--journal: /nowhere/j: No such"),
    "two files": (("more.jsonl", *MODEL), "Unexpected: more.jsonl."),
    "no key": ((*MODEL,), "OPENAI_API_KEY"),
    "unknown provider": (("-m", "opnai/gpt-4o-mini"), "openai"),
    "no requests in flight": ((*MODEL, "--concurrency", "0"), "Must be >= 1"),
    "unknown flag": (("--cuncurrency", "3"), "--concurrency"),
    "no folder for the output": ((*MODEL, "--output", "/nowhere/out.jsonl"), "--output /nowhere/out.jsonl"),
}


@pytest.mark.parametrize("case", USAGE)
def test_usage_errors_exit_2(case: str, main: Main, tmp_path: Path) -> None:
    """A script could not distinguish its own mistake from a provider's failure."""
    arguments, text = USAGE[case]
    done = main("batch", put(tmp_path / "q.jsonl", line(1) + line(2)), *arguments)
    assert (done.code, done.out) == (1 if "--journal" in arguments else 2, "")
    assert text in done.err


def test_an_unreadable_file_exits_2(main: Main, tmp_path: Path) -> None:
    """A misspelt file name would print a traceback, or look like an empty batch."""
    done = main("batch", str(tmp_path / "nothing.jsonl"), *MODEL)
    assert (done.code, "No such file" in done.err) == (2, True)
    path = tmp_path / "binary"
    path.write_bytes(b"\xff\xfe\x00")
    done = main("batch", str(path), *MODEL)
    assert (done.code, "is not text in UTF-8" in done.err) == (2, True)


LINES = 5000 if "ANYCOMPLETION_TEST_SCALE" in os.environ else 1500


async def interrupted(arguments: tuple[str, ...], simulator: SimulatorServer, after: int) -> Completed:
    """Runs the command and interrupts it after `after` requests."""
    process = await asyncio.create_subprocess_exec(
        *INTERRUPTIBLE, *arguments, env=BARE | environment_of(simulator), stdin=DEVNULL, stdout=PIPE, stderr=PIPE
    )
    async with asyncio.timeout(60):
        while len(simulator.requests) < after and process.returncode is None:
            await asyncio.sleep(0.01)
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
        out, err = await process.communicate()
    return Completed(process.returncode, out.decode(), err.decode())


async def test_a_batch_resumes_after_ctrl_c_with_every_answer_once(simulator: SimulatorServer, tmp_path: Path) -> None:
    """An interrupted batch would lose answers, pay for them twice, or print nothing about its state."""
    given = put(tmp_path / "q.jsonl", "".join(map(line, range(LINES))))
    journal = tmp_path / "a.jsonl"
    arguments = ("batch", given, *MODEL, "--concurrency", "64", "--journal", str(journal))
    first = await interrupted(arguments, simulator, LINES // 3)
    assert first.code == 130
    assert "the same command goes on from there" in first.err
    assert "Traceback" not in first.err
    kept = {result.custom_id for result in read_results(journal)}
    assert LINES // 4 <= len(kept) < LINES
    sent = len(simulator.requests)
    again = await run(*arguments, "--output", "-", **environment_of(simulator))
    assert again.code == 0
    assert answers(again.out) == expected_answers(*range(LINES))
    assert (
        f"{LINES - len(kept):,} answered; 0 failed; {len(kept):,} finished before (the journal has them)" in again.err
    )
    assert len(simulator.requests) - sent == LINES - len(kept)
    assert sent - len(kept) <= 64


async def test_on_a_terminal_a_bar_shows_the_progress(simulator: SimulatorServer, tmp_path: Path) -> None:
    """A user would wait for hours without seeing progress."""
    given = put(tmp_path / "q.jsonl", "".join(map(line, range(50))))
    master, slave = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        *("batch", given, *MODEL, "--output", str(tmp_path / "out.jsonl")),
        env=BARE | environment_of(simulator) | {"TERM": "xterm", "COLUMNS": "120"},
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=slave,
    )
    os.close(slave)
    async with asyncio.timeout(60):
        await process.wait()
    shown = os.read(master, 1 << 16).decode()
    os.close(master)
    assert process.returncode == 0
    assert "50/50" in shown
    assert "50 answered; 0 failed" in shown
