"""Results, keys and file access for tests of the journal; imported by the processes that these tests kill."""

from pathlib import Path
from typing import Any

from anycompletion.batch.journal import ItemKey, ItemKeys, read_results
from anycompletion.records import AssistantMessage, ChatCompletion, ChatRequest, Choice, ReplyInfo, Usage


def reply(text: str = "Hello.", **info: Any) -> ChatCompletion:
    completion = ChatCompletion(
        "chatcmpl-1", [Choice(0, AssistantMessage(text), "stop")], "gpt-4o", 1_700_000_000, usage=Usage(5, 7, 12)
    )
    completion.info = ReplyInfo("openai", "gpt-4o", 200, **info)
    return completion


def asked(number: int = 0) -> ChatRequest:
    return ChatRequest("openai/gpt-4o", f"question {number}", custom_id=f"row-{number}")


def key_of_row(number: int = 0) -> ItemKey:
    return ItemKeys().next_key(asked(number))


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
