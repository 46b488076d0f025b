"""Asks one question of all contenders in interleaved rounds, judges the bounds, and writes down what was seen.

In every round each contender gets a fresh process. Within a round the contenders take turns at each case, in an order
drawn anew and then once more in reverse, so that a machine that slows down or warms up does so for all of them. Client
and server each have a core of their own where there are two.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import importlib.util
import json
import os
import random
import select
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from benchmarks import peers, report
from benchmarks.contenders import BARE, OURS, Contender
from benchmarks.stats import Bound, Judgement, Round, interval, judge
from benchmarks.system import cores, fetch, machine, pin

Json = dict[str, Any]
Figures = dict[str, float]

RESULTS = Path(__file__).with_name("results")
SHORT_RESULTS = Path(__file__).with_name(".short")
COMPARISONS = Path(__file__).with_name(".comparisons")

BEFORE = "-before"
"""Suffix of the names of contenders that run the package of the checkout given by ``--before``."""


@dataclass(frozen=True)
class Case:
    """One thing that is measured."""

    name: str
    job: Mapping[str, Any] = field(default_factory=dict[str, Any])
    short: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What the short form's job has instead."""
    only: frozenset[str] | None = None
    """Names of the contenders that take part; None: all."""
    note: str = ""
    slices: int | None = None
    """Turns of each contender in a round, where it differs from the question's."""


@dataclass(frozen=True)
class Column:
    """A figure that the tables show."""

    figure: str
    title: str
    digits: int = 1


@dataclass(frozen=True)
class Question:
    """What is asked, of whom, and what is demanded of the answer."""

    name: str
    title: str
    unit: str
    """What a figure is for: a call, a chunk."""
    cases: tuple[Case, ...]
    contenders: tuple[Contender, ...]
    bounds: tuple[Bound, ...]
    main: Column = Column("cpu_us", "CPU µs")
    beside: tuple[Column, ...] = (
        Column("wall_us", "wall µs"),
        Column("p50_ms", "p50 ms", 2),
        Column("p99_ms", "p99 ms", 2),
        Column("server_us", "server µs"),
    )
    base: str = BARE.name
    """Whom the tables compare with; "" for nobody."""
    always: frozenset[str] = frozenset({BARE.name, OURS.name})
    """Who takes part in the short form."""
    slices: int = 2
    """Turns of each contender at each case of a round."""
    fresh: bool = False
    """Whether every case needs a process of its own, because memory is measured."""
    peers_by_default: bool = True
    """Whether installed peers take part without being asked for."""
    play: Callable[[Session, Case, Contender], Figures] | None = None
    """Measures by itself, without a worker."""


@dataclass(frozen=True)
class Options:
    """How a question is asked; see `main`."""

    rounds: int
    short: bool
    peers: frozenset[str]
    out: Path
    seed: int
    seconds: float
    slices: int | None
    library: Path
    before: Path | None
    cases: frozenset[str]
    command: str


class BenchmarkError(Exception):
    """Something went wrong that is no figure."""


# --- processes -----------------------------------------------------------------------------------------------------


def python_for(contender: Contender) -> Path:
    """The interpreter of a contender's environment; ours, where the common one is not installed."""
    python = peers.python_of(contender.environment)
    if python is not None:
        return python
    if contender.environment == BARE.environment:
        return Path(sys.executable)
    raise BenchmarkError(
        f"{contender.environment} is not installed: python -m benchmarks.peers install --only {contender.environment}"
    )


def environment(contender: Contender | None, library: Path) -> dict[str, str]:
    """A child's environment: no proxies, no keys, the working tree first."""
    kept = {
        name: os.environ[name] for name in ("PATH", "HOME", "LANG", "SYSTEMROOT", "TEMP", "TMP") if name in os.environ
    }
    extra = peers.Environment(()) if contender is None else peers.ENVIRONMENTS[contender.environment]
    path = [str(peers.ROOT), str(library)]
    return {**kept, **extra.variables, "PYTHONPATH": os.pathsep.join(path)}


