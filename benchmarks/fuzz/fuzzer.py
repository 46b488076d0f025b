"""Does any answer of a provider break us? ``python -m benchmarks.fuzz [--inputs 200000] [--seed N]``

Valid answers of every format are changed, damaged and replaced by noise, and handed to everything that reads what
comes from outside: the framing, each dialect's decoders and error mapper, and the reader of wait hints. Checked of
every input: only errors of ours come out, they and the replies can be printed, pickled and sent on, any cut of a
stream gives the same events, waits are finite, and the time is bounded. Last, every text, list and event is made
longer and longer: the time must grow no faster than the input.

It prints a table and ends with 1 when something failed, with what brings the failure back. One input alone is run by
``--target openai_chat.stream --only 1234`` with the same seed.
"""

from __future__ import annotations

import argparse
import copy
import functools
import math
import pickle
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple, TypeAlias, TypeVar, cast
from urllib.parse import urlsplit

import attrs

from anycompletion.codecs.json import dumps
from anycompletion.codecs.sse import Event, SSEParser
from anycompletion.dialects.base import AnnouncedDecoder, Continuation, Dialect, Target
from anycompletion.dialects.openai_chat.quirks import Quirks
from anycompletion.errors import BODY_LIMIT, APIError, CompletionError
from anycompletion.http import Headers, HttpResponse
from anycompletion.providers import DIALECTS
from anycompletion.rate_limit_headers import rate_limit_fields, wait_hint
from anycompletion.records import ChatCompletion, ChatRequest, FunctionDefinition, UserMessage
from anycompletion.streaming.accumulator import Accumulator

from . import mutations
from .seeds import HINT_BODIES, HINTS, SEEDS, Seeds

BASE_SECONDS = 1.0
SECONDS_PER_MEGABYTE = 4.0
"""Of processor time that any input may take: a hundred times what is usual, and far less than what stops a service."""

STATUSES = (
    *(300, 302, 400, 401, 402, 403, 404, 408, 409, 413, 418, 422, 425),
    *(498, 500, 502, 503, 504, 524, 529, 599),
)

SHOWN = 2000
"""Characters of an input that a failure shows."""


T = TypeVar("T")


class Wrong(AssertionError):
    """A property does not hold."""


def expect(holds: bool, what: str) -> None:
    if not holds:
        raise Wrong(what)


class Subject(NamedTuple):
    """What is fuzzed: how an input is made, how big it is, and what must hold of it."""

    make: Callable[[Random], Any]
    check: Callable[[Any], None]


# --- framing ---------------------------------------------------------------------------------------------------------


class Cut(NamedTuple):
    """Bytes, the same in pieces, and what else the target needs to know."""

    data: bytes
    pieces: list[bytes]
    choice: int = 0


def make_framing(rng: Random) -> Cut:
    seeds = rng.choice(list(SEEDS.values())).streams
    data = mutations.noise(rng) if rng.random() < 0.5 else mutations.stream(rng, seeds, seeds)
    return Cut(data, mutations.cuts(rng, data), rng.choice((1 << 24, 1 << 24, 40, 200)))


def check_framing(given: Cut) -> None:
    whole, fault = framed([given.data], given.choice)
    again, fault_again = framed(given.pieces, given.choice)
    expect(whole == again, f"other events when cut: {again!r}")
    expect((fault is None) == (fault_again is None), "another fault when cut")


def framed(pieces: Iterable[bytes], limit: int) -> tuple[list[Event], APIError | None]:
    framing = SSEParser(limit)
    return [event for piece in pieces for event in framing.feed(piece)], framing.error


# --- dialects --------------------------------------------------------------------------------------------------------

_TALK = (UserMessage("Hi."),)
_REQUESTS = (
    ChatRequest("m", _TALK),
    ChatRequest("m", _TALK, n=2),
    ChatRequest("m", _TALK, functions=[FunctionDefinition("look")]),
)
_TARGETS = tuple(
    Target(provider="p", model="owner/name", base_url="https://api.replicate.com", quirks=quirks, on_unsupported="drop")
    for quirks in (Quirks(), Quirks(), Quirks(functions_as_tools=True))
)


