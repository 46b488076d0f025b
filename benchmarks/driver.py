"""Runs a benchmark: measures all contenders in interleaved rounds, judges the bounds and writes the results.

In every round each contender gets a fresh process. Within a round the contenders run each case alternately, in a random
order and then in the reverse order, so that a machine that slows down or warms up affects all of them alike. Client
and server each run on a core of their own where there are two.
"""

from __future__ import annotations

import dataclasses
import datetime
import importlib.util
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks import peers, report
from benchmarks.contenders import BARE, OUR_ADAPTERS, Contender
from benchmarks.options import Options, options_of
from benchmarks.processes import BenchmarkError, Json, Server, Worker, environment, python_for
from benchmarks.question import Case, Figures, Question
from benchmarks.stats import Judgement, Round, interval, judge
from benchmarks.system import cores, machine, pin

BEFORE = "-before"
"""Suffix of the names of contenders that run the package of the checkout given by ``--before``."""


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


# --- contenders ----------------------------------------------------------------------------------------------------


def chosen(question: Question, options: Options) -> list[Contender]:
    """The contenders of this run: our own and the selected peers."""
    found = [each for each in question.contenders if _is_wanted(each, question, options)]
    if options.before is not None:
        ours = [each for each in found if each.adapter in OUR_ADAPTERS and each.loop == "asyncio"]
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
