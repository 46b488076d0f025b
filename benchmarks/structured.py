"""Benchmark: what a typed reply costs over a plain one, and the memory that types and values take.

``python -m benchmarks.structured [--short]`` compiles a type of 20 fields, reads an attrs class of 10 fields out of its
JSON, and makes the same call with `create` and with `parse`, answered in this process. A plain call has the same JSON
Schema as its `response_format`. Times are CPU times, each the best of several rounds. The short form makes few
calls and judges no times. The exit code is 1 when a bound fails.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import attrs
import msgspec

from anycompletion import AsyncCompletion
from anycompletion.structured.types import compile_type
from anycompletion.testing import FakeProvider
from benchmarks.soak.common import MIB, Figure, conclude, resident_bytes

_ROUNDS = 15
_SLICES = 100
"""Rounds of the calls: short ones that take turns, so that a change of the machine's load affects both sides alike."""

_MODEL = "openai/gpt-4o"


@attrs.frozen
class Invoice:
    """Class of the replies, with one field of each common kind."""

    number: str
    customer: str
    currency: str
    net: float
    tax: float
    total: float
    items: int
    paid: bool
    note: str | None
    tags: list[str]


@attrs.frozen
class Step:
    """Part of a recipe."""

    text: str
    minutes: int
    tools: list[str]


@attrs.frozen
class Recipe:
    """Class of nested replies."""

    title: str
    steps: list[Step]


class Plain(msgspec.Struct):
    """What msgspec decodes without any of our code: the same members as `Invoice`."""

    number: str
    customer: str
    currency: str
    net: float
    tax: float
    total: float
    items: int
    paid: bool
    note: str | None
    tags: list[str]


INVOICE = Invoice("2026-0042", "Muster GmbH", "EUR", 100.0, 19.0, 119.0, 3, True, None, ["new", "export"])
RECIPE = Recipe("Toast", [Step("Cut the bread", 1, ["knife"]), Step("Toast it", 3, []), Step("Serve", 1, ["plate"])])


def _large_type(number: int) -> type[Any]:
    """A class of 20 fields, which was not compiled before."""
    kinds: Sequence[Any] = (str, int, float, bool, list[str], str | None, dict[str, int], list[Step])
    fields = {f"field_{index}": attrs.field(type=kinds[index % len(kinds)]) for index in range(20)}
    return attrs.make_class(f"Large{number}", fields)


def microseconds(work: Callable[[], object], count: int) -> float:
    """CPU time of one call of `work`: the best of several rounds, as the load of the machine only adds to it."""
    return min(_timed(work, count) for _ in range(_ROUNDS))


def _timed(work: Callable[[], object], count: int) -> float:
    start = time.process_time()
    for _ in range(count):
        work()
    return (time.process_time() - start) / count * 1e6


async def call_times(calls: int) -> tuple[float, float]:
    """Microseconds of a plain call, and of a typed one above it: medians of rounds that take turns."""
    plan = compile_type(Invoice)
    text = plan.encode(INVOICE).decode()
    schema = {"name": plan.name, "schema": plan.schema, "strict": True}
    response_format = {"type": "json_schema", "json_schema": schema}
    plain: list[float] = []
    extra: list[float] = []
    async with AsyncCompletion(providers=[FakeProvider(lambda request: text)]) as client:
        for _ in range(_SLICES):
            start = time.process_time()
            for _ in range(calls):
                await client.create(_MODEL, "Read this.", response_format=response_format)
            between = time.process_time()
            for _ in range(calls):
                await client.parse(_MODEL, "Read this.", Invoice)
            end = time.process_time()
            plain.append((between - start) / calls * 1e6)
            extra.append((end - between) / calls * 1e6 - plain[-1])
    return statistics.median(plain), statistics.median(extra)


def measure(calls: int) -> list[Figure]:
    """All figures."""
    gc.disable()
    types = [_large_type(number) for number in range(20)]
    start = time.process_time()
    for each in types:
        compile_type(each)
    compiling = (time.process_time() - start) / len(types) * 1000
    del types
    gc.enable()
    plan, nested = compile_type(Invoice), compile_type(Recipe)
    data, nested_data = plan.encode(INVOICE), nested.encode(RECIPE)
    decode = msgspec.json.Decoder(Plain).decode
    decoding = microseconds(lambda: decode(data), calls // 10)
    reading = microseconds(lambda: plan.decode(data), calls // 10)
    plain, extra = asyncio.run(call_times(max(calls // 1_000, 2)))
    for _ in range(calls // 10):
        compile_type(Invoice).decode(data)
    before = resident_bytes()
    for _ in range(calls):
        compile_type(Invoice).decode(data)
    grown = (resident_bytes() - before) / MIB
    return [
        Figure("compile a type of 20 fields", compiling, at_most=1, unit="ms", machine=True),
        Figure("find a type that is compiled", microseconds(lambda: compile_type(Invoice), calls // 10), unit="µs"),
        Figure("msgspec decodes 10 fields", decoding, unit="µs"),
        Figure("and an attrs class is built", reading - decoding, at_most=8, unit="µs", machine=True),
        Figure("4 nested objects", microseconds(lambda: nested.decode(nested_data), calls // 10), unit="µs"),
        Figure("create, answered in this process", plain, unit="µs"),
        Figure("parse above it", extra, at_most=8 + decoding, unit="µs", machine=True),
        Figure("values read", calls),
        Figure("growth of memory meanwhile", grown, at_most=1, unit="MiB", machine=True),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.structured", description=str(__doc__).partition("\n")[0]
    )
    parser.add_argument("--short", action="store_true", help="few calls; times are shown, not judged")
    short: bool = parser.parse_args(arguments).short
    return conclude("Typed replies", measure(2_000 if short else 100_000), short=short)


if __name__ == "__main__":
    sys.exit(main())