class Worker:
    """A contender's process."""

    def __init__(self, contender: Contender, root: str, core: int | None, library: Path) -> None:
        self.contender = contender
        self._errors: IO[str] = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 (lives as long as the process)
        where = library if contender.library is None else Path(contender.library)
        self._process = subprocess.Popen(
            [
                *(str(python_for(contender)), "-P", "-m", "benchmarks.worker", contender.adapter, root),
                *("--options", json.dumps(dict(contender.options)), "--loop", contender.loop),
                *("--versions", json.dumps(contender.distributions)),
                *(() if core is None else ("--core", str(core))),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=environment(contender, where),
        )
        try:
            self.hello = self._answer(120)
        except BaseException:  # nobody else knows of the process yet
            self.stop()
            raise

    def ask(self, job: Mapping[str, Any]) -> Figures:
        """Has a job done."""
        assert self._process.stdin is not None
        if self._process.poll() is not None:
            raise BenchmarkError(f"{self.contender.name} ended in an earlier case")
        self._process.stdin.write(json.dumps(dict(job)) + "\n")
        self._process.stdin.flush()
        told = self._answer(job["limit"] + 30)
        if "error" in told:
            raise BenchmarkError(f"{self.contender.name} failed at {dict(job)}:\n{told['error']}")
        figures: Figures = told["figures"]
        return figures

    def _answer(self, limit: float) -> Json:
        assert self._process.stdout is not None
        if sys.platform != "win32":
            ready, _, _ = select.select([self._process.stdout], [], [], limit)
            if not ready:
                self.stop()
                raise BenchmarkError(f"{self.contender.name} said nothing for {limit:.0f} s")
        line = self._process.stdout.readline()
        if not line:
            self._errors.seek(0)
            raise BenchmarkError(f"{self.contender.name} ended:\n{self._errors.read()[-4000:]}")
        told: Json = json.loads(line)
        return told

    def stop(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._errors):
            if pipe is not None:
                pipe.close()


class Server:
    """The loopback server's process."""

    def __init__(self, core: int | None) -> None:
        python = peers.python_of("bare")
        loop = "asyncio" if python is None or sys.platform == "win32" else "uvloop"
        self._process = subprocess.Popen(
            [
                *(str(python or sys.executable), "-P", "-m", "benchmarks.server", "--loop", loop),
                *(() if core is None else ("--core", str(core))),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(None, peers.LIBRARY),
        )
        assert self._process.stdout is not None
        self.root = f"http://127.0.0.1:{int(self._process.stdout.readline())}"

    def cpu(self) -> float:
        """Seconds it has spent so far."""
        return float(fetch(self.root, "/cost")["cpu"])

    def stop(self) -> None:
        """Ends the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


# --- one question --------------------------------------------------------------------------------------------------


class Session:
    """A server, and the contenders that take turns at it."""

    def __init__(self, question: Question, options: Options) -> None:
        self.question = question
        self.options = options
        self.client_core, server_core = cores()
        self._server_core = server_core
        self.server: Server
        self.hellos: dict[str, Json] = {}
        self.failures: dict[str, dict[str, str]] = {}
        """By case and contender: what went wrong; it takes no further part in that case."""
        self._workers: dict[str, Worker] = {}
        self._chance = random.Random(options.seed)  # noqa: S311 (an order, not a secret)

    @contextmanager
    def _served(self) -> Generator[None, None, None]:
        affinity = os.sched_getaffinity(0) if self.client_core is not None else set[int]()
        pin(self._server_core)  # this process mostly sleeps; it must not do so on the client's core
        self.server = Server(self._server_core)
        try:
            yield
        finally:
            self.server.stop()
            if affinity:
                os.sched_setaffinity(0, affinity)

    @contextmanager
    def _staffed(self, contenders: Sequence[Contender]) -> Generator[None, None, None]:
        with ExitStack() as stack:
            if self.question.play is None:
                for contender in contenders:
                    worker = Worker(contender, self.server.root, self.client_core, self.options.library)
                    stack.callback(worker.stop)
                    self._workers[contender.name] = worker
                    self.hellos[contender.name] = worker.hello
            yield

    def run(self, cases: Sequence[Case], contenders: Sequence[Contender]) -> list[dict[str, dict[str, Figures]]]:
        """The figures of every round, by case and contender."""
        rounds: list[dict[str, dict[str, Figures]]] = []
        with self._served():
            for number in range(self.options.rounds):
                start = time.monotonic()
                rounds.append(self._round(cases, contenders))
                _say(f"round {number + 1} of {self.options.rounds}: {time.monotonic() - start:.1f} s")
        return rounds

    def versions(self, contender: Contender) -> dict[str, str]:
        """Of its interpreter and its distributions."""
        hello = self.hellos.get(contender.name)
        if hello is not None:
            return dict(hello["versions"])
        code = "import json, sys; from benchmarks.worker import versions; print(json.dumps(versions(sys.argv[1:])))"
        said = subprocess.run(
            [python_for(contender), "-P", "-c", code, *contender.distributions],
            env=environment(contender, self.options.library),
            capture_output=True,
            text=True,
            check=True,
        )
        return dict(json.loads(said.stdout))

    def _round(self, cases: Sequence[Case], contenders: Sequence[Contender]) -> dict[str, dict[str, Figures]]:
        if not self.question.fresh:
            with self._staffed(contenders):
                return {case.name: self._case(case, contenders) for case in cases}
        seen: dict[str, dict[str, Figures]] = {}
        for case in cases:
            with self._staffed(_taking_part(case, contenders)):
                seen[case.name] = self._case(case, contenders)
        return seen

    def _case(self, case: Case, contenders: Sequence[Contender]) -> dict[str, Figures]:
        order = _taking_part(case, contenders)
        self._chance.shuffle(order)
        turns: dict[str, list[Figures]] = {}
        for at in range(self.options.slices or case.slices or self.question.slices):
            for contender in order if at % 2 == 0 else reversed(order):
                if contender.name not in self.failures.get(case.name, {}):
                    self._take_turn(case, contender, turns)
        return {name: _mean(figures) for name, figures in turns.items()}

    def _take_turn(self, case: Case, contender: Contender, turns: dict[str, list[Figures]]) -> None:
        try:
            figures = self._turn(case, contender)
        except BenchmarkError as error:
            if not contender.peer:
                raise
            # What somebody else's client cannot do is said in the results; the others go on.
            _say(str(error))
            self.failures.setdefault(case.name, {})[contender.name] = str(error).strip().splitlines()[-1]
            turns.pop(contender.name, None)
        else:
            turns.setdefault(contender.name, []).append(figures)

    def _turn(self, case: Case, contender: Contender) -> Figures:
        if self.question.play is not None:
            return self.question.play(self, case, contender)
        before = self.server.cpu()
        figures = self._workers[contender.name].ask(self.job(case, contender))
        figures["server_us"] = (self.server.cpu() - before) / figures["units"] * 1e6
        return figures

    def job(self, case: Case, contender: Contender) -> Json:
        """What a worker is told."""
        job: Json = {"seconds": self.options.seconds, "limit": 300, **case.job, **contender.job}
        return job | dict(case.short) if self.options.short else job


def _taking_part(case: Case, contenders: Sequence[Contender]) -> list[Contender]:
    return [each for each in contenders if case.only is None or each.name in case.only]


def _mean(turns: Sequence[Figures]) -> Figures:
    return {name: sum(turn[name] for turn in turns) / len(turns) for name in turns[0]}


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# --- who takes part ------------------------------------------------------------------------------------------------


def chosen(question: Question, options: Options) -> list[Contender]:
    """The contenders of this run: our own, and the peers that were asked for."""
    found = [each for each in question.contenders if _is_wanted(each, question, options)]
    if options.before is not None:
        ours = [each for each in found if each.adapter == OURS.adapter and each.loop == "asyncio"]
        found += [
            dataclasses.replace(
                each, name=f"{each.name}{BEFORE}", label=f"{each.label}, before", library=str(options.before)
            )
            for each in ours
        ]
    return found


def _is_wanted(contender: Contender, question: Question, options: Options) -> bool:
    if contender.peer:
        return bool({contender.name, contender.environment} & options.peers)
    if options.short:
        return contender.name in question.always
    return contender.loop == "asyncio" or peers.python_of(contender.environment) is not None


def _with_comparisons(case: Case, before: Path | None) -> Case:
    if case.only is None or before is None:
        return case
    return dataclasses.replace(case, only=case.only | {f"{name}{BEFORE}" for name in case.only})


def options_of(arguments: Sequence[str] | None, question: Question | None) -> Options:
    """Reads the command line."""
    name = "benchmarks" if question is None else f"benchmarks.{question.name}"
    parser = argparse.ArgumentParser(
        prog=f"python -m {name}",
        description="Every question of this folder" if question is None else question.title,
        epilog="Exits with 1 if a bound fails: if, over at least 7 rounds, its whole interval is on the wrong side.",
    )
    parser.add_argument("--rounds", type=int, help="default 7, in the short form 2")
    parser.add_argument("--short", action="store_true", help="a few seconds, no peers, nothing judged: does it run?")
    parser.add_argument(
        "--peers", metavar="NAMES", help="comma-separated names, `all` or `none`; default: those that are installed"
    )
    parser.add_argument(
        "--cases", metavar="NAMES", default="", help="comma-separated beginnings of cases; default: all"
    )
    parser.add_argument("--seconds", type=float, help="how long one turn lasts; default 0.5, in the short form 0.05")
    parser.add_argument("--slices", type=int, help="turns of each contender at each case of a round")
    parser.add_argument("--out", type=Path, help="folder for the results; default benchmarks/results")
    parser.add_argument("--seed", type=int, default=1, help="of the order of turns")
    parser.add_argument(
        "--library", type=_library, metavar="DIR", default=peers.LIBRARY, help="checkout to measure instead of this one"
    )
    parser.add_argument(
        "--before",
        type=_library,
        metavar="DIR",
        help="another checkout to measure in the same rounds; prints the ratios of this one to it, and takes no peers "
        "unless they are named",
    )
    given = parser.parse_args(arguments)
    if (given.rounds is not None and given.rounds < 1) or (given.slices is not None and given.slices < 1):
        parser.error("there has to be at least one round of one slice")
    alone = given.short or given.before or (question is not None and not question.peers_by_default)
    asked = given.peers or ("none" if alone else "installed")
    known = {"none": [], "all": list(peers.ENVIRONMENTS), "installed": peers.installed()}
    names = known.get(asked, asked.split(","))
    return Options(
        rounds=given.rounds or (2 if given.short else 7),
        short=given.short,
        peers=frozenset(names) - {BARE.environment},
        out=given.out or (SHORT_RESULTS if given.short else COMPARISONS if given.before else RESULTS),
        seed=given.seed,
        seconds=given.seconds or (0.05 if given.short else 0.5),
        slices=given.slices or (1 if given.short else None),
        library=given.library,
        before=given.before,
        cases=frozenset(given.cases.split(",")) - {""},
        command=" ".join(["python -m", name, *(sys.argv[1:] if arguments is None else arguments)]),
    )


def _library(text: str) -> Path:
    """The folder with the package in a checkout, which may be given itself or as the checkout's root."""
    given = Path(text).resolve()
    for folder in (given / "lib", given):
        if (folder / "anycompletion").is_dir():
            return folder
    raise argparse.ArgumentTypeError(f"no lib/anycompletion in {given}")


# --- the whole of it -----------------------------------------------------------------------------------------------


def main(question: Question, arguments: Sequence[str] | None = None) -> int:
    """Asks, prints, writes down; the exit code: 0, 1 a bound failed, 2 it could not be asked."""
    return ask(question, options_of(arguments, question))


def ask(question: Question, options: Options) -> int:
    """The same with options that were read."""
    contenders = chosen(question, options)
    cases = [
        _with_comparisons(case, options.before)
        for case in question.cases
        if not options.cases or any(case.name.startswith(name) for name in options.cases)
    ]
    known = {name for each in question.contenders for name in (each.name, each.environment)}
    strange = options.peers - known - peers.ENVIRONMENTS.keys()
    if strange or not cases:
        _say(f"no such {'peer: ' + ', '.join(sorted(strange)) if strange else 'case'}")
        return 2
    session = Session(question, options)
    started = datetime.datetime.now(datetime.UTC)
    try:
        rounds = session.run(cases, contenders)
    except BenchmarkError as error:
        _say(str(error))
        return 2
    substitute = stands_in_for_orjson()
    judged = [judge(bound, [Round(each) for each in rounds], baseline=not substitute) for bound in question.bounds]
    result = _result(session, cases, contenders, rounds, judged, started, substitute)
    options.out.mkdir(parents=True, exist_ok=True)
    text = report.markdown(result)
    (options.out / f"{question.name}.json").write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    (options.out / f"{question.name}.md").write_text(text, "utf-8")
    (options.out / f"{question.name}.svg").write_text(report.picture(result), "utf-8")
    print(text)
    return 1 if any(each.failed for each in judged) else 0


def stands_in_for_orjson() -> str:
    """What the baseline uses where orjson is not there; "" where it is."""
    there = peers.python_of(BARE.environment) is not None or importlib.util.find_spec("orjson") is not None
    return "" if there else "msgspec"


def _result(
    session: Session,
    cases: Sequence[Case],
    contenders: Sequence[Contender],
    rounds: Sequence[Mapping[str, Mapping[str, Figures]]],
    judged: Sequence[Judgement],
    started: datetime.datetime,
    substitute: str,
) -> Json:
    question, options = session.question, session.options
    labels = {each.name: each.label for each in contenders}
    if substitute:
        labels = {name: label.replace("orjson", substitute) for name, label in labels.items()}
    return {
        "question": question.name,
        "title": question.title,
        "unit": question.unit,
        "command": options.command,
        "started": started.isoformat(timespec="seconds"),
        "minutes": round((datetime.datetime.now(datetime.UTC) - started).total_seconds() / 60, 1),
        "machine": machine(),
        "rounds": options.rounds,
        "short": options.short,
        "substitute": substitute,
        "base": question.base,
        "main": dataclasses.asdict(question.main),
        "beside": [dataclasses.asdict(column) for column in question.beside],
        "contenders": labels,
        "commit": _commit(options.library),
        "commit_before": options.before and _commit(options.before),
        "versions": {each.name: session.versions(each) for each in contenders},
        "cases": [
            {
                "name": case.name,
                "note": case.note,
                "job": dict(case.job) | (dict(case.short) if options.short else {}),
                "figures": _summed(case, rounds, question.base, question.main.figure),
                "failures": session.failures.get(case.name, {}),
                "compared": _compared(case, rounds),
            }
            for case in cases
        ],
        "bounds": [
            {
                "says": each.bound.says,
                "unit": each.bound.unit,
                "at_most": each.bound.at_most,
                "at_least": each.bound.at_least,
                "seen": each.seen and dataclasses.asdict(each.seen),
                "verdict": each.verdict,
            }
            for each in judged
        ],
        "raw": rounds,
    }


def _commit(library: Path) -> str | None:
    """What was measured, where it is a checkout; with a mark where that has changes that are not committed."""
    command = ["git", "-C", str(library), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _summed(case: Case, rounds: Sequence[Mapping[str, Mapping[str, Figures]]], base: str, main_figure: str) -> Json:
    """Per contender: the median of every figure, the main one's interval, and the ratio to the base round by round."""
    summed: Json = {}
    for name in rounds[-1][case.name]:
        seen = [each[case.name][name] for each in rounds]
        figures: Json = {figure: statistics.median(turn[figure] for turn in seen) for figure in seen[0]}
        figures["main"] = dataclasses.asdict(interval([turn[main_figure] for turn in seen]))
        if base in rounds[-1][case.name] and base != name:
            pairs = [
                turn[main_figure] / each[case.name][base][main_figure] for turn, each in zip(seen, rounds, strict=True)
            ]
            figures["ratio"] = dataclasses.asdict(interval(pairs))
        summed[name] = figures
    return summed


def _compared(case: Case, rounds: Sequence[Mapping[str, Mapping[str, Figures]]]) -> Json:
    """Per contender that was also measured with the other checkout: the ratio of each figure to that one's."""
    compared: Json = {}
    for name in rounds[-1][case.name]:
        if name + BEFORE in rounds[-1][case.name]:
            pairs = [(each[case.name][name], each[case.name][name + BEFORE]) for each in rounds]
            compared[name] = {
                figure: dataclasses.asdict(interval([now[figure] / before[figure] for now, before in pairs]))
                for figure in pairs[0][0]
                if all(before.get(figure) for _, before in pairs)
            }
    return compared
