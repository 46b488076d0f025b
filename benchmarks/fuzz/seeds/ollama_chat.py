"""Valid responses of Ollama's chat, whose streams are lines of JSON."""

from __future__ import annotations

from typing import Any

from ..seed_types import Event, Seeds, as_line

_HEAD = {"model": "qwen3:8b", "created_at": "2026-08-04T19:58:20.563117123Z"}
_COUNTS = {
    "total_duration": 9_848_194_083,
    "load_duration": 67_148_583,
    "prompt_eval_count": 21,
    "prompt_eval_cached_count": 4,
    "prompt_eval_duration": 45_962_583,
    "eval_count": 16,
    "eval_duration": 194_894_666,
}
_CALL = {"id": "call_1", "function": {"index": 0, "name": "look", "arguments": {"q": "x", "n": [1, None]}}}
_OLD_CALL = {"function": {"name": "look", "arguments": {}}}
_TOKEN = {"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": [{"token": "Yo", "logprob": -2}]}


def _line(*, done: bool = False, message: Any = None, **members: Any) -> Event:
    """A line with fields of its message."""
    native = {"role": "assistant", "content": "", **(message or {})}
    return "", {**_HEAD, "message": native, "done": done, **members}


def _end(reason: str = "stop", **members: Any) -> Event:
    """The last line."""
    return _line(done=True, done_reason=reason, **_COUNTS, **members)


_MESSAGE = {"role": "assistant", "content": "Hi é\U0001f600", "thinking": "Hm.", "tool_calls": [_CALL, _OLD_CALL]}
_REPLY = {**_HEAD, "message": _MESSAGE, "done": True, "done_reason": "stop", **_COUNTS}

SEEDS = Seeds(
    [
        [_line(message={"thinking": "Hm"}), _line(message={"content": "Hi", "thinking": "."}), _line(), _end()],
        [_line(message={"content": " é\U0001f600\u2028"}, logprobs=[_TOKEN]), _line(logprobs=[_TOKEN]), _end("length")],
        [_line(message={"tool_calls": [_CALL]}), _line(message={"tool_calls": [_OLD_CALL, _OLD_CALL]}), _end()],
        [_end(message={"content": "Hi"}, remote_model="m", remote_host="https://ollama.com")],
        [_line(message={"content": "Hi"}, done_reason="load"), _end("unload")],
        [_line(message={"content": "Hi"}), ("", {"error": "the model runner has unexpectedly stopped"})],
        [("", {"error": "the input length exceeds the context length"})],
    ],
    [
        _REPLY,
        {**_REPLY, "logprobs": [_TOKEN], "remote_model": "m"},
        {**_HEAD, "message": {"role": "assistant", "content": ""}, "done_reason": "load", "done": True},
        {**_REPLY, "done": False},
        {"error": "model 'x' not found"},
    ],
    [
        {"error": "prompt too long; exceeded max context length by 4 tokens"},
        {"error": "unauthorized", "signin_url": "https://ollama.com/connect"},
        {"error": {"message": "no", "type": "invalid_request_error"}},
    ],
    {"content-type": "application/x-ndjson", "x-request-id": "req_1", "retry-after": "5"},
    as_line,
)
