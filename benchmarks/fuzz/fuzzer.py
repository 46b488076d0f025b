"""Fuzzing of all code that reads what servers and callers send: ``python -m benchmarks.fuzz [--inputs N] [--seed N]``.

Valid responses of every format are mutated, damaged and replaced by noise, and passed to the code that reads them: the
SSE parser, each dialect's decoders and error mapper, and the reader of retry hints. For every input it checks that only
errors of ours are raised, that errors and replies can be printed, pickled and sent on, that a stream gives the same
events whatever the pieces it arrives in, that waits are finite, and that the time is bounded. So are the framing of
HTTP responses (`http1`), bodies of requests to the endpoint, which must be answered or refused (`endpoint`), and the
arguments of tools, which must become a result or an error for the model (`tool_arguments`).
Finally every text, list and event is made longer and longer: the time must not grow faster than the input.

It prints a table, and for each failure the options that reproduce it; the exit code is 1 when there is a failure.
``--target openai_chat.stream --only 1234`` runs one input alone, with the same seed; several targets share the inputs.
"""

from __future__ import annotations

import argparse
import copy
import functools
import math
import pickle
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple, TypeAlias, TypeVar, cast
from urllib.parse import urlsplit

import attrs

from anycompletion.codecs.json import dumps
from anycompletion.codecs.sse import Event, SSEParser
from anycompletion.dialects.base import Continuation, DecoderWithResponse, Dialect, Target
from anycompletion.dialects.openai_chat.quirks import Quirks
from anycompletion.errors import BODY_LIMIT, APIError, CompletionError
from anycompletion.http import Headers, HttpResponse
from anycompletion.providers import DIALECTS
from anycompletion.rate_limit_headers import rate_limit_fields, wait_hint
from anycompletion.records import ChatCompletion, ChatRequest, FunctionDefinition, UserMessage
from anycompletion.streaming.accumulator import Accumulator

from . import mutations
from .endpoint import ENDPOINT
from .hints import HINT_BODIES, HINTS
from .http1 import HTTP1
from .seed_types import Seeds, Write, as_event
from .seeds import SEEDS
from .subject import Subject, expect
from .tool_arguments import TOOL_ARGUMENTS

BASE_SECONDS = 1.0
SECONDS_PER_MEGABYTE = 4.0
"""Limit of the CPU time per input: a hundred times the usual, and far less than what blocks a service."""

STATUSES = (
    *(300, 302, 400, 401, 402, 403, 404, 408, 409, 413, 418, 422, 425),
    *(498, 500, 502, 503, 504, 524, 529, 599),
)

SHOWN = 2000
"""Characters of an input shown with a failure."""


T = TypeVar("T")


# --- framing ---------------------------------------------------------------------------------------------------------


class Cut(NamedTuple):
    """Bytes, the same bytes in pieces, and a number that selects a variant of the target."""

    data: bytes
    pieces: list[bytes]
    choice: int = 0


def make_framing(rng: Random) -> Cut:
    seeds = rng.choice([seeds.streams for seeds in SEEDS.values() if seeds.write is as_event])
    data = mutations.noise(rng) if rng.random() < 0.5 else mutations.stream(rng, seeds, seeds)
    return Cut(data, mutations.cuts(rng, data), rng.choice((1 << 24, 1 << 24, 40, 200)))


def check_framing(given: Cut) -> None:
    events, error = parse([given.data], given.choice)
    events_in_pieces, error_in_pieces = parse(given.pieces, given.choice)
    expect(events == events_in_pieces, f"different events in pieces: {events_in_pieces!r}")
    expect((error is None) == (error_in_pieces is None), "a different error in pieces")


def parse(pieces: Iterable[bytes], limit: int) -> tuple[list[Event], APIError | None]:
    parser = SSEParser(limit)
    return [event for piece in pieces for event in parser.feed(piece)], parser.error


# --- dialects --------------------------------------------------------------------------------------------------------