@dataclass(frozen=True)
class Format:
    """One dialect under test."""

    name: str
    seeds: Seeds = field(repr=False)
    others: Sequence[Any] = field(repr=False)

    @property
    def dialect(self) -> Dialect:
        module: Dialect = DIALECTS[self.name]
        return module

    # - streams -

    def make_stream(self, rng: Random) -> Cut:
        data = mutations.stream(rng, self.seeds.streams, self.others)
        return Cut(data, mutations.cuts(rng, data), rng.randrange(len(_REQUESTS)))

    def check_stream(self, given: Cut) -> None:
        whole = self.read([given.data], given.choice)
        expect(whole == self.read(given.pieces, given.choice), "other chunks when cut")

    def end(self, given: Cut) -> str:
        """How a stream ends: "ok", or the name of its error."""
        try:
            for _ in self.chunks([given.data], given.choice):
                pass
        except CompletionError as error:
            return type(error).__name__
        return "ok"

    def read(self, pieces: Iterable[bytes], choice: int) -> list[Any]:
        """Everything a caller would see of a stream, in a form that compares."""
        seen: list[Any] = []
        accumulator = Accumulator()
        try:
            for chunk in self.chunks(pieces, choice):
                accumulator.add(chunk)
                seen.append((dumps(chunk.to_dict()), dumps(chunk.raw)))
        except CompletionError as error:
            check_error(error)
            seen.append((type(error), str(error), error.code, error.status_code))
        completion = accumulator.completion()
        self.check_completion(completion, choice)
        return [*seen, dumps(completion.to_dict())]

    def chunks(self, pieces: Iterable[bytes], choice: int) -> Iterator[Any]:
        framing = SSEParser()
        decoder = self.dialect.decoder(_REQUESTS[choice], _TARGETS[choice])
        starter: object = decoder
        if choice and isinstance(starter, AnnouncedDecoder):
            starter.start(HttpResponse(201, Headers.of(self.seeds.headers), dumps(self.seeds.replies[choice])))
        for piece in pieces:
            for event in framing.feed(piece):
                yield from decoder.feed(event)
                if decoder.done:
                    break
            if decoder.done:
                break
            if framing.error is not None:
                raise framing.error
        end = decoder.finish()
        if isinstance(end, Continuation):
            check_follow(end, _TARGETS[choice])
        else:
            yield from end

    # - whole replies -

    def make_reply(self, rng: Random) -> tuple[HttpResponse, int]:
        return self._response(rng, 200, self.seeds.replies), rng.randrange(len(_REQUESTS))

    def _response(self, rng: Random, status: int, seeds: Sequence[Any]) -> HttpResponse:
        changes = {name: mutations.header(rng, said) for name, said in self.seeds.headers.items()}
        kept = [(name.encode(), said) for name, said in changes.items() if rng.random() < 0.8]
        return HttpResponse(status, Headers(kept), mutations.body(rng, seeds))

    def check_reply(self, given: tuple[HttpResponse, int]) -> None:
        response, choice = given
        target = attrs.evolve(_TARGETS[choice], stream=choice == 1)
        try:
            found = self.dialect.decode(response, _REQUESTS[choice], target)
        except CompletionError as error:
            check_error(error)
            return
        if isinstance(found, Continuation):
            check_follow(found, target)
        else:
            self.check_completion(found, choice)

    def check_completion(self, completion: ChatCompletion, choice: int) -> None:
        """A reply can be printed, kept, compared, and sent back as an earlier turn."""
        repr(completion)
        dumps(completion.to_dict())
        expect(dumps(pickled(completion).to_dict()) == dumps(completion.to_dict()), "another when pickled")
        copy.deepcopy(completion)
        for reply in completion.choices:
            request = attrs.evolve(_REQUESTS[choice], messages=[*_TALK, reply.message, *_TALK])
            try:
                sent = self.dialect.encode(request, _TARGETS[choice], {})
                dumps(getattr(sent, "body", None))
            except CompletionError:
                pass

    # - errors -

    def make_error(self, rng: Random) -> HttpResponse:
        return self._response(
            rng, 429 if rng.random() < 0.4 else rng.choice(STATUSES), (*self.seeds.errors, *self.seeds.replies)
        )

    def check_error(self, given: HttpResponse) -> None:
        error = self.dialect.error(given)
        expect(error.status_code is not None, "no status")
        check_error(error)


