"""How a response is sent under a fault: writes and an ending, as values; never writes anything itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

import attrs

from ..formats.json_access import as_dict
from ..formats.wire_format import (
    AnyResponse,
    EventKind,
    SimulatedRequest,
    StreamedResponse,
    WholeResponse,
    WireFormat,
    find_error,
)
from .faults import Fault, RawStep

Responder: TypeAlias = Callable[[SimulatedRequest], AnyResponse]

Ending: TypeAlias = Literal["end", "close", "reset", "stall"]

NO_REPLY_FAULTS = frozenset({"status", "body", "garble"})
"""Kinds of faults that replace the reply."""

_KEPT: Mapping[str, frozenset[EventKind]] = {
    "no-finish": frozenset({"body", "comment"}),
    "no-end": frozenset({"body", "finish", "usage", "comment"}),
}
"""Fault kind → the kinds of events that are sent all the same."""

_REPLY_FAULTS = frozenset({"outcome", "choices", "calls", "pause"})
"""Kinds of faults that change the reply itself, and not how it is sent."""

_STREAM_FAULTS = frozenset({"cut", "close", "reset", "stall", "error", "no-finish", "no-end"})
"""Fault kinds that apply to the stream where a response opens one."""


@attrs.frozen(kw_only=True)
class Delivery:
    """What the server does to send one response."""

    status: int
    headers: Mapping[str, str]
    content_type: str
    writes: tuple[bytes, ...]
    ending: Ending = "end"
    whole: bool = True
    """False when a fault left something out."""
    sized: bool = False
    """Whether to send the length beforehand; otherwise each write is a chunk of its own."""
    script: tuple[RawStep, ...] = ()
    """Raw steps to perform instead, for responses that are not HTTP."""


def plan_delivery(wire: WireFormat, respond: Responder, request: SimulatedRequest, fault: Fault | None) -> Delivery:
    """The delivery of the response that `respond` makes to `request`, under `fault`.

    Stream faults do not apply to an error response that the provider itself gives.
    """
    if fault is not None and fault.kind == "status":
        return plain_delivery(_error_response(wire, request, fault))
    response = respond(attrs.evolve(with_choices(wire, request, fault), fault=fault))
    if isinstance(response, StreamedResponse) and response.fault is not None:
        fault = response.fault
    if fault is None or fault.kind in _REPLY_FAULTS or (response.status >= 400 and fault.kind != "body"):
        return plain_delivery(response)
    if isinstance(response, WholeResponse) and response.opens_stream and fault.kind in _STREAM_FAULTS:
        return plain_delivery(response)
    if fault.kind == "body":
        return _replaced_body(response, fault)
    if fault.kind in ("headers", "raw"):
        return _with_headers(response, fault)
    if isinstance(response, StreamedResponse):
        return _broken_stream(wire, request, response, fault)
    return _broken_body(wire, request, response, fault)


def with_choices(wire: WireFormat, request: SimulatedRequest, fault: Fault | None) -> SimulatedRequest:
    """`request` with the `n` of a fault that sets the number of choices; else itself."""
    if fault is None or fault.kind != "choices" or wire.max_choices is not None:
        return request
    return attrs.evolve(request, body={**as_dict(request.body), "n": fault.choices})


def _error_response(wire: WireFormat, request: SimulatedRequest, fault: Fault) -> WholeResponse:
    """The provider's error response, with the wait that the fault asks for."""
    response = wire.error_response(request, find_error(wire, fault.error, fault.status_code))
    if fault.retry_after is None:
        return response
    return attrs.evolve(response, headers={**response.headers, "retry-after": f"{fault.retry_after:g}"})


def plain_delivery(response: AnyResponse) -> Delivery:
    """The delivery of a response without a fault."""
    if isinstance(response, StreamedResponse):
        writes = tuple(event.data for event in response.events)
    else:
        writes = (response.body,)
    return Delivery(
        status=response.status,
        headers=response.headers,
        content_type=response.content_type,
        writes=writes,
        sized=isinstance(response, WholeResponse),
    )


def _replaced_body(response: AnyResponse, fault: Fault) -> Delivery:
    return Delivery(
        status=fault.status_code or 200,
        headers={**response.headers, **fault.headers},
        content_type=fault.content_type or response.content_type,
        writes=(fault.body,) if fault.body else (),
        whole=False,
        sized=isinstance(response, WholeResponse),
    )


def _with_headers(response: AnyResponse, fault: Fault) -> Delivery:
    """The response with the fault's headers, and its script where it has one."""
    sound = plain_delivery(response)
    whole = fault.kind == "headers" or "answer" in fault.script
    return attrs.evolve(sound, headers={**sound.headers, **fault.headers}, script=fault.script, whole=whole)


def _broken_stream(wire: WireFormat, request: SimulatedRequest, response: StreamedResponse, fault: Fault) -> Delivery:
    sound = plain_delivery(response)
    match fault.kind:
        case "garble":
            first = next(event.data for event in response.events if event.kind != "comment")
            return attrs.evolve(sound, writes=(_first_half(first) + b"\n\n",), whole=False)
        case "no-finish" | "no-end":
            kept = tuple(event.data for event in response.events if event.kind in _KEPT[fault.kind])
            return attrs.evolve(sound, writes=kept, whole=False)
        case "error":
            event = wire.stream_error(request, wire.errors[fault.error])
            return attrs.evolve(sound, writes=(*_first_writes(response, fault.after), event), whole=False)
        case "cut" if _first_writes(response, fault.after) == sound.writes:
            return sound
        case _:
            writes = _first_writes(response, fault.after)
            return attrs.evolve(sound, writes=writes, ending=_ending(fault), whole=False)


def _first_writes(response: StreamedResponse, events: int) -> tuple[bytes, ...]:
    """The first events, that many, and the comments before the next one."""
    writes: list[bytes] = []
    for event in response.events:
        events -= event.kind != "comment"
        if events < 0:
            break
        writes.append(event.data)
    return tuple(writes)


def _broken_body(wire: WireFormat, request: SimulatedRequest, response: WholeResponse, fault: Fault) -> Delivery:
    """A response without events, cut after half of its body; an error response where a stream would have an error."""
    sound = plain_delivery(response)
    match fault.kind:
        case "no-finish" | "no-end":
            return sound
        case "error":
            return plain_delivery(wire.error_response(request, wire.errors[fault.error]))
        case "garble":
            return attrs.evolve(sound, writes=(_first_half(response.body),), whole=False)
        case _:
            half = _first_half(response.body)
            return attrs.evolve(sound, writes=(half,), ending=_ending(fault), whole=False, sized=False)


def _first_half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _ending(fault: Fault) -> Ending:
    match fault.kind:
        case "close" | "reset" | "stall":
            return fault.kind
        case _:
            return "end"
