"""Runs a benchmark: measures all contenders in interleaved rounds, judges the bounds and writes the results.

In every round each contender gets a fresh process. Within a round the contenders run each case alternately, in a random
order and then in the reverse order, so that a machine that slows down or warms up affects all of them alike. Client
and server each run on a core of their own where there are two.
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
    """One measured case of a question."""

    name: str
    job: Mapping[str, Any] = field(default_factory=dict[str, Any])
    short: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Members of the job that replace those of `job` in the short form."""
    only: frozenset[str] | None = None
    """Names of the contenders that take part; None: all."""
    note: str = ""
    slices: int | None = None
    """Measurements of each contender in a round, where it differs from the question's."""


@dataclass(frozen=True)
class Column:
    """A column of the result tables: one figure, its title and its number of decimals."""

    figure: str
    title: str
    digits: int = 1


@dataclass(frozen=True)
class Question:
    """A benchmark: its cases, its contenders and the bounds on its figures."""

    name: str
    title: str
    unit: str
    """What a figure refers to: a call, a chunk."""
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
    """Name of the contender that the tables compare with; "" for no comparison."""
    always: frozenset[str] = frozenset({BARE.name, OURS.name})
    """Names of the contenders that take part in the short form."""
    slices: int = 2
    """Measurements of each contender for each case of a round."""
    fresh: bool = False
    """Whether every case needs a fresh process, because memory is measured."""
    peers_by_default: bool = True
    """Whether installed peers take part by default."""
    measure: Callable[[Session, Case, Contender], Figures] | None = None
    """Measures one case of one contender without a worker process; None: a worker does it."""


@dataclass(frozen=True)
class Options:
    """Options of a run; the command line's help describes them."""

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
    """A measurement failed."""


# --- processes -----------------------------------------------------------------------------------------------------


def python_for(contender: Contender) -> Path:
    """The interpreter of a contender's environment; this process's own where the baseline's is not installed."""
    python = peers.python_of(contender.environment)
    if python is not None:
        return python
    if contender.environment == BARE.environment:
        return Path(sys.executable)
    raise BenchmarkError(
        f"{contender.environment} is not installed: python -m benchmarks.peers install --only {contender.environment}"
    )


def environment(contender: Contender | None, library: Path) -> dict[str, str]:
    """Environment variables of a child process: no proxies, no keys, the working tree first on the path."""
    kept = {
        name: os.environ[name] for name in ("PATH", "HOME", "LANG", "SYSTEMROOT", "TEMP", "TMP") if name in os.environ
    }
    extra = peers.Environment(()) if contender is None else peers.ENVIRONMENTS[contender.environment]
    path = [str(peers.ROOT), str(library)]
    return {**kept, **extra.variables, "PYTHONPATH": os.pathsep.join(path)}


class Worker:
    """Process that runs the jobs of one contender."""

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
            self.hello = self._read_reply(120)
        except BaseException:  # no caller can stop the process yet
            self.stop()
            raise

    def ask(self, job: Mapping[str, Any]) -> Figures:
        """Runs a job and returns its figures."""
        assert self._process.stdin is not None
        if self._process.poll() is not None:
            raise BenchmarkError(f"{self.contender.name} ended in an earlier case")
        self._process.stdin.write(json.dumps(dict(job)) + "\n")
        self._process.stdin.flush()
        reply = self._read_reply(job["limit"] + 30)
        if "error" in reply:
            raise BenchmarkError(f"{self.contender.name} failed at {dict(job)}:\n{reply['error']}")
        figures: Figures = reply["figures"]
        return figures

    def _read_reply(self, limit: float) -> Json:
        assert self._process.stdout is not None
        if sys.platform != "win32":
            ready, _, _ = select.select([self._process.stdout], [], [], limit)
            if not ready:
                self.stop()
                raise BenchmarkError(f"{self.contender.name} sent no reply for {limit:.0f} s")
        line = self._process.stdout.readline()
        if not line:
            self._errors.seek(0)
            raise BenchmarkError(f"{self.contender.name} ended:\n{self._errors.read()[-4000:]}")
        reply: Json = json.loads(line)
        return reply

    def stop(self) -> None:
        """Stops the process."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._errors):
            if pipe is not None:
                pipe.close()


class Server:
    """Process of the loopback server."""

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
        """CPU seconds that the server has used so far."""
        return float(fetch(self.root, "/cost")["cpu"])

    def stop(self) -> None:
        """Stops the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


# --- one question --------------------------------------------------------------------------------------------------