_MESSAGES = (UserMessage("Hi."),)
_REQUESTS = (
    ChatRequest("m", _MESSAGES),
    ChatRequest("m", _MESSAGES, n=2),
    ChatRequest("m", _MESSAGES, functions=[FunctionDefinition("look")]),
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

    def target(self, choice: int) -> Target:
        """The target of a variant, with differences of the dialect's own class."""
        found = _TARGETS[choice]
        own = self.dialect.quirks_type
        return found if isinstance(found.quirks, own) else attrs.evolve(found, quirks=own())

    # - streams -

    def make_stream(self, rng: Random) -> Cut:
        data = mutations.stream(rng, self.seeds.streams, self.others, self.seeds.write)
        return Cut(data, mutations.cuts(rng, data), rng.randrange(len(_REQUESTS)))

    def check_stream(self, given: Cut) -> None:
        whole = self.read([given.data], given.choice)
        expect(whole == self.read(given.pieces, given.choice), "different chunks in pieces")

    def end(self, given: Cut) -> str:
        """End of a stream: "ok", or the name of its error."""
        try:
            for _ in self.chunks([given.data], given.choice):
                pass
        except CompletionError as error:
            return type(error).__name__
        return "ok"

    def read(self, pieces: Iterable[bytes], choice: int) -> list[Any]:
        """All that a caller gets of a stream, as comparable values."""
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
        parser = self.dialect.framing()
        decoder = self.dialect.decoder(_REQUESTS[choice], self.target(choice))
        starter: object = decoder
        if choice and isinstance(starter, DecoderWithResponse):
            starter.start(HttpResponse(201, Headers.of(self.seeds.headers), dumps(self.seeds.replies[choice])))
        for piece in pieces:
            for event in parser.feed(piece):
                yield from decoder.feed(event)
                if decoder.done:
                    break
            if decoder.done:
                break
            if parser.error is not None:
                raise parser.error
        end = decoder.finish()
        if isinstance(end, Continuation):
            check_continuation(end, self.target(choice))
        else:
            yield from end

    # - whole replies -

    def make_reply(self, rng: Random) -> tuple[HttpResponse, int]:
        return self._response(rng, 200, self.seeds.replies), rng.randrange(len(_REQUESTS))

    def _response(self, rng: Random, status: int, seeds: Sequence[Any]) -> HttpResponse:
        changes = {name: mutations.header(rng, value) for name, value in self.seeds.headers.items()}
        kept = [(name.encode(), value) for name, value in changes.items() if rng.random() < 0.8]
        return HttpResponse(status, Headers(kept), mutations.body(rng, seeds))

    def check_reply(self, given: tuple[HttpResponse, int]) -> None:
        response, choice = given
        target = attrs.evolve(self.target(choice), stream=choice == 1)
        try:
            found = self.dialect.decode(response, _REQUESTS[choice], target)
        except CompletionError as error:
            check_error(error)
            return
        if isinstance(found, Continuation):
            check_continuation(found, target)
        else:
            self.check_completion(found, choice)

    def check_completion(self, completion: ChatCompletion, choice: int) -> None:
        """Checks that a reply can be printed, pickled, copied, and sent back as an earlier message."""
        repr(completion)
        dumps(completion.to_dict())
        expect(dumps(pickled(completion).to_dict()) == dumps(completion.to_dict()), "different after pickling")
        copy.deepcopy(completion)
        for reply in completion.choices:
            request = attrs.evolve(_REQUESTS[choice], messages=[*_MESSAGES, reply.message, *_MESSAGES])
            try:
                sent = self.dialect.encode(request, self.target(choice), {})
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
    """Checks that an error can be printed and pickled, and that its fields are valid."""
    expect(len(str(error)) < BODY_LIMIT and len(repr(error)) < 4 * BODY_LIMIT, "the text is too long")
    expect(not {"\n", "\r", "\x1b"} & {*str(error), *repr(error)}, "the text has several lines or control characters")
    expect(error.body is None or len(error.body) <= BODY_LIMIT, "the body is too long")
    for name in ("param", "code", "type", "request_id", "body"):
        value = getattr(error, name)
        expect(value is None or isinstance(value, str), f".{name} is not a string")
    expect(error.status_code is None or 200 <= error.status_code < 600, ".status_code is not an HTTP status")
    check_wait(error.retry_after)
    again = pickled(error)
    expect(type(again) is type(error) and repr(again) == repr(error), "different after pickling")


def pickled(value: T) -> T:
    """`value` after pickling and unpickling."""
    again: T = pickle.loads(pickle.dumps(value))  # noqa: S301 (the data was pickled on the same line)
    return again


def check_wait(wait: float | None) -> None:
    expect(wait is None or (math.isfinite(wait) and wait >= 0), f"waits {wait!r}")


def check_continuation(continuation: Continuation, target: Target) -> None:
    """Checks that a continuation's requests use https and send the key to the provider's origin only."""
    check_wait(continuation.after)
    for request in (continuation.request, continuation.cancel):
        if request is not None:
            url, base = urlsplit(request.url), urlsplit(target.base_url)
            expect(url.scheme == "https" and url.username is None, "no https, or credentials in the URL")
            expect(
                not request.authenticated or url.netloc.lower() in (base.netloc, base.netloc + ":443"),
                "the key is sent to another origin",
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
"""Pairs of repetitions of a text, a list or an event; a pair that grows too fast is confirmed by the next."""

SUSPECT, STEEP = 4.7, 8.0
"""Limits of the growth in time for four times the input; quadratic time would be sixteen times."""

NOTICEABLE = 0.02
"""Seconds below which a measurement is too short to compare."""

Grow: TypeAlias = Callable[[int], Any]
"""Makes a value with this many repetitions."""


def growths(form: Format) -> Iterator[tuple[str, Callable[[int], float]]]:
    """All parts of a format that can be long: a label, and a function that measures reading it at a length."""
    write = form.seeds.write
    for s, events in enumerate(form.seeds.streams):
        for i, (name, data) in enumerate(events):
            where = f"stream {s}, event {i}"
            before, after = _written(events[:i], write), _written(events[i + 1 :], write)
            for numbered in (False, True):
                one = functools.partial(_many, name, data, numbered, write)
                yield f"{where} repeated{', numbered' * numbered}", _stream_reader(form, before, one, after)
            for label, grow in _grown(data):
                yield f"{where}, {label}", _stream_reader(form, before, _one(name, grow, write), after)
    for r, reply in enumerate(form.seeds.replies):
        for label, grow in _grown(reply):
            yield f"reply {r}, {label}", _reply_reader(form, grow)


def _written(events: Iterable[Any], write: Write) -> bytes:
    rng = generator("plain")
    return b"".join(mutations.event_bytes(rng, name, data, False, write) for name, data in events)


def _many(name: str, data: Any, numbered: bool, write: Write, times: int) -> bytes:
    if not numbered:
        return _written([(name, data)], write) * times
    return _written(((name, mutations.numbered(data, i)) for i in range(times)), write)


def _one(name: str, grow: Grow, write: Write) -> Grow:
    return lambda times: _written([(name, grow(times))], write)


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
    """Functions that make `source` with one of its texts, lists and objects lengthened."""
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
    """A text or a list repeated, or an object with additional members."""
    if isinstance(value, list):
        items = cast("list[Any]", value)
        return [mutations.numbered(item, i) for i in range(times) for item in items]
    if isinstance(value, dict):
        return cast("dict[str, Any]", value) | {f"member {i}": i for i in range(times)}
    return value * times


def steepness(read: Callable[[int], float]) -> float | None:
    """Growth in time for four times the input, where it exceeds `STEEP`; None otherwise."""
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
    "http": HTTP1,
    "endpoint": ENDPOINT,
    "tools": TOOL_ARGUMENTS,
}


@dataclass
class Outcome:
    """Results of one target."""

    inputs: int = 0
    failures: dict[int, str] = field(default_factory=dict[int, str])
    """Number of the input → the error and the input."""
    seconds: float = 0.0
    slowest: float = 0.0


def generator(*names: object) -> Random:
    """Random generator that is deterministic in its names."""
    return Random(" ".join(map(str, names)))  # noqa: S311 (inputs have to be reproducible)


def make_input(seed: int, name: str, subject: Subject, number: int) -> Any:
    """The input of a number: the same for the same seed, independent of other inputs."""
    return subject.make(generator(seed, name, number))


def run(seed: int, name: str, subject: Subject, numbers: Iterable[int]) -> Outcome:
    """Runs inputs through one target."""
    outcome = Outcome()
    for number in numbers:
        given = make_input(seed, name, subject, number)
        start = time.process_time()
        try:
            subject.check(given)
        except Exception as error:  # noqa: BLE001 (any exception is a finding)
            outcome.failures[number] = f"{type(error).__name__}: {str(error)[:SHOWN]}\n    {shown(given)}"
        spent = time.process_time() - start
        outcome.inputs += 1
        outcome.seconds += spent
        outcome.slowest = max(outcome.slowest, spent)
        if spent > BASE_SECONDS + SECONDS_PER_MEGABYTE * size(given) / 1e6:
            outcome.failures[number] = f"took {spent:.1f} s of CPU time\n    {shown(given)}"
    return outcome


def shown(given: Any) -> str:
    """Text of an input with all its parts."""
    if isinstance(given, HttpResponse):
        return f"HttpResponse({given.status}, {given.headers!r}, {given.body[:SHOWN]!r})"
    if isinstance(given, tuple):
        return "\n    ".join(map(shown, cast("tuple[Any, ...]", given)))
    return repr(given)[:SHOWN]


def size(given: Any) -> int:
    """Size of an input in bytes."""
    if isinstance(given, HttpResponse):
        return len(given.body)
    if isinstance(given, tuple):
        return max(map(size, cast("tuple[Any, ...]", given)))
    return len(given) if isinstance(given, bytes) else 0


def run_growth(form: Format) -> Outcome:
    """Measures the growth in time of all parts of one format."""
    outcome = Outcome()
    start = time.process_time()
    for number, (label, read) in enumerate(growths(form)):
        outcome.inputs += 1
        steep = steepness(read)
        if steep is not None:
            outcome.failures[number] = f"four times the input takes {steep:.0f} times as long: {label}"
    outcome.seconds = time.process_time() - start
    return outcome


def fuzz(inputs: int, seed: int, targets: Collection[str]) -> dict[str, Outcome]:
    """Runs `inputs` inputs, spread over the targets."""
    share = -(-inputs // len(targets))
    return {name: run(seed, name, SUBJECTS[name], range(share)) for name in targets}


def fuzz_all(inputs: int, seed: int) -> dict[str, Outcome]:
    """Runs `inputs` inputs, spread over all targets, and measures the growth in time of every format."""
    return fuzz(inputs, seed, SUBJECTS) | {f"{name}, growing": run_growth(form) for name, form in FORMATS.items()}


def table(outcomes: Mapping[str, Outcome], seed: int) -> Iterator[str]:
    """Table of the results, followed by failures with the options that reproduce them."""
    yield f"{'target':34} {'inputs':>8} {'failures':>8} {'seconds':>8} {'slowest':>8}"
    for name, outcome in outcomes.items():
        figures = f"{len(outcome.failures):8,} {outcome.seconds:8.1f} {outcome.slowest:8.3f}"
        yield f"{name:34} {outcome.inputs:8,} {figures}"
    for name, outcome in outcomes.items():
        for number, failure in list(outcome.failures.items())[:5]:
            options = f"--seed {seed} --target {name!r} --only {number}" if name in SUBJECTS else name
            yield f"\n{options}\n    {failure}"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=str(__doc__).partition("\n")[0])
    parser.add_argument("--inputs", type=int, default=1_000_000, help="of all targets together (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="default: %(default)s")
    parser.add_argument("--target", choices=SUBJECTS, action="append", help="run this target alone; may be repeated")
    parser.add_argument("--only", type=int, help="run the input of this number of a target alone")
    given = parser.parse_args(arguments)
    if given.target is None:
        outcomes = fuzz_all(given.inputs, given.seed)
    elif given.only is None:
        outcomes = fuzz(given.inputs, given.seed, given.target)
    else:
        outcomes = {name: run(given.seed, name, SUBJECTS[name], [given.only]) for name in given.target}
    print("\n".join(table(outcomes, given.seed)))
    print(f"\n{sum(outcome.inputs for outcome in outcomes.values()):,} inputs, seed {given.seed}")
    return 1 if any(outcome.failures for outcome in outcomes.values()) else 0
