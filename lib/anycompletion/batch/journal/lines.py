"""One result ↔ one line: OpenAI's Batch output format with one more member; opens no file.

https://platform.openai.com/docs/api-reference/batch/request-output says what a line has. An answer by HTTP, good or
bad, is a `response` with its status; a failure without one (a lost connection, a request that was never sent) is an
`error` with `code` and `message`. What OpenAI has no member for stands in ``anycompletion``, the last one:

``info``   how the reply came about: provider, model, request id, attempts, seconds, warnings;
``error``  the rest of an error, so that a later run has the very error;
``v``      1, the version of this format;
``k h``    64 bits each, in hex: SHA-256 of the id, and of the request;
``s``      done, redo (failed for a reason that may pass) or fail;
``crc``    CRC-32 of all bytes before ``,"crc"``.

The last five have a fixed width, so that a million lines are checked and indexed without reading their JSON.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping
from typing import Any
from zlib import crc32

from ... import errors
from ...codecs.json import NotJSONError, ShapeError, dumps, loads, members
from ...codecs.lenient import loads as scrubbed
from ...errors import (
    BadRequestError,
    CompletionError,
    InvalidRequestError,
    JournalError,
    UnprocessableEntityError,
    class_for_status,
)
from ...records import ChatCompletion, ReplyInfo, Result
from .index import State
from .item_keys import ItemKey, shown

_HEAD = b'{"id":"batch_req_'
HEAD_SIZE = len(_HEAD)
"""Bytes with which every line begins."""

_VERSION = 1
_WORDS = {State.DONE: b"done", State.RETRYABLE: b"redo", State.FAILED: b"fail"}
_BY_WORD = {word: int(state) for state, word in _WORDS.items()}
_SEALED = b',"v":%d,"k":"%016x","h":"%016x","s":"%b"'
_SEAL = b',"crc":"%08x"}}\n'
_TRAILER = struct.Struct("12s 16s 7s 16s 7s 4s 9s 8s 4s")
"""The end of a line: what is the same in all, and between it key, request hash, state and crc."""
_FIXED = (b',"v":1,"k":"', b'","h":"', b'","s":"', b'","crc":"', b'"}}\n')
_SEAL_SIZE = len(_SEAL % 0)
_TRAILER_SIZE = len(_SEALED % (_VERSION, 0, 0, b"done")) + _SEAL_SIZE


class UnwrittenError(JournalError):
    """Results could not be written to the journal; `unwritten` are all of them, without their requests."""

    def __init__(self, message: str = "", unwritten: Iterable[Result] = (), **details: Any) -> None:
        super().__init__(message, **details)
        self.unwritten = [Result(each.completion, each.error, each.custom_id) for each in unwritten]


def state_of(result: Result) -> State:
    """How an item ended.

    Failed for good is what was refused for what it asks, and what nobody would grant it a little later: anything else
    (a key, money, a missing deployment, the network) can be put right without another request.
    """
    if result.completion is not None:
        return State.DONE
    error = result.error
    if isinstance(error, (InvalidRequestError, BadRequestError, UnprocessableEntityError)) and not error.retryable:
        return State.FAILED
    return State.RETRYABLE


# --- writing -----------------------------------------------------------------------------------------------------


def write_line(label: ItemKey, result: Result) -> bytes:
    """The line of a result, its LF included.

    Raises:
        UnwrittenError: the result cannot be said in JSON.
    """
    try:
        inner = _dumps(_line(label.custom_id, result))
    except (TypeError, ValueError, RecursionError) as fault:
        text = f"the result of {shown(label.custom_id)} cannot be said in JSON ({type(fault).__name__})"
    else:
        # The two braces that end the line and its last member come again behind what is added to that member.
        line = inner[:-2] + _SEALED % (_VERSION, label.key, label.request_hash, _WORDS[state_of(result)])
        return line + _SEAL % crc32(line)
    raise UnwrittenError(text, [result])


def _dumps(value: Any) -> bytes:
    try:
        return dumps(value)
    except UnicodeEncodeError:
        # Half a character, which a file of UTF-8 cannot hold: as in replies, U+FFFD takes its place.
        return dumps(scrubbed(json.dumps(value).encode()))


def _line(custom_id: str, result: Result) -> dict[str, Any]:
    """The line with one more member, the last one."""
    if result.completion is not None:
        more = {"info": _info(result.completion.info)}
    else:
        more = {"error": _details(result.error or CompletionError("an empty result"))}
    line = Result(result.completion, result.error, custom_id).to_dict()
    line["anycompletion"] = more
    return line


_INFO = ("provider", "model", "status_code", "request_id", "attempts", "elapsed", "warnings")
"""What is kept of `ReplyInfo`; headers are not."""


def _info(info: ReplyInfo) -> dict[str, Any]:
    told = {name: value for name in _INFO if (value := getattr(info, name))}
    return told | {"branches": [_info(branch) for branch in info.branches]} if info.branches else told


_DETAILS = (
    "param",
    "provider",
    "model",
    "status_code",
    "code",
    "type",
    "request_id",
    "retry_after",
    "attempts",
    "elapsed",
    "maybe_billed",
    "phase",
)
"""What is kept of an error beside its text; headers and body are not, for they may repeat the prompt."""

_BLANK = CompletionError()

_CLASSES: Mapping[str, type[CompletionError]] = {
    name: value
    for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, CompletionError)
}


def _details(error: CompletionError) -> dict[str, Any]:
    cls = _class_of(error)
    details: dict[str, Any] = {"class": cls.__name__}
    details |= {name: value for name in _DETAILS if (value := getattr(error, name)) != getattr(_BLANK, name)}
    if error.retryable != cls.retryable:
        details["retryable"] = error.retryable
    if error.partial is not None:
        details["partial"] = error.partial.to_dict()
    return details


def _class_of(error: CompletionError) -> type[CompletionError]:
    """The error's class, or of a class that is not ours the nearest above it that is."""
    for cls in type(error).__mro__:
        known = _CLASSES.get(cls.__name__)
        if known is not None and known is cls:
            return known
    return CompletionError