class Session:
    """One run of a question: the server and the worker processes of its contenders."""

    def __init__(self, question: Question, options: Options) -> None:
        self.question = question
        self.options = options
        self.client_core, server_core = cores()
        self._server_core = server_core
        self.server: Server
        self.hellos: dict[str, Json] = {}
        self.failures: dict[str, dict[str, str]] = {}
        """Error text by case and contender; the contender takes no further part in that case."""
        self._workers: dict[str, Worker] = {}
        self._random = random.Random(options.seed)  # noqa: S311 (an order, not a secret)

    @contextmanager
    def _running_server(self) -> Generator[None, None, None]:
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
    def _running_workers(self, contenders: Sequence[Contender]) -> Generator[None, None, None]:
        with ExitStack() as stack:
            if self.question.measure is None:
                for contender in contenders:
                    worker = Worker(contender, self.server.root, self.client_core, self.options.library)
                    stack.callback(worker.stop)
                    self._workers[contender.name] = worker
                    self.hellos[contender.name] = worker.hello
            yield

    def run(self, cases: Sequence[Case], contenders: Sequence[Contender]) -> list[dict[str, dict[str, Figures]]]:
        """Figures of every round, by case and contender."""
        rounds: list[dict[str, dict[str, Figures]]] = []
        with self._running_server():
            for number in range(self.options.rounds):
                start = time.monotonic()
                rounds.append(self._round(cases, contenders))
                _log(f"round {number + 1} of {self.options.rounds}: {time.monotonic() - start:.1f} s")
        return rounds

    def versions(self, contender: Contender) -> dict[str, str]:
        """Versions of a contender's interpreter and distributions."""
        hello = self.hellos.get(contender.name)
        if hello is not None:
            return dict(hello["versions"])
        code = "import json, sys; from benchmarks.worker import versions; print(json.dumps(versions(sys.argv[1:])))"
        done = subprocess.run(
            [python_for(contender), "-P", "-c", code, *contender.distributions],
            env=environment(contender, self.options.library),
            capture_output=True,
            text=True,
            check=True,
        )
        return dict(json.loads(done.stdout))

    def _round(self, cases: Sequence[Case], contenders: Sequence[Contender]) -> dict[str, dict[str, Figures]]:
        if not self.question.fresh:
            with self._running_workers(contenders):
                return {case.name: self._case(case, contenders) for case in cases}
        measured: dict[str, dict[str, Figures]] = {}
        for case in cases:
            with self._running_workers(_taking_part(case, contenders)):
                measured[case.name] = self._case(case, contenders)
        return measured

    def _case(self, case: Case, contenders: Sequence[Contender]) -> dict[str, Figures]:
        order = _taking_part(case, contenders)
        self._random.shuffle(order)
        samples: dict[str, list[Figures]] = {}
        for at in range(self.options.slices or case.slices or self.question.slices):
            for contender in order if at % 2 == 0 else reversed(order):
                if contender.name not in self.failures.get(case.name, {}):
                    self._add_sample(case, contender, samples)
        return {name: _mean(figures) for name, figures in samples.items()}

    def _add_sample(self, case: Case, contender: Contender, samples: dict[str, list[Figures]]) -> None:
        try:
            figures = self._measure(case, contender)
        except BenchmarkError as error:
            if not contender.peer:
                raise
            # The results name what a peer cannot do; the other contenders go on.
            _log(str(error))
            self.failures.setdefault(case.name, {})[contender.name] = str(error).strip().splitlines()[-1]
            samples.pop(contender.name, None)
        else:
            samples.setdefault(contender.name, []).append(figures)

    def _measure(self, case: Case, contender: Contender) -> Figures:
        if self.question.measure is not None:
            return self.question.measure(self, case, contender)
        before = self.server.cpu()
        figures = self._workers[contender.name].ask(self.job(case, contender))
        figures["server_us"] = (self.server.cpu() - before) / figures["units"] * 1e6
        return figures

    def job(self, case: Case, contender: Contender) -> Json:
        """The job that a worker gets for a case."""
        job: Json = {"seconds": self.options.seconds, "limit": 300, **case.job, **contender.job}
        return job | dict(case.short) if self.options.short else job


def _taking_part(case: Case, contenders: Sequence[Contender]) -> list[Contender]:
    return [each for each in contenders if case.only is None or each.name in case.only]


def _mean(samples: Sequence[Figures]) -> Figures:
    return {name: sum(sample[name] for sample in samples) / len(samples) for name in samples[0]}


