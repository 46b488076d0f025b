"""Writes messages of the AWS event stream encoding, as Bedrock's streams have them, and changes recorded ones.

https://smithy.io/2.0/aws/amazon-eventstream.html
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from zlib import crc32

from ...codecs.aws_eventstream import read_headers
from ...errors import APIResponseError

_LEAST = 16
"""Bytes of the shortest message."""

_TEXT = 7
"""Type of a header's value that is a text; Bedrock sends no other."""


def message(payload: bytes, headers: Mapping[str, str] | None = None) -> bytes:
    """A message with its checksums; its headers are texts."""
    block = b"".join(_header(name, value) for name, value in (headers or {}).items())
    lengths = struct.pack(">II", len(block) + len(payload) + 16, len(block))
    checked = lengths + struct.pack(">I", crc32(lengths)) + block + payload
    return checked + struct.pack(">I", crc32(checked))


def event(name: str, payload: bytes) -> bytes:
    """A message that is an event with a JSON payload."""
    kind = {":event-type": name, ":content-type": "application/json", ":message-type": "event"}
    return message(payload, kind)


def exception(name: str, payload: bytes) -> bytes:
    """A message that is an exception with a JSON payload."""
    kind = {":exception-type": name, ":content-type": "application/json", ":message-type": "exception"}
    return message(payload, kind)


def with_changed_texts(body: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """A body of messages whose payloads and header values went through `change`; unchanged ones keep their bytes.

    What is no message, as the end of a body that was cut, goes through `change` as a whole.
    """
    pieces: list[bytes] = []
    at = 0
    while len(body) - at >= _LEAST:
        length, headers_length = struct.unpack_from(">II", body, at)
        end, payload_at = at + length, at + 12 + headers_length
        if not (end <= len(body) and payload_at <= end - 4):
            break
        try:
            headers = {name: str(value) for name, value in read_headers(body[at + 12 : payload_at]).items()}
        except APIResponseError:
            break
        payload = body[payload_at : end - 4]
        changed = change(payload), {name: change(value.encode()).decode() for name, value in headers.items()}
        pieces.append(body[at:end] if changed == (payload, headers) else message(*changed))
        at = end
    return b"".join([*pieces, change(body[at:])])


def _header(name: str, value: str) -> bytes:
    given, text = name.encode(), value.encode()
    return bytes((len(given),)) + given + struct.pack(">BH", _TEXT, len(text)) + text
