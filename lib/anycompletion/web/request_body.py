"""Bodies of the endpoint's requests: their bytes, within limits of size and time, and their JSON."""

from __future__ import annotations

import asyncio
import json
import zlib
from typing import Any, NoReturn, cast

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from ..codecs.lenient import NotJSONError, check_structure, may_be_large
from .refusals import refuse

_WINDOW_BITS = {"gzip": 31, "x-gzip": 31, "deflate": 15}
"""Content encodings of bodies → zlib's parameter for them."""

_MAX_LENGTH_DIGITS = 20


async def read_body(request: Request, max_bytes: int, timeout: float | None) -> bytes:
    """The decoded body, if its content type is JSON and it is not too large.

    Raises:
        RequestRefused: 400, 408, 413 or 415.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        # Browsers send the other types for any web page, with the user's cookies and without a CORS preflight.
        refuse(415, "the content-type must be application/json")
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if encoding not in ("", "identity", *_WINDOW_BITS):
        refuse(415, "the content-encoding must be gzip, deflate or identity", header="Accept-Encoding: gzip, deflate")
    length = request.headers.get("content-length", "")
    if length.isdecimal() and len(length) < _MAX_LENGTH_DIGITS and int(length) > max_bytes:
        _refuse_size(max_bytes)
    body = bytearray()
    try:
        if not await _receive(request, body, max_bytes, timeout):
            refuse(408, f"the body did not arrive within {timeout:g} seconds", header="Connection: close")
    except ClientDisconnect:
        raise HTTPException(499, "the client closed the request") from None
    return _decoded(bytes(body), _WINDOW_BITS[encoding], max_bytes) if encoding in _WINDOW_BITS else bytes(body)


async def _receive(request: Request, body: bytearray, max_bytes: int, timeout: float | None) -> bool:
    """Reads the body into `body`; returns whether it arrived in time.

    If the timeout is noticed late, the event loop was blocked: then what has arrived meanwhile is read.
    """
    clock, is_extended = asyncio.get_running_loop().time, False
    due = None if timeout is None else clock() + timeout
    while True:
        try:
            async with asyncio.timeout_at(due):
                async for piece in request.stream():
                    body += piece
                    if len(body) > max_bytes:
                        _refuse_size(max_bytes)
            return True
        except TimeoutError:
            if due is None or timeout is None or is_extended or clock() - due < timeout / 10:
                return False
            due, is_extended = clock() + timeout / 10, True


def _decoded(body: bytes, window_bits: int, max_bytes: int) -> bytes:
    decoder = zlib.decompressobj(window_bits)
    try:
        data = decoder.decompress(body, max_bytes + 1)
    except zlib.error:
        refuse(400, "the body does not have the encoding of its content-encoding header")
    if len(data) > max_bytes:
        _refuse_size(max_bytes)
    if not decoder.eof or decoder.unused_data:
        refuse(400, "the body does not have the encoding of its content-encoding header")
    return data


def _refuse_size(max_bytes: int) -> NoReturn:
    refuse(413, f"the body is larger than {max_bytes} bytes")


def parse_json(body: bytes, max_separators: int) -> dict[str, Any]:
    """The JSON object of a body.

    Raises:
        RequestRefused: 400, or 413 for too many values.
    """
    try:
        if may_be_large(body, max_separators):
            check_structure(body, max_separators)
    except NotJSONError as error:
        refuse(413 if "many" in str(error) else 400, f"the body's JSON is too large: {error}")
    try:
        # As bytes it might be UTF-16, in which the check above would not find the ends of texts.
        value = json.loads(body.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        refuse(400, "the body is not JSON")
    if not isinstance(value, dict):
        refuse(400, "the body must be a JSON object")
    return cast("dict[str, Any]", value)


def _refuse_constant(name: str) -> NoReturn:
    """NaN and the infinities are not JSON, although Python's parser accepts them."""
    raise ValueError(name)
