"""Sends a delivery with a given pause between events; makes no decision of its own."""

from __future__ import annotations

import asyncio

from aiohttp import web

from .delivery import Delivery
from .loopback import STALL_SECONDS, close_connection, reset_connection
from .raw_script import perform_script
from .request_log import RecordedRequest


async def send(request: web.Request, record: RecordedRequest, delivery: Delivery, pause: float) -> web.StreamResponse:
    """Sends a response, with `pause` seconds between the events of a stream."""
    if delivery.script:
        return await perform_script(request, record, delivery)
    response = web.StreamResponse(status=delivery.status, headers=delivery.headers)
    response.headers["content-type"] = delivery.content_type
    if delivery.sized:
        response.content_length = sum(map(len, delivery.writes))
    else:
        response.enable_chunked_encoding()
    await response.prepare(request)
    for index, data in enumerate(delivery.writes):
        if index or not delivery.sized:
            # Also without a pause: it lets the event loop notice that the client has disconnected.
            await asyncio.sleep(pause if index else 0)
        await response.write(data)
        record.chunks_written += not (delivery.sized or data.startswith(b":"))
    await _end(request, record, response, delivery)
    return response


async def _end(request: web.Request, record: RecordedRequest, response: web.StreamResponse, delivery: Delivery) -> None:
    match delivery.ending:
        case "end":
            await response.write_eof()
            record.finished = delivery.whole
        case "close":
            close_connection(request, record)
        case "reset":
            reset_connection(request, record)
        case "stall":
            await asyncio.sleep(STALL_SECONDS)
            reset_connection(request, record)
