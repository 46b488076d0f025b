"""Profile hook that records which functions of this package a call and a stream enter.

`benchmarks.call_path` runs it in a process of its own: ``python -m benchmarks.call_recorder URL`` makes warm calls to
the loopback server at that URL and prints the functions as JSON. It uses the public API of the package only, so that
it measures any checkout whose ``lib`` folder is on the path.
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from types import CodeType, FrameType, TracebackType
from typing import Self

import anycompletion
from anycompletion import AsyncCompletion
from benchmarks import payloads
from benchmarks.call_path import Function, Measurement
from benchmarks.processes import BenchmarkError
from benchmarks.system import fetch

WARM_UP_CALLS = 5
CALLS = 11
"""Odd, so that there is a median call."""
CHUNKS = 70
CHUNK_INTERVAL_MS = 10
STEADY = slice(10, 61)
"""The chunks that are counted: the start and the end of a stream do more."""

MODEL = f"openai/{payloads.MODEL}"
MESSAGE = "Why is the sky blue?"
"""The only argument besides the model: message records and parameters would be validated by further functions."""


# --- the profile hook ----------------------------------------------------------------------------------------------

_PACKAGE = Path(anycompletion.__file__).resolve().parent
_INCLUDED = f"{_PACKAGE}{os.sep}"
_EXCLUDED = f"{_PACKAGE / 'testing'}{os.sep}"

_WRITE_METHODS = frozenset({"write", "writelines"})

_AWAITING = inspect.CO_COROUTINE | inspect.CO_ITERABLE_COROUTINE | inspect.CO_ASYNC_GENERATOR | inspect.CO_GENERATOR
"""Flags of code that may be part of a chain of awaits; an `__await__` method can be a plain generator."""


def _is_ours(code: CodeType) -> bool:
    return code.co_filename.startswith(_INCLUDED) and not code.co_filename.startswith(_EXCLUDED)


class CallRecorder:
    """Profile hook that records the entries of our functions in this thread while the block runs."""

    def __init__(self) -> None:
        self.entered: list[CodeType] = []
        """One item per entry, in order."""
        self.stack: list[CodeType] = []
        """Our coroutines at the first write to a transport, outermost first."""
        self._has_written = False

    def __enter__(self) -> Self:
        sys.setprofile(self._record)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        sys.setprofile(None)

    def _record(self, frame: FrameType, event: str, _: object) -> None:
        if event != "call":
            return
        if _is_ours(frame.f_code):
            self.entered.append(frame.f_code)
        elif not self._has_written and _is_transport_write(frame):
            self._has_written = True
            self.stack = _calling_coroutines(frame)


def _is_transport_write(frame: FrameType) -> bool:
    return frame.f_code.co_name in _WRITE_METHODS and isinstance(frame.f_locals.get("self"), asyncio.WriteTransport)


def _calling_coroutines(frame: FrameType) -> list[CodeType]:
    """Our coroutines among the callers of a frame, outermost first."""
    found: list[CodeType] = []
    caller = frame.f_back
    while caller is not None:
        if _is_ours(caller.f_code) and caller.f_code.co_flags & _AWAITING:
            found.append(caller.f_code)
        caller = caller.f_back
    return found[::-1]


# --- the calls -----------------------------------------------------------------------------------------------------


async def _record_call(client: AsyncCompletion) -> CallRecorder:
    with CallRecorder() as recorder:
        reply = await client.create(MODEL, MESSAGE)
    if reply.choices[0].message.content != payloads.REPLY:
        raise BenchmarkError("the reply differs from what the server sent")
    return recorder


async def _record_chunks(client: AsyncCompletion) -> list[list[CodeType]]:
    """The functions entered for each chunk in the steady part of a stream."""
    ends: list[int] = []
    with CallRecorder() as recorder:
        async with client.stream(MODEL, MESSAGE) as stream:
            async for _ in stream:
                ends.append(len(recorder.entered))
    chunks = [recorder.entered[start:end] for start, end in itertools.pairwise(ends)]
    if len(chunks) < CHUNKS:
        raise BenchmarkError(f"the stream has {len(chunks)} chunks instead of at least {CHUNKS}")
    return chunks[STEADY]


async def measure(url: str) -> Measurement:
    """Measures the package that this process imports against the server at `url`."""
    async with AsyncCompletion(base_urls={"openai": f"{url}/v1"}, api_keys={"openai": "key"}) as client:
        fetch(url, "/set/plain")
        for _ in range(WARM_UP_CALLS):
            await _record_call(client)
        calls = [await _record_call(client) for _ in range(CALLS)]
        fetch(url, f"/set/paced-{CHUNKS}-{CHUNK_INTERVAL_MS}")
        chunks = await _record_chunks(client)
    call = sorted(calls, key=lambda recorder: len(recorder.entered))[len(calls) // 2]
    if not call.stack:
        raise BenchmarkError("no coroutine of the package wrote the request to a transport")
    chunk = sorted(chunks, key=len)[len(chunks) // 2]
    return Measurement(_functions(call.entered), _functions(call.stack), _functions(chunk))


def _functions(codes: Iterable[CodeType]) -> list[Function]:
    return [Function(code.co_filename.removeprefix(_INCLUDED), code.co_firstlineno, code.co_qualname) for code in codes]


def main() -> None:
    """Prints the measurement, and which package it is of."""
    measurement = asyncio.run(measure(sys.argv[1]))
    print(json.dumps({**measurement._asdict(), "package": str(_PACKAGE)}))


if __name__ == "__main__":
    main()