def check_error(error: CompletionError) -> None:
    """An error can be printed, kept and decided upon."""
    expect(len(str(error)) < BODY_LIMIT and len(repr(error)) < 4 * BODY_LIMIT, "a long text")
    expect(not {"\n", "\r", "\x1b"} & {*str(error), *repr(error)}, "a text of several lines")
    expect(error.body is None or len(error.body) <= BODY_LIMIT, "a long body")
    for name in ("param", "code", "type", "request_id", "body"):
        value = getattr(error, name)
        expect(value is None or isinstance(value, str), f".{name} is no text")
    expect(error.status_code is None or 200 <= error.status_code < 600, ".status_code is none")
    check_wait(error.retry_after)
    again = pickled(error)
    expect(type(again) is type(error) and repr(again) == repr(error), "another when pickled")


def pickled(value: T) -> T:
    """`value` after a journey to another process."""
    again: T = pickle.loads(pickle.dumps(value))  # noqa: S301 (what is read was written on the same line)
    return again


def check_wait(wait: float | None) -> None:
    expect(wait is None or (math.isfinite(wait) and wait >= 0), f"waits {wait!r}")


def check_follow(follow: Continuation, target: Target) -> None:
    """What is asked next goes to https only, and the key only to where it belongs."""
    check_wait(follow.after)
    for request in (follow.request, follow.cancel):
        if request is not None:
            asked, home = urlsplit(request.url), urlsplit(target.base_url)
            expect(asked.scheme == "https" and asked.username is None, "asks elsewhere")
            expect(
                not request.authenticated or asked.netloc.lower() in (home.netloc, home.netloc + ":443"), "key astray"
            )


# --- headers ---------------------------------------------------------------------------------------------------------


def make_hints(rng: Random) -> tuple[Headers, bytes]:
    names = rng.sample(sorted(HINTS), rng.randrange(1, len(HINTS)))
    pairs = [(name.encode(), mutations.header(rng, rng.choice(HINTS[name]))) for name in names]
    return Headers(pairs), mutations.body(rng, HINT_BODIES) if rng.random() < 0.5 else b""


def check_hints(given: tuple[Headers, bytes]) -> None:
    check_wait(wait_hint(*given))
    for value in rate_limit_fields(given[0]).values():
        check_wait(value)


# --- growth ----------------------------------------------------------------------------------------------------------

GROWTH = ((1_500, 6_000), (6_000, 24_000), (24_000, 96_000))
"""Times that a text, a list or an event is repeated; what grows too fast at one pair is looked at again at the next."""

SUSPECT, STEEP = 4.7, 8.0
"""Four times the input may take up to so many times as long; sixteen times is what a quadratic reader comes to."""

NOTICEABLE = 0.02
"""Seconds below which nothing can be told."""

Grow: TypeAlias = Callable[[int], Any]
"""Makes something so many times as long."""


def growths(form: Format) -> Iterator[tuple[str, Callable[[int], float]]]:
    """Everything of a format that can be long: a label, and what reads it at that length."""
    for s, events in enumerate(form.seeds.streams):
        for i, (name, data) in enumerate(events):
            where = f"stream {s}, event {i}"
            before, after = _written(events[:i]), _written(events[i + 1 :])
            for numbered in (False, True):
                one = functools.partial(_many, name, data, numbered)
                yield f"{where} again and again{', numbered' * numbered}", _stream_reader(form, before, one, after)
            for label, grow in _grown(data):
                yield f"{where}, {label}", _stream_reader(form, before, _one(name, grow), after)
    for r, reply in enumerate(form.seeds.replies):
        for label, grow in _grown(reply):
            yield f"reply {r}, {label}", _reply_reader(form, grow)


