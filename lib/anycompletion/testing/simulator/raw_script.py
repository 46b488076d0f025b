"""Performs a fault's script of bytes on a request's connection, for responses that no HTTP library would send."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from http import HTTPStatus
from typing import cast

from aiohttp import web

from .delivery import Delivery
from .faults import RawStep
from .loopback import STALL_SECONDS, close_connection, reset_connection
from .request_log import RecordedRequest

_BYTE_DELAY = 0.1
"""Seconds between two bytes of a head that is sent slowly."""

_FILLER = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
"""A chunk of white space, which ends neither JSON nor an event stream."""

_MAX_BUFFERED = 1 << 20
"""Bytes that may wait in the connection's buffer."""


async def perform_script(request: web.Request, record: RecordedRequest, delivery: Delivery) -> web.StreamResponse:
    """Performs the delivery's script and ends the connection; the response it returns is never sent."""
    record.closed_by_client = not await _perform(request, record, delivery)
    record.finished = delivery.whole and not record.closed_by_client
    close_connection(request, record)
    return web.Response()


async def _perform(request: web.Request, record: RecordedRequest, delivery: Delivery) -> bool:
    """Performs the script to its end, or to the end of the connection; False when the client disconnected."""
    chunked = not delivery.sized or "chunked-head" in delivery.script
    for step in delivery.script:
        for action in _actions(step, delivery, chunked):
            if request.transport is None or request.transport.is_closing():
                return record.ended.is_set()
            await _act(action, request, record)
    return True


def _actions(step: RawStep, delivery: Delivery, chunked: bool) -> Iterator[RawStep]:
    """A step as bytes, seconds, and endings of the connection; endless where the step is."""
    match step:
        case "answer":
            yield _head(delivery, chunked) + _body(delivery, chunked)
        case "head" | "chunked-head":
            yield _head(delivery, chunked)
        case "slow-head":
            for byte in _head(delivery, chunked):
                yield bytes([byte])
                yield _BYTE_DELAY
        case "half":
            yield _half(delivery, chunked)
        case "endless":
            while True:
                yield _FILLER
        case _:
            yield step


async def _act(action: RawStep, request: web.Request, record: RecordedRequest) -> None:
    match action:
        case bytes():
            await _write(action, request)
        case "close":
            close_connection(request, record)
        case "reset":
            reset_connection(request, record)
        case "stall":
            await asyncio.sleep(STALL_SECONDS)
        case int() | float():
            await asyncio.sleep(action)
        case _:
            raise AssertionError(f"{action!r} is no action")


async def _write(data: bytes, request: web.Request) -> None:
    """Writes directly to the transport, no faster than the client reads."""
    transport = cast("asyncio.Transport", request.transport)
    transport.write(data)
    while transport.get_write_buffer_size() > _MAX_BUFFERED:  # noqa: ASYNC110 (only aiohttp is notified by the transport)
        await asyncio.sleep(0.001)
    await asyncio.sleep(0)


def _head(delivery: Delivery, chunked: bool) -> bytes:
    framing = ("transfer-encoding", "chunked") if chunked else ("content-length", str(len(_body(delivery, False))))
    lines = [*delivery.headers.items(), ("content-type", delivery.content_type), framing]
    fields = "".join(f"{name}: {value}\r\n" for name, value in lines)
    return f"HTTP/1.1 {delivery.status} {HTTPStatus(delivery.status).phrase}\r\n{fields}\r\n".encode("latin-1")


def _body(delivery: Delivery, chunked: bool) -> bytes:
    return b"".join(map(_chunk, delivery.writes)) + b"0\r\n\r\n" if chunked else b"".join(delivery.writes)


def _half(delivery: Delivery, chunked: bool) -> bytes:
    """The first half of a body: of its events, or of the bytes of its only piece."""
    writes = delivery.writes
    first = writes[: len(writes) // 2] if len(writes) > 1 else tuple(each[: len(each) // 2] for each in writes)
    return b"".join(map(_chunk, first) if chunked else first)


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)
