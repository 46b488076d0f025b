"""Writes messages of the AWS event stream encoding, as Bedrock's streams have them; reads none.

https://smithy.io/2.0/aws/amazon-eventstream.html
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from zlib import crc32

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


def _header(name: str, value: str) -> bytes:
    given, text = name.encode(), value.encode()
    return bytes((len(given),)) + given + struct.pack(">BH", _TEXT, len(text)) + text