def _written(events: Iterable[Any]) -> bytes:
    rng = generator("plain")
    return b"".join(mutations.event_bytes(rng, name, data, False) for name, data in events)


def _many(name: str, data: Any, numbered: bool, times: int) -> bytes:
    if not numbered:
        return _written([(name, data)]) * times
    return _written((name, mutations.numbered(data, i)) for i in range(times))


def _one(name: str, grow: Grow) -> Grow:
    return lambda times: _written([(name, grow(times))])


def _stream_reader(form: Format, before: bytes, grow: Grow, after: bytes) -> Callable[[int], float]:
    def read(times: int) -> float:
        data = before + grow(times) + after
        start = time.process_time()
        accumulator = Accumulator()
        try:
            for chunk in form.chunks([data], 0):
                accumulator.add(chunk)
        except CompletionError:
            pass
        accumulator.completion()
        return time.process_time() - start

    return read


def _reply_reader(form: Format, grow: Grow) -> Callable[[int], float]:
    def read(times: int) -> float:
        response = HttpResponse(200, Headers.of(form.seeds.headers), dumps(grow(times)))
        start = time.process_time()
        try:
            form.dialect.decode(response, _REQUESTS[0], _TARGETS[0])
        except CompletionError:
            pass
        return time.process_time() - start

    return read


def _grown(source: Any) -> Iterator[tuple[str, Grow]]:
    """`source` with each of its texts, lists and objects in turn as long as is asked."""
    for i, place in enumerate(mutations.places([source])):
        kind = type(place.value).__name__
        if kind in ("str", "list", "dict") and place.value:
            yield f"a longer {kind} at {place.key!r}", _growing(source, i)


def _growing(source: Any, at: int) -> Grow:
    def grow(times: int) -> Any:
        root = [mutations.copied(source)]
        place = mutations.places(root)[at]
        place.value = longer(place.value, times)
        return root[0]

    return grow


def longer(value: Any, times: int) -> Any:
    """A text or a list so many times as long, or an object with so many members more."""
    if isinstance(value, list):
        items = cast("list[Any]", value)
        return [mutations.numbered(item, i) for i in range(times) for item in items]
    if isinstance(value, dict):
        return cast("dict[str, Any]", value) | {f"member {i}": i for i in range(times)}
    return value * times


def steepness(read: Callable[[int], float]) -> float | None:
    """How many times as long four times the input takes, where that is too long."""
    ratio = None
    for short, long in GROWTH:
        seconds = read(long)
        if seconds < NOTICEABLE or seconds < SUSPECT * read(short):
            return None
        ratio = min(seconds, read(long)) / max(read(short), read(short))
        if ratio < SUSPECT:
            return None
        if ratio > STEEP and seconds > 1:
            break
    return ratio if ratio is not None and ratio > STEEP else None


# --- running ---------------------------------------------------------------------------------------------------------

FORMATS: Mapping[str, Format] = {
    name: Format(name, seeds, [stream for other in SEEDS.values() for stream in other.streams])
    for name, seeds in SEEDS.items()
}

SUBJECTS: Mapping[str, Subject] = {
    "framing": Subject(make_framing, check_framing),
    **{f"{name}.stream": Subject(form.make_stream, form.check_stream) for name, form in FORMATS.items()},
    **{f"{name}.reply": Subject(form.make_reply, form.check_reply) for name, form in FORMATS.items()},
    **{f"{name}.error": Subject(form.make_error, form.check_error) for name, form in FORMATS.items()},
    "wait hints": Subject(make_hints, check_hints),
}


@dataclass
class Outcome:
    """What became of one target."""

    inputs: int = 0
    failures: dict[int, str] = field(default_factory=dict[int, str])
    """Number of the input → what went wrong, and the input."""
    seconds: float = 0.0
    slowest: float = 0.0


def generator(*names: object) -> Random:
    """A random generator that is the same for the same names."""
    return Random(" ".join(map(str, names)))  # noqa: S311 (inputs that come back are what is wanted)


def make_input(seed: int, name: str, subject: Subject, number: int) -> Any:
    """The input of that number: the same for the same seed, whatever else is run."""
    return subject.make(generator(seed, name, number))


