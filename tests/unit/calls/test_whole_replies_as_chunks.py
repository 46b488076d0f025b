"""A whole reply as the chunk of a stream: for servers that do not stream, and for replies from elsewhere."""

from __future__ import annotations

from typing import Any

import pytest

from anycompletion.calls.reply_chunks import as_chunk
from anycompletion.records import ChatCompletion
from anycompletion.streaming.accumulator import accumulated


def reply(message: dict[str, Any], choice: dict[str, Any] | None = None, **fields: Any) -> ChatCompletion:
    """A reply with one choice."""
    choices = [{"index": 0, "message": {"role": "assistant"} | message, "finish_reason": "stop"} | (choice or {})]
    return ChatCompletion.from_dict({"id": "i", "model": "m", "created": 5, "choices": choices} | fields)


def call(call_id: str, **fields: Any) -> dict[str, Any]:
    """A tool call."""
    return {"id": call_id, "type": "function", "function": {"name": "f", "arguments": "{}"}} | fields


REPLIES: dict[str, ChatCompletion] = {
    "text": reply({"content": "Hello."}),
    "tool calls": reply({"content": None, "tool_calls": [call("a"), call("a"), call("b")]}),
    "a custom call": reply({"tool_calls": [{"id": "a", "type": "custom", "custom": {"name": "sh", "input": "ls"}}]}),
    "fields of a call": reply({"tool_calls": [call("a", extra_content={"google": {"thought_signature": "c2ln"}})]}),
    "fields of the message": reply({"content": "x", "images": [{"type": "image_url"}], "mood": "fine"}),
    "fields of the choice": reply({"content": "x"}, {"stop_reason": 5, "token_ids": [1, 2]}),
    "fields of the reply": reply({"content": "x"}, provider="Acme", citations=["a"], usage={"total_tokens": 3}),
    "reasoning": reply(
        {
            "content": "x",
            "reasoning_content": "Hm",
            "reasoning_details": [{"index": 0, "type": "reasoning.text", "text": "Hm", "signature": "s"}],
            "thinking_blocks": [{"type": "thinking", "thinking": "Hm", "signature": "s"}],
        }
    ),
    "annotations and a refusal": reply({"refusal": "No", "annotations": [{"type": "url_citation"}]}),
    "log probabilities": reply(
        {"content": "x"}, {"logprobs": {"content": [{"id": 7, "token": "x", "logprob": -1.0, "top_logprobs": []}]}}
    ),
    "several choices": ChatCompletion.from_dict(
        {"choices": [{"index": i, "message": {"content": str(i)}, "finish_reason": "length"} for i in range(3)]}
    ),
}


@pytest.mark.parametrize("name", REPLIES)
def test_the_chunk_has_the_whole_reply(name: str) -> None:
    """A reader of a stream would get less than the server sent, because the server does not stream."""
    whole = REPLIES[name]
    assert accumulated([as_chunk(whole)]) == whole


def test_raw_of_the_chunk_is_that_of_the_reply() -> None:
    """The provider's own data would be missing in the only chunk."""
    whole = REPLIES["text"]
    whole.raw = {"native": True}
    assert as_chunk(whole).raw == {"native": True}
