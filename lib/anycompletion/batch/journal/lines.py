"""Conversion between a result and a line of the journal, OpenAI's Batch output with one more member; opens no file.

https://platform.openai.com/docs/api-reference/batch/request-output documents the format. An HTTP response, good or bad,
is a `response` with its status; a failure without one (a lost connection, a request that was never sent) is an `error`
with `code` and `message`; a reply that does not fit the type that was asked for is both. What OpenAI has no member for
is in ``anycompletion``, the last member:

``info``   metadata of the reply: provider, model, request id, attempts, seconds, warnings;
``error``  the other attributes of an error, so that a later run gets an equal error;
``v``      1, the version of this format;
``k h``    64 bits each, in hex: SHA-256 of the id, and of the request;
``s``      done, redo (failed for a reason that may pass) or fail;
``crc``    CRC-32 of all bytes before ``,"crc"``.

The last five are the *checksum trailer*. It has a fixed width, so that a million lines are checked and indexed without
parsing their JSON.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping
from typing import Any
from zlib import crc32

from ... import errors
from ...codecs.json import NotJSONError, ShapeError, dumps, loads, raw_fields
from ...codecs.lenient import loads as lenient_loads
from ...errors import (
    BadRequestError,
    CompletionError,
    InvalidRequestError,
    JournalError,
    ReplyError,
    UnprocessableEntityError,
    class_for_status,
)
from ...records import ChatCompletion, ReplyInfo, Usage
from ...records.results import Result
from ...route_errors import AllTargetsFailedError
from .index import State
from .item_keys import ItemKey, shown

_HEAD = b'{"id":"batch_req_'
HEAD_SIZE = len(_HEAD)
"""Size of the bytes with which every line begins."""

_VERSION = 1
_STATE_NAMES = {State.DONE: b"done", State.RETRYABLE: b"redo", State.FAILED: b"fail"}
_STATES_BY_NAME = {name: int(state) for state, name in _STATE_NAMES.items()}

_KEYS_FORMAT = b',"v":%d,"k":"%016x","h":"%016x","s":"%b"'
_CHECKSUM_FORMAT = b',"crc":"%08x"}}\n'
_CHECKSUM_SIZE = len(_CHECKSUM_FORMAT % 0)

CHECKSUM_TRAILER = struct.Struct("12s 16s 7s 16s 7s 4s 9s 8s 4s")
"""The end of a line: constant parts, and between them key, request hash, state and checksum."""
_CONSTANT_PARTS = (b',"v":1,"k":"', b'","h":"', b'","s":"', b'","crc":"', b'"}}\n')


class UnwrittenError(JournalError):
    """Results could not be written to the journal; `unwritten` are all of them, without their requests."""

    def __init__(self, message: str = "", unwritten: Iterable[Result] = (), **details: Any) -> None:
        super().__init__(message, **details)
        self.unwritten = [Result(each.completion, each.error, each.custom_id) for each in unwritten]


def state_of(result: Result) -> State:
    """The state of an item with this result.

    FAILED is an item that the provider refused because of its content and would refuse again. Any other failure (a
    key, money, a missing deployment, the network) can be put right without changing the request, and a model's reply
    that does not fit its type may be another one the next time.
    """
    if result.completion is not None:
        return State.DONE
    error = result.error
    if isinstance(error, (InvalidRequestError, BadRequestError, UnprocessableEntityError)) and not error.retryable:
        return State.FAILED
    return State.RETRYABLE


# --- writing -----------------------------------------------------------------------------------------------------


def write_line(key: ItemKey, result: Result) -> bytes:
    """The line of a result, its line feed included.

    Raises:
        UnwrittenError: the result is not JSON-serializable.
    """
    try:
        body = _dumps(_line(key.custom_id, result))
    except (TypeError, ValueError, RecursionError) as error:
        text = f"the result of {shown(key.custom_id)} is not JSON-serializable ({type(error).__name__})"
    else:
        # The trailer goes into the last member; the two braces that end that member and the line come after it.
        state = _STATE_NAMES[state_of(result)]
        line = body[:-2] + _KEYS_FORMAT % (_VERSION, key.key, key.request_hash, state)
        return line + _CHECKSUM_FORMAT % crc32(line)
    raise UnwrittenError(text, [result])


def _dumps(value: Any) -> bytes:
    try:
        return dumps(value)
    except UnicodeEncodeError:
        # UTF-8 cannot encode a lone surrogate; as in replies, U+FFFD takes its place.
        return dumps(lenient_loads(json.dumps(value).encode()))


def _line(custom_id: str, result: Result) -> dict[str, Any]:
    """The line with our member, which is the last one."""
    if result.completion is not None:
        more = {"info": _info(result.completion.info)}
    else:
        more = {"error": _details(result.error or CompletionError("an empty result"))}
    line = Result(result.completion, result.error, custom_id).to_dict()
    line["anycompletion"] = more
    return line


_INFO = (
    *("provider", "model", "status_code", "request_id", "attempts", "elapsed", "warnings", "reasks"),
    *("cached", "cache_age", "cache_key"),
    *("route", "target"),
)
"""The attributes of `ReplyInfo` that are written; headers are not."""


def _info(info: ReplyInfo) -> dict[str, Any]:
    written = {name: value for name in _INFO if (value := getattr(info, name))}
    return written | {"branches": [_info(branch) for branch in info.branches]} if info.branches else written


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
"""The attributes of an error that are written beside its text; headers and body are not: they may repeat the prompt."""

_REPLY_DETAILS = ("choice", "text", "path", "kind", "expected", "data", "refusal")
"""The attributes of a `ReplyError`, as far as its class has them."""

_DEFAULT_ERROR = CompletionError()

_ERROR_CLASSES: Mapping[str, type[CompletionError]] = {
    name: value
    for name, value in (vars(errors) | {"AllTargetsFailedError": AllTargetsFailedError}).items()
    if isinstance(value, type) and issubclass(value, CompletionError)
}


def _details(error: CompletionError) -> dict[str, Any]:
    details = _attributes(error)
    if isinstance(error, AllTargetsFailedError):
        details["errors"] = [_attributes(each) | {"message": each.message} for each in error.errors]
    if isinstance(error, ReplyError):
        details |= {name: value for name in _REPLY_DETAILS if (value := getattr(error, name, None))}
        if error.usage is not None:
            details["usage"] = error.usage.to_dict()
        if error.partial is not None:  # the body of the response
            details["info"] = _info(error.partial.info)
    elif error.partial is not None:
        details["partial"] = error.partial.to_dict()
    return details


def _attributes(error: CompletionError) -> dict[str, Any]:
    """Class and attributes of an error, without what only some classes have."""
    cls = _public_class(error)
    details: dict[str, Any] = {"class": cls.__name__}
    details |= {name: value for name in _DETAILS if (value := getattr(error, name)) != getattr(_DEFAULT_ERROR, name)}
    if error.retryable != cls.retryable:
        details["retryable"] = error.retryable
    return details


def _public_class(error: CompletionError) -> type[CompletionError]:
    """The error's class; for a class of user code, its nearest base class of this package."""
    for cls in type(error).__mro__:
        public = _ERROR_CLASSES.get(cls.__name__)
        if public is not None and public is cls:
            return public
    return CompletionError


