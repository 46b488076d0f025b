"""Replays reports of other clients' bugs and compares the outcome with what is expected.

``python tests/support/bug_reports.py REPLAY [--loop uvloop] [--eager]`` runs the program REPLAY, which prints a line
for each report: ``ok``, ``FAIL`` or ``none`` (a package is missing), and its number. All of them have to be ``ok``,
except those of `EXPECTED`, whose outcome has to be the expected one: a report that is right after all is removed there.
"""

from __future__ import annotations

import argparse
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple


class Expected(NamedTuple):
    """Expected outcome of a report that is not, or not always, replayed as right."""

    word: str
    """``FAIL`` or ``none``."""
    text: str
    """Text of the report's explanation: with another one it is wrong for another reason."""
    reason: str
    always: bool = True
    """Whether it may not be ``ok``."""
    option: str = ""
    """The option with which this is expected; by default all runs."""


EXPECTED: Mapping[str, Mapping[str, Expected]] = {
    "run_a.py": {
        "06": Expected("FAIL", "ends in /v1", "its replies are in OpenAI's format, which is that of `ollama-openai`"),
        "19": Expected("FAIL", "candidates", "its replies are in OpenAI's format, which is that of `gemini-openai`"),
    },
    "run_b.py": {
        "29": Expected("FAIL", "0 in flight", "it looks for another word in the client's repr, which states the same"),
        "31": Expected("none", "", "nest_asyncio does not patch uvloop", option="uvloop"),
        "33": Expected(
            "FAIL",
            "StopIteration",
            "its explanation names the first item that failed, and raises where every item is answered",
            always=False,
        ),
        "53": Expected(
            "FAIL",
            "went out past the cassette",
            "the default transport does not use aiohttp's ClientSession; docs/testing.md says what to do instead",
        ),
    },
}
"""Program that replays reports → number of a report → why it is not right."""


class Outcome(NamedTuple):
    """Outcome of a report."""

    number: str
    word: str
    text: str
    """The line of the report and its explanation."""


_LINE = re.compile(r"(ok|FAIL|none) +(\d+)[-_]")


def outcomes(output: str) -> Iterator[Outcome]:
    """The outcome of each report in the output of a replay."""
    found: Outcome | None = None
    for line in output.splitlines():
        if matched := _LINE.match(line):
            if found is not None:
                yield found
            found = Outcome(matched[2], matched[1], line)
        elif found is not None and line.startswith(" "):
            found = found._replace(text=f"{found.text} {line.strip()}")
    if found is not None:
        yield found


def unexpected(found: Sequence[Outcome], options: Sequence[str], expected: Mapping[str, Expected]) -> Iterator[str]:
    """What is not as expected, as sentences."""
    wanted = {number: each for number, each in expected.items() if not each.option or each.option in options}
    for number, word, text in found:
        exception = wanted.pop(number, None)
        if exception is None:
            if word != "ok":
                yield text
        elif word == "ok":
            if exception.always:
                yield f"{number} is right: remove it from EXPECTED ({exception.reason})"
        elif word != exception.word or exception.text not in text:
            yield text
    if "--case" not in options:
        yield from (f"{number} is in EXPECTED and was not replayed" for number in wanted)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line: 1 where an outcome is not as expected."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("replay", help="the program that replays the reports; gets all other options")
    given, options = parser.parse_known_args(arguments)
    output = ""
    # A shell starts its background jobs with SIGINT ignored, which they pass on; a report about Ctrl-C would be wrong.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    command = [sys.executable, given.replay, *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, errors="replace") as replay:
        assert replay.stdout is not None
        for line in replay.stdout:
            sys.stdout.write(line)
            sys.stdout.flush()
            output += line
    found = list(outcomes(output))
    problems = list(unexpected(found, options, EXPECTED.get(Path(given.replay).name, {})))
    if not re.search(r"^\d+ of \d+ right", output, re.MULTILINE):
        problems.append(f"the replay did not end: {replay.returncode}")
    sys.stdout.writelines(f"not as expected: {problem}\n" for problem in problems)
    sys.stdout.write(f"{len(found)} reports, {len(problems)} outcomes not as expected\n")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