def _log(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# --- contenders and options ----------------------------------------------------------------------------------------


def chosen(question: Question, options: Options) -> list[Contender]:
    """The contenders of this run: our own and the selected peers."""
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
    """Parses the command line."""
    name = "benchmarks" if question is None else f"benchmarks.{question.name}"
    parser = argparse.ArgumentParser(
        prog=f"python -m {name}",
        description="All benchmarks of this folder" if question is None else question.title,
        epilog="Exits with 1 if a bound fails: if, over at least 7 rounds, its whole interval is on the wrong side.",
    )
    parser.add_argument("--rounds", type=int, help="default 7, in the short form 2")
    parser.add_argument(
        "--short", action="store_true", help="a few seconds, no peers, no bound judged: checks that it runs"
    )
    parser.add_argument(
        "--peers", metavar="NAMES", help="comma-separated names, `all` or `none`; default: those that are installed"
    )
    parser.add_argument(
        "--cases", metavar="NAMES", default="", help="comma-separated prefixes of case names; default: all"
    )
    parser.add_argument("--seconds", type=float, help="of one measurement; default 0.5, in the short form 0.05")
    parser.add_argument("--slices", type=int, help="measurements of each contender for each case of a round")
    parser.add_argument("--out", type=Path, help="folder for the results; default benchmarks/results")
    parser.add_argument("--seed", type=int, default=1, help="seed of the order of contenders")
    parser.add_argument(
        "--library",
        type=checkout_library,
        metavar="DIR",
        default=peers.LIBRARY,
        help="checkout to measure instead of this one",
    )
    parser.add_argument(
        "--before",
        type=checkout_library,
        metavar="DIR",
        help="another checkout to measure in the same rounds; prints the ratios of this one to it, and takes no peers "
        "unless they are named",
    )
    given = parser.parse_args(arguments)
    if (given.rounds is not None and given.rounds < 1) or (given.slices is not None and given.slices < 1):
        parser.error("at least one round of one slice is required")
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


def checkout_library(text: str) -> Path:
    """The folder with the package in a checkout, which may be given itself or as the checkout's root."""
    given = Path(text).resolve()
    for folder in (given / "lib", given):
        if (folder / "anycompletion").is_dir():
            return folder
    raise argparse.ArgumentTypeError(f"no lib/anycompletion in {given}")


# --- running a question --------------------------------------------------------------------------------------------


def main(question: Question, arguments: Sequence[str] | None = None) -> int:
    """Runs a question, prints and writes its results; exit code 0, 1 if a bound failed, 2 if the run failed."""
    return ask(question, options_of(arguments, question))


def ask(question: Question, options: Options) -> int:
    """`main` with parsed options."""
    contenders = chosen(question, options)
    cases = [
        _with_comparisons(case, options.before)
        for case in question.cases
        if not options.cases or any(case.name.startswith(name) for name in options.cases)
    ]
    known = {name for each in question.contenders for name in (each.name, each.environment)}
    unknown = options.peers - known - peers.ENVIRONMENTS.keys()
    if unknown or not cases:
        _log(f"no such {'peer: ' + ', '.join(sorted(unknown)) if unknown else 'case'}")
        return 2
    session = Session(question, options)
    started = datetime.datetime.now(datetime.UTC)
    try:
        rounds = session.run(cases, contenders)
    except BenchmarkError as error:
        _log(str(error))
        return 2
    substitute = substitute_for_orjson()
    judged = [judge(bound, [Round(each) for each in rounds], baseline=not substitute) for bound in question.bounds]
    result = _result(session, cases, contenders, rounds, judged, started, substitute)
    options.out.mkdir(parents=True, exist_ok=True)
    text = report.markdown(result)
    (options.out / f"{question.name}.json").write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    (options.out / f"{question.name}.md").write_text(text, "utf-8")
    (options.out / f"{question.name}.svg").write_text(report.picture(result), "utf-8")
    print(text)
    return 1 if any(each.failed for each in judged) else 0


def substitute_for_orjson() -> str:
    """Name of the JSON library that the baseline uses where orjson is not installed; "" where it is."""
    installed = peers.python_of(BARE.environment) is not None or importlib.util.find_spec("orjson") is not None
    return "" if installed else "msgspec"


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
                "figures": _summarized(case, rounds, question.base, question.main.figure),
                "failures": session.failures.get(case.name, {}),
                "compared": _compared(case, rounds),
            }
            for case in cases
        ],
        "bounds": [
            {
                "label": each.bound.label,
                "unit": each.bound.unit,
                "at_most": each.bound.at_most,
                "at_least": each.bound.at_least,
                "measured": each.measured and dataclasses.asdict(each.measured),
                "verdict": each.verdict,
            }
            for each in judged
        ],
        "raw": rounds,
    }


def _commit(library: Path) -> str | None:
    """The commit that was measured, with `-dirty` where it has uncommitted changes; None outside a checkout."""
    command = ["git", "-C", str(library), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _summarized(case: Case, rounds: Sequence[Mapping[str, Mapping[str, Figures]]], base: str, main_figure: str) -> Json:
    """Per contender: the median of every figure, the main one's interval, and its ratio to the base within a round."""
    summary: Json = {}
    for name in rounds[-1][case.name]:
        seen = [each[case.name][name] for each in rounds]
        figures: Json = {figure: statistics.median(turn[figure] for turn in seen) for figure in seen[0]}
        figures["main"] = dataclasses.asdict(interval([turn[main_figure] for turn in seen]))
        if base in rounds[-1][case.name] and base != name:
            pairs = [
                turn[main_figure] / each[case.name][base][main_figure] for turn, each in zip(seen, rounds, strict=True)
            ]
            figures["ratio"] = dataclasses.asdict(interval(pairs))
        summary[name] = figures
    return summary


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