# --- reading -----------------------------------------------------------------------------------------------------


def read_trailer(line: bytes) -> tuple[int, int, int] | None:
    """Key, request hash and state from the checksum trailer; None where the line is incomplete, damaged or foreign."""
    if len(line) < CHECKSUM_TRAILER.size:
        return None
    first, key, second, request_hash, third, state, fourth, checksum, last = CHECKSUM_TRAILER.unpack_from(
        line, len(line) - CHECKSUM_TRAILER.size
    )
    if (first, second, third, fourth, last) != _CONSTANT_PARTS or b"%08x" % crc32(line[:-_CHECKSUM_SIZE]) != checksum:
        return None
    # The checksum covers these fields, so `write_line` wrote them, and they need no check.
    return int(key, 16), int(request_hash, 16), _STATES_BY_NAME[state]


def has_journal_head(data: bytes) -> bool:
    """Whether a file that begins so may be a journal; a crash of the machine may have left zeros."""
    return _HEAD.startswith(data[:HEAD_SIZE].rstrip(b"\0"))


def may_be_torn(line: bytes) -> bool:
    """Whether a last line without a valid trailer may be what a crash left of a line of a journal.

    The last line of another file, which was named by mistake, is not: its beginning differs, or it is complete JSON
    without our member.
    """
    if not has_journal_head(line):
        return False
    try:
        return "anycompletion" in raw_fields(line)
    except NotJSONError:
        return True