# --- reading -----------------------------------------------------------------------------------------------------


def read_trailer(line: bytes) -> tuple[int, int, int] | None:
    """Key, request hash and state from the end of a line; None where the line is not whole, or not of a journal."""
    if len(line) < _TRAILER_SIZE:
        return None
    first, key, second, request_hash, third, word, fourth, crc, last = _TRAILER.unpack_from(
        line, len(line) - _TRAILER_SIZE
    )
    if (first, second, third, fourth, last) != _FIXED or b"%08x" % crc32(line[:-_SEAL_SIZE]) != crc:
        return None
    # What the checksum covers was written by `write_line`, so that nothing else needs a check.
    return int(key, 16), int(request_hash, 16), _BY_WORD[word]


def begins_right(data: bytes) -> bool:
    """Whether a line of ours may begin so, which a crash of the machine may have left as zeros."""
    return _HEAD.startswith(data[:HEAD_SIZE].rstrip(b"\0"))


def may_be_torn(line: bytes) -> bool:
    """Whether the last bytes of a file may be what a crash left of a line of ours.

    The last line of a file that was named by mistake may not: it begins otherwise, or it is whole and has no member of
    ours.
    """
    if not begins_right(line):
        return False
    try:
        return "anycompletion" in members(line)
    except NotJSONError:
        return True


def read_line(line: bytes) -> Result:
    """The result of a line that `read_trailer` found whole.

    Raises:
        JournalError: the line says something that no version of this package writes.
    """
    try:
        # Member by member: a reply may be as deep as a reply may be, and stands some levels down.
        told = members(line)
        more = members(told["anycompletion"])
        custom_id = loads(told["custom_id"])
        if "info" in more:
            completion = ChatCompletion.from_dict(loads(members(told["response"])["body"]))
            completion.info = _read_info(loads(more["info"]))
            return Result(completion, None, custom_id)
        return Result(None, _read_error(told, more["error"]), custom_id)
    except (NotJSONError, ShapeError, KeyError, TypeError, AttributeError) as fault:
        text = f"a whole line of the journal cannot be read ({type(fault).__name__})"
    raise JournalError(text)


def _read_info(told: dict[str, Any]) -> ReplyInfo:
    known: dict[str, Any] = {"provider": "", "model": ""} | {name: told[name] for name in _INFO if name in told}
    return ReplyInfo(**known, branches=tuple(_read_info(branch) for branch in told.get("branches", ())))


def _read_error(told: Mapping[str, bytes], details: bytes) -> CompletionError:
    more = members(details)
    known = {name: loads(more[name]) for name in (*_DETAILS, "retryable") if name in more}
    if "partial" in more:
        known["partial"] = ChatCompletion.from_dict(loads(more["partial"]))
    source = told["error"]
    if source == b"null":
        source = members(members(told["response"])["body"])["error"]
    cls = _CLASSES.get(loads(more["class"]))
    if cls is None:  # of a later version
        status = known.get("status_code")
        cls = class_for_status(status) if status else CompletionError
    return cls(loads(members(source)["message"]), **known)
