"""How an answer goes out under a fault: writes and an ending, as values; never writes anything itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

import attrs

from ..formats.wire_format import Call, Failure, Format, Mark, Plain, Stream, failure_of
from .faults import Fault, RawStep

Ending: TypeAlias = Literal["end", "close", "reset", "stall"]

_KEPT: Mapping[str, frozenset[Mark]] = {
    "no-finish": frozenset({"body", "comment"}),
    "no-end": frozenset({"body", "finish", "usage", "comment"}),
}
"""Fault kind → the events of a stream that go out all the same."""

_OF_STREAMS = frozenset({"cut", "close", "reset", "stall", "error", "no-finish", "no-end"})
"""Fault kinds that wait for the stream where an answer opens one."""


@attrs.frozen(kw_only=True)
class Delivery:
    """What the server has to do for one answer."""

    status: int
    headers: Mapping[str, str]
    content_type: str
    writes: tuple[bytes, ...]
    ending: Ending = "end"
    whole: bool = True
    """False when a fault left something out."""
    sized: bool = False
    """Say the length beforehand; otherwise each write is a chunk of its own."""
    script: tuple[RawStep, ...] = ()
    """What goes over the wire instead, where that is no HTTP."""


def deliver(wire: Format, call: Call, fault: Fault | None) -> Delivery:
    """The delivery of the answer to `call` as `fault` lets it out.

    A refusal of the provider's own is not disturbed by faults of streams.
    """
    if fault is not None and fault.kind == "status":
        return healthy(refusal(wire, call, failure_of(wire, fault.error, fault.status_code), fault.retry_after))
    answer = wire.answer(attrs.evolve(call, fault=fault))
    if isinstance(answer, Stream) and answer.fault is not None:
        fault = answer.fault
    if fault is None or fault.kind == "outcome" or (answer.status >= 400 and fault.kind != "body"):
        return healthy(answer)
    if isinstance(answer, Plain) and answer.opens_stream and fault.kind in _OF_STREAMS:
        return healthy(answer)
    if fault.kind == "body":
        return _instead(answer, fault)
    if fault.kind in ("headers", "raw"):
        return _dressed(answer, fault)
    if isinstance(answer, Stream):
        return _broken_stream(wire, call, answer, fault)
    return _broken_plain(wire, call, answer, fault)


def refusal(wire: Format, call: Call, failure: Failure, retry_after: float | None = None) -> Plain:
    """The provider's error answer, with the wait it asks for in seconds."""
    answer = wire.refuse(call, failure)
    if retry_after is None:
        return answer
    return attrs.evolve(answer, headers={**answer.headers, "retry-after": f"{retry_after:g}"})


def healthy(answer: Plain | Stream) -> Delivery:
    """The delivery of an answer that nothing happens to."""
    stream = isinstance(answer, Stream)
    return Delivery(
        status=answer.status,
        headers=answer.headers,
        content_type=answer.content_type,
        writes=tuple(event.data for event in answer.events) if isinstance(answer, Stream) else (answer.body,),
        sized=not stream,
    )


def _instead(answer: Plain | Stream, fault: Fault) -> Delivery:
    return Delivery(
        status=fault.status_code or 200,
        headers={**answer.headers, **fault.headers},
        content_type=fault.content_type or answer.content_type,
        writes=(fault.body,) if fault.body else (),
        whole=False,
        sized=isinstance(answer, Plain),
    )


def _dressed(answer: Plain | Stream, fault: Fault) -> Delivery:
    """A healthy answer with the fault's headers, and its script where it has one."""
    sound = healthy(answer)
    whole = fault.kind == "headers" or "answer" in fault.script
    return attrs.evolve(sound, headers={**sound.headers, **fault.headers}, script=fault.script, whole=whole)


def _broken_stream(wire: Format, call: Call, answer: Stream, fault: Fault) -> Delivery:
    sound = healthy(answer)
    match fault.kind:
        case "garble":
            first = next(event.data for event in answer.events if event.mark != "comment")
            return attrs.evolve(sound, writes=(_half(first) + b"\n\n",), whole=False)
        case "no-finish" | "no-end":
            kept = tuple(event.data for event in answer.events if event.mark in _KEPT[fault.kind])
            return attrs.evolve(sound, writes=kept, whole=False)
        case "error":
            event = wire.stream_error(call, wire.failures[fault.error])
            return attrs.evolve(sound, writes=(*_first(answer, fault.after), event), whole=False)
        case "cut" if _first(answer, fault.after) == sound.writes:
            return sound
        case _:
            return attrs.evolve(sound, writes=_first(answer, fault.after), ending=_ending(fault), whole=False)


def _first(answer: Stream, events: int) -> tuple[bytes, ...]:
    """What goes out up to that many events, and the comments before the next one."""
    writes: list[bytes] = []
    for event in answer.events:
        events -= event.mark != "comment"
        if events < 0:
            break
        writes.append(event.data)
    return tuple(writes)


def _broken_plain(wire: Format, call: Call, answer: Plain, fault: Fault) -> Delivery:
    """An answer in one piece has no events: it is stopped halfway, or refused where a stream would hold an error."""
    sound = healthy(answer)
    match fault.kind:
        case "no-finish" | "no-end":
            return sound
        case "error":
            return healthy(wire.refuse(call, wire.failures[fault.error]))
        case "garble":
            return attrs.evolve(sound, writes=(_half(answer.body),), whole=False)
        case _:
            half = _half(answer.body)
            return attrs.evolve(sound, writes=(half,), ending=_ending(fault), whole=False, sized=False)


def _half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _ending(fault: Fault) -> Ending:
    match fault.kind:
        case "close" | "reset" | "stall":
            return fault.kind
        case _:
            return "end"