def read_line(line: bytes) -> Result:
    """The result of a line with a valid trailer.

    Raises:
        JournalError: the line has content that no version of this package writes.
    """
    try:
        # Parsed member by member: a reply may be nested as deep as the parser allows, and is some levels down here.
        row = raw_fields(line)
        more = raw_fields(row["anycompletion"])
        custom_id = loads(row["custom_id"])
        if "info" in more:
            return Result(_read_reply(row, more["info"]), None, custom_id)
        return Result(None, _read_error(row, more["error"]), custom_id)
    except (NotJSONError, ShapeError, KeyError, TypeError, AttributeError) as error:
        text = f"a complete line of the journal cannot be read ({type(error).__name__})"
    raise JournalError(text)


def _read_reply(row: Mapping[str, bytes], info: bytes) -> ChatCompletion:
    completion = ChatCompletion.from_dict(loads(raw_fields(row["response"])["body"]))
    completion.info = _read_info(loads(info))
    return completion


def _read_info(written: dict[str, Any]) -> ReplyInfo:
    info: dict[str, Any] = {"provider": "", "model": ""} | {name: written[name] for name in _INFO if name in written}
    return ReplyInfo(**info, branches=tuple(_read_info(branch) for branch in written.get("branches", ())))


def _read_error(row: Mapping[str, bytes], details: bytes) -> CompletionError:
    written = raw_fields(details)
    attributes = {name: loads(written[name]) for name in (*_DETAILS, "retryable") if name in written}
    if "partial" in written:
        attributes["partial"] = ChatCompletion.from_dict(loads(written["partial"]))
    source = row["error"]
    if source == b"null":
        source = raw_fields(raw_fields(row["response"])["body"])["error"]
    elif row["response"] != b"null":
        attributes["partial"] = _read_reply(row, written["info"])
    cls = _class_of(loads(written["class"]), attributes)
    if "errors" in written and issubclass(cls, AllTargetsFailedError):
        attributes["errors"] = [_read_visit_error(each) for each in loads(written["errors"])]
    if issubclass(cls, ReplyError):
        attributes |= {name: loads(written[name]) for name in _REPLY_DETAILS if name in written}
        if "usage" in written:
            attributes["usage"] = Usage.from_dict(loads(written["usage"]))
    return cls(loads(raw_fields(source)["message"]), **attributes)


def _read_visit_error(written: dict[str, Any]) -> CompletionError:
    """The error of one target of a route."""
    attributes = {name: written[name] for name in (*_DETAILS, "retryable") if name in written}
    return _class_of(written["class"], attributes)(written["message"], **attributes)


def _class_of(name: str, attributes: Mapping[str, Any]) -> type[CompletionError]:
    """The class of that name; for one of a later version, that of the status."""
    cls = _ERROR_CLASSES.get(name)
    if cls is not None:
        return cls
    status = attributes.get("status_code")
    return class_for_status(status) if status else CompletionError
