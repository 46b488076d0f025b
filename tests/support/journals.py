"""Results, keys and file access for tests of the journal; imported by the processes that these tests kill."""

import zlib
from pathlib import Path
from typing import Any

from anycompletion.batch.journal import ItemKey, ItemKeys, read_results
from anycompletion.records import ChatCompletion, ChatCompletionMessage, ChatRequest, Choice, ReplyInfo, Usage
from anycompletion.records.results import Result


def reply(text: str = "Hello.", **info: Any) -> ChatCompletion:
    completion = ChatCompletion(
        "chatcmpl-1", [Choice(0, ChatCompletionMessage(text), "stop")], "gpt-4o", 1_700_000_000, usage=Usage(5, 7, 12)
    )
    completion.info = ReplyInfo("openai", "gpt-4o", 200, **info)
    return completion


def make_request(number: int = 0) -> ChatRequest:
    return ChatRequest("openai/gpt-4o", f"question {number}", custom_id=f"row-{number}")


def make_key(number: int = 0) -> ItemKey:
    return ItemKeys().next_key(make_request(number))


def size_of(path: Path) -> int:
    return path.stat().st_size


def content(path: Path) -> bytes:
    return path.read_bytes()


def put(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def texts(path: Path) -> dict[str | None, str | None]:
    """Id → text of the reply, or name of the error's class."""
    return {
        result.custom_id: result.completion.text if result.completion else type(result.error).__name__
        for result in read_results(path)
    }


KEPT_ATTRIBUTES = (
    *("message", "param", "provider", "model", "status_code", "code", "type", "request_id", "retry_after", "attempts"),
    *("elapsed", "maybe_billed", "phase", "retryable", "partial"),
)


def equal_results(one: Result, other: Result) -> bool:
    """Whether two results have equal values in everything that the journal keeps."""
    if (one.completion, one.custom_id) != (other.completion, other.custom_id):
        return False
    if one.completion is not None and other.completion is not None:
        return without_headers(one.completion.info) == without_headers(other.completion.info)
    return type(one.error) is type(other.error) and all(
        getattr(one.error, name) == getattr(other.error, name) for name in KEPT_ATTRIBUTES
    )


def without_headers(info: ReplyInfo) -> tuple[object, ...]:
    values = (info.provider, info.model, info.status_code, info.request_id, info.attempts, info.elapsed, info.warnings)
    return (*values, [without_headers(branch) for branch in info.branches])


def with_checksum(line: bytes) -> bytes:
    """The line with a checksum that is valid again."""
    body = line[: line.rindex(b',"crc"')]
    return body + b',"crc":"%08x"}}\n' % zlib.crc32(body)
