"""Sends what a delivery says, at the pace that is asked for; decides nothing."""

from __future__ import annotations

import asyncio

from aiohttp import web

from .delivery import Delivery
from .loopback import STALL, close, reset
from .raw_script import play
from .request_log import RecordedRequest


async def send(request: web.Request, record: RecordedRequest, delivery: Delivery, pause: float) -> web.StreamResponse:
    """Sends an answer, with `pause` seconds between the events of a stream."""
    if delivery.script:
        return await play(request, record, delivery)
    response = web.StreamResponse(status=delivery.status, headers=delivery.headers)
    response.headers["content-type"] = delivery.content_type
    if delivery.sized:
        response.content_length = sum(map(len, delivery.writes))
    else:
        response.enable_chunked_encoding()
    await response.prepare(request)
    for index, data in enumerate(delivery.writes):
        if index or not delivery.sized:
            # Also without a pause: it lets the loop see that the client has left.
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
            close(request, record)
        case "reset":
            reset(request, record)
        case "stall":
            await asyncio.sleep(STALL)
            reset(request, record)
