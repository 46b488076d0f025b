"""Selection of changes and their results: evenly over dialects, providers, fields and kinds of changes."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from random import Random

import attrs

from . import changes
from .changes import KINDS, Place
from .responses import RecordedResponse
from .rules import RULES
from .verdicts import judge

PLACES_OF_A_FIELD = 3
"""Events of one stream, or items of one list, in which a field of the same pattern is changed."""


@attrs.frozen(eq=False)
class FieldChange:
    """One change: which document, which place, which kind."""

    response: RecordedResponse
    number: int
    place: Place
    kind: str


@attrs.frozen
class Failure:
    """A change whose reply is wrong."""

    dialect: str
    pattern: str
    kind: str
    problem: str
    example: str


@attrs.define
class Outcome:
    """Results of many changes."""

    counts: Counter[tuple[str, str]] = attrs.field(factory=Counter)
    """(dialect, outcome) → number."""
    failures: list[Failure] = attrs.field(factory=list)


def opaque(response: RecordedResponse) -> re.Pattern[str]:
    """The places of an response inside which nothing is changed."""
    return re.compile(RULES[response.dialect].opaque)


def all_changes(response: RecordedResponse, rng: Random) -> Iterator[FieldChange]:
    """The changes of one response, in which each field of a stream is changed in a few of its events."""
    inside = opaque(response)
    found: defaultdict[str, list[tuple[int, Place]]] = defaultdict(list)
    for number, document in enumerate(response.documents):
        if document is not None:
            for place in changes.places(document, inside, is_event=response.kind == "stream"):
                found[place.pattern].append((number, place))
    for where in found.values():
        chosen = where if len(where) <= PLACES_OF_A_FIELD else [where[0], *rng.sample(where[1:], PLACES_OF_A_FIELD - 1)]
        for number, place in chosen:
            for kind in KINDS:
                if changes.applies(kind, place):
                    yield FieldChange(response, number, place, kind)


def sample(found: Iterable[RecordedResponse], count: int, seed: int) -> list[FieldChange]:
    """About `count` changes, spread over dialects and providers, fields and kinds; the same for the same seed."""
    rng = Random(seed)  # noqa: S311 (the selection has to be reproducible)
    groups: defaultdict[tuple[str, str, str], list[FieldChange]] = defaultdict(list)
    for response in found:
        for change in all_changes(response, rng):
            groups[response.dialect, response.recording.provider, f"{response.kind} {change.place.pattern}"].append(
                change
            )
    for group in groups.values():
        rng.shuffle(group)
    chosen: list[FieldChange] = []
    rest = list(groups.values())
    rng.shuffle(rest)
    while rest and len(chosen) < count:
        for group in rest[: count - len(chosen)]:
            chosen.append(group.pop())
        rest = [group for group in rest if group]
    return chosen


def run(chosen: Iterable[FieldChange]) -> Outcome:
    """Judges all changes."""
    outcome = Outcome()
    by_response: defaultdict[RecordedResponse, list[FieldChange]] = defaultdict(list)
    for change in chosen:
        by_response[change.response].append(change)
    for response, its_changes in by_response.items():
        original = response.read()
        if original.is_foreign:
            raise AssertionError(f"{response.recording.id} cannot be read") from original.error
        for change in its_changes:
            verdict = judge(response, original, change.number, change.place, change.kind)
            outcome.counts[response.dialect, "WRONG" if verdict.problem else verdict.outcome] += 1
            if verdict.problem:
                example = f"{response.recording.id} document {change.number} at {change.place.path}"
                failure = Failure(response.dialect, change.place.pattern, change.kind, verdict.problem, example)
                outcome.failures.append(failure)
    return outcome


def table(outcome: Outcome) -> Iterator[str]:
    """Counts per dialect and outcome."""
    dialects = sorted({dialect for dialect, _ in outcome.counts})
    outcomes = sorted({name for _, name in outcome.counts})
    yield f"{'dialect':24}{'changes':>10}" + "".join(f"{name:>20}" for name in outcomes)
    for dialect in dialects:
        counts = [outcome.counts[dialect, name] for name in outcomes]
        yield f"{dialect:24}{sum(counts):>10,}" + "".join(f"{count:>20,}" for count in counts)


def grouped(failures: Sequence[Failure]) -> Mapping[tuple[str, str, str], list[Failure]]:
    """Failures by dialect, pattern and kind, the most frequent first."""
    groups: defaultdict[tuple[str, str, str], list[Failure]] = defaultdict(list)
    for failure in failures:
        groups[failure.dialect, failure.pattern, failure.kind].append(failure)
    return dict(sorted(groups.items(), key=lambda item: (-len(item[1]), item[0])))


def listed(failures: Sequence[Failure]) -> Iterator[str]:
    """One line for each dialect, pattern and kind, with an example."""
    for (dialect, pattern, kind), group in grouped(failures).items():
        yield f"{len(group):>6}  {dialect}  {pattern}  {kind}"
        yield f"{'':>8}{group[0].problem}\n{'':>8}{group[0].example}"


def write_failures(folder: Path, outcome: Outcome) -> None:
    """Writes the failures of each dialect to a file of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    for dialect in RULES:
        failures = [failure for failure in outcome.failures if failure.dialect == dialect]
        text = "\n".join(listed(failures))
        (folder / f"{dialect}.txt").write_text(f"{len(failures)} failures\n{text}\n", "utf-8")