def run(seed: int, name: str, subject: Subject, numbers: Iterable[int]) -> Outcome:
    """Runs inputs through one target."""
    outcome = Outcome()
    for number in numbers:
        given = make_input(seed, name, subject, number)
        start = time.process_time()
        try:
            subject.check(given)
        except Exception as fault:  # noqa: BLE001 (whatever comes out is what is looked for)
            outcome.failures[number] = f"{type(fault).__name__}: {str(fault)[:SHOWN]}\n    {shown(given)}"
        spent = time.process_time() - start
        outcome.inputs += 1
        outcome.seconds += spent
        outcome.slowest = max(outcome.slowest, spent)
        if spent > BASE_SECONDS + SECONDS_PER_MEGABYTE * size(given) / 1e6:
            outcome.failures[number] = f"took {spent:.1f} s of processor time\n    {shown(given)}"
    return outcome


def shown(given: Any) -> str:
    """An input with all it is made of."""
    if isinstance(given, HttpResponse):
        return f"HttpResponse({given.status}, {given.headers!r}, {given.body[:SHOWN]!r})"
    if isinstance(given, tuple):
        return "\n    ".join(map(shown, cast("tuple[Any, ...]", given)))
    return repr(given)[:SHOWN]


def size(given: Any) -> int:
    """Bytes of an input."""
    if isinstance(given, HttpResponse):
        return len(given.body)
    if isinstance(given, tuple):
        return max(map(size, cast("tuple[Any, ...]", given)))
    return len(given) if isinstance(given, bytes) else 0


def run_growth(form: Format) -> Outcome:
    """Makes everything of one format longer and longer."""
    outcome = Outcome()
    start = time.process_time()
    for number, (label, read) in enumerate(growths(form)):
        outcome.inputs += 1
        steep = steepness(read)
        if steep is not None:
            outcome.failures[number] = f"four times the input takes {steep:.0f} times as long: {label}"
    outcome.seconds = time.process_time() - start
    return outcome


def fuzz(inputs: int, seed: int, growth: bool = True) -> dict[str, Outcome]:
    """Spreads `inputs` over all targets."""
    share = -(-inputs // len(SUBJECTS))
    outcomes = {name: run(seed, name, subject, range(share)) for name, subject in SUBJECTS.items()}
    if growth:
        outcomes |= {f"{name}, growing": run_growth(form) for name, form in FORMATS.items()}
    return outcomes


def table(outcomes: Mapping[str, Outcome], seed: int) -> Iterator[str]:
    """The figures, and what brings each failure back."""
    yield f"{'target':34} {'inputs':>8} {'failures':>8} {'seconds':>8} {'slowest':>8}"
    for name, outcome in outcomes.items():
        figures = f"{len(outcome.failures):8,} {outcome.seconds:8.1f} {outcome.slowest:8.3f}"
        yield f"{name:34} {outcome.inputs:8,} {figures}"
    for name, outcome in outcomes.items():
        for number, said in list(outcome.failures.items())[:5]:
            how = f"--seed {seed} --target {name!r} --only {number}" if name in SUBJECTS else name
            yield f"\n{how}\n    {said}"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=str(__doc__).partition("\n")[0])
    parser.add_argument("--inputs", type=int, default=200_000, help="over all targets together (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="default: %(default)s")
    parser.add_argument("--target", choices=SUBJECTS, help="this target alone")
    parser.add_argument("--only", type=int, help="of that target the input of this number alone")
    given = parser.parse_args(arguments)
    if given.target is None:
        outcomes = fuzz(given.inputs, given.seed)
    else:
        numbers = range(given.inputs) if given.only is None else [given.only]
        outcomes = {given.target: run(given.seed, given.target, SUBJECTS[given.target], numbers)}
    print("\n".join(table(outcomes, given.seed)))
    print(f"\n{sum(outcome.inputs for outcome in outcomes.values()):,} inputs, seed {given.seed}")
    return 1 if any(outcome.failures for outcome in outcomes.values()) else 0
