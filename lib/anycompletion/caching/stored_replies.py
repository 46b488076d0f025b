"""The form in which replies are stored: a byte with its version, then JSON. Data only: reading it runs no code.

A stream is stored as its chunks, each a line of JSON with the milliseconds since the stream began, compressed together;
its whole reply is what they add up to.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import msgspec

from ..codecs.json import dumps, loads, to_wire
from ..codecs.lenient import NotJSONError, ShapeError
from ..records import ChatCompletion, JsonObject, ReplyInfo
from ..records.chunks import ChatCompletionChunk
from ..streaming.accumulator import accumulated

_VERSION = b"\x01"

_MAX_CHUNKS_BYTES = 256 << 20
"""Bytes of the chunks of one stream; a store that others can write must not fill the memory."""

_UNREADABLE = (msgspec.MsgspecError, NotJSONError, ShapeError, UnicodeError, ValueError, zlib.error)
"""What reading a value may raise that no version of this module has written."""


class StoredInfo(msgspec.Struct, omit_defaults=True):
    """The part of `ReplyInfo` that is stored."""

    provider: str
    model: str
    request_id: str | None = None
    warnings: list[str] = []
    branches: list[StoredInfo] = []
    route: str | None = None
    target: str | None = None


class StoredReply(msgspec.Struct, omit_defaults=True):
    """A reply in a store."""

    created: float
    """When it was received, in Unix seconds."""
    info: StoredInfo
    reply: msgspec.Raw = msgspec.Raw()
    """The whole reply in OpenAI's JSON; empty for a stream."""
    raw: bytes | None = None
    """The provider's JSON; empty where it is the reply's own."""
    chunks: bytes | None = None
    """The chunks of a stream."""

    def completion(self) -> ChatCompletion:
        """The whole reply, made anew.

        Raises:
            ValueError: the value was not written by this package.
        """
        try:
            if self.chunks is not None:
                return accumulated(line.chunk for line in read_chunks(self.chunk_lines()))
            completion = ChatCompletion.from_dict(loads(bytes(self.reply)))
        except _UNREADABLE as error:
            raise ValueError(f"unreadable ({type(error).__name__})") from None
        if completion.usage is not None:
            completion.usage.cost = 0.0
        if self.raw:
            completion.keep_raw_json(self.raw)
        elif self.raw is not None:
            completion.keep_own_json()
        return completion

    def chunk_lines(self) -> bytes:
        """The lines of the chunks of a stream.

        Raises:
            ValueError: the value was not written by this package.
        """
        unpacking = zlib.decompressobj()
        try:
            lines = unpacking.decompress(self.chunks or b"", _MAX_CHUNKS_BYTES)
        except zlib.error:
            raise ValueError("the chunks are not compressed") from None
        if not unpacking.eof:
            raise ValueError("the chunks are incomplete, or too large")
        return lines

    def reply_info(self) -> ReplyInfo:
        """The metadata of the original."""
        return _reply_info(self.info)


class ChunkLine(msgspec.Struct, array_like=True, gc=False):
    """One chunk of a stored stream."""

    at: int
    """Milliseconds since the stream began."""
    chunk: ChatCompletionChunk
    data: str | None = None
    """Data of the provider's event."""
    is_text: bool = False
    """Whether that was text, and no JSON."""


_encode = msgspec.json.Encoder().encode
_decode_reply = msgspec.json.Decoder(StoredReply).decode
_decode_lines = msgspec.json.Decoder(ChunkLine).decode_lines


def write_reply(completion: ChatCompletion, created: float, *, keep_raw: bool) -> bytes:
    """A whole reply as bytes.

    Raises:
        TypeError, ValueError, RecursionError: it is not JSON-serializable.
    """
    raw = None
    if keep_raw:
        raw = completion.undecoded_raw()
        if raw is None and completion.raw is not None:
            raw = dumps(completion.raw)
    body = msgspec.Raw(dumps(_as_json(completion)))
    return _VERSION + _encode(StoredReply(created, _stored_info(completion.info), body, raw))


def _as_json(completion: ChatCompletion) -> JsonObject:
    """OpenAI's JSON, in which a message that has parts has them as its content."""
    data: JsonObject = to_wire(completion)
    for index, choice in enumerate(completion.choices):
        if choice.message.parts is not None:
            data["choices"][index]["message"]["content"] = to_wire(choice.message.parts)
    return data


def write_stream(lines: Sequence[bytes], info: ReplyInfo, created: float) -> bytes:
    """The chunks of a stream, each written by `write_chunk`, as bytes."""
    packed = zlib.compress(b"\n".join(lines), 1)
    return _VERSION + _encode(StoredReply(created, _stored_info(info), chunks=packed))


def write_chunk(at: int, chunk: ChatCompletionChunk, *, keep_raw: bool) -> bytes:
    """A chunk as one line.

    Raises:
        TypeError, ValueError, RecursionError: it is not JSON-serializable.
    """
    native: Any = chunk.native
    chunk.native = None
    try:
        data = native if keep_raw else None
        if data is not None and not isinstance(data, str):
            data = (data if isinstance(data, bytes) else dumps(data)).decode()
        return _encode(ChunkLine(at, chunk, data, isinstance(native, str)))
    finally:
        chunk.native = native


def read_reply(value: bytes) -> StoredReply:
    """The reply in a value of a store.

    Raises:
        ValueError: the value was not written by this package, or by a version with another form.
    """
    if value[:1] != _VERSION:
        raise ValueError("another version")
    try:
        return _decode_reply(memoryview(value)[1:])
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise ValueError(f"unreadable ({type(error).__name__})") from None


def read_chunks(lines: bytes) -> list[ChunkLine]:
    """The lines of chunks, made anew; what was paid for the original costs nothing now.

    Raises:
        msgspec.MsgspecError: a line was not written by `write_chunk`.
    """
    read = _decode_lines(lines)
    for line in read:
        if line.data is not None:
            line.chunk.native = line.data if line.is_text else line.data.encode()
        if line.chunk.usage is not None:
            line.chunk.usage.cost = 0.0
    return read


def _stored_info(info: ReplyInfo) -> StoredInfo:
    branches = [_stored_info(branch) for branch in info.branches]
    return StoredInfo(info.provider, info.model, info.request_id, [*info.warnings], branches, info.route, info.target)


def _reply_info(stored: StoredInfo) -> ReplyInfo:
    return ReplyInfo(
        stored.provider,
        stored.model,
        request_id=stored.request_id,
        warnings=stored.warnings,
        branches=tuple(_reply_info(branch) for branch in stored.branches),
        route=stored.route,
        target=stored.target,
    )


def is_storable(reply: ChatCompletion) -> bool:
    """Whether a finished reply may be given again: it is whole, no filter stopped it, and nothing in it expires."""
    return bool(reply.choices) and all(
        choice.finish_reason not in (None, "content_filter") and choice.message.audio is None
        for choice in reply.choices
    )
