"""Ollama's chat, with its Python package as the oracle.

https://docs.ollama.com/api/chat
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from anycompletion import ChatCompletion
from anycompletion.testing import Recording
from conformance.bodies import is_stream, json_objects
from conformance.comparing import Facts, plain
from conformance.recorded_format import Differences, RecordedAsCall, RecordedFormat, SDKError, has_error, module


def _of_reply(reply: Facts, call_ids: list[str | None]) -> Facts:
    """A reply of the package with OpenAI's names."""
    message, reason = reply["message"], reply.get("done_reason")
    calls = message.get("tool_calls") or ()
    counts = [reply.get("prompt_eval_count"), reply.get("eval_count")]
    return {
        "model": reply["model"],
        "text": message.get("content") or "",
        "reasoning": message.get("thinking") or "",
        "tool_calls": [
            [call_id, call["function"]["name"], call["function"]["arguments"]]
            for call_id, call in zip(call_ids, calls, strict=True)
        ],
        "finish_reason": "tool_calls" if calls and reason == "stop" else reason,
        "logprobs": reply.get("logprobs"),
        "prompt_tokens": counts[0],
        "completion_tokens": counts[1],
        "total_tokens": None if None in counts else sum(counts),
        **{name: reply.get(name) for name in _DURATIONS},
    }


_DURATIONS = ("total_duration", "load_duration", "prompt_eval_duration", "eval_duration")


def _call_ids(recording: Recording) -> list[str | None]:
    """The ids of the calls, which the package does not read; older servers send none."""
    messages = [data.get("message") or {} for data in json_objects(recording)]
    return [call.get("id") for message in messages for call in message.get("tool_calls") or ()]


def _assembled(parts: list[Facts]) -> Facts:
    """The reply that the parts of a stream add up to."""
    messages = [part["message"] for part in parts]
    message: Facts = {
        "content": "".join(each.get("content") or "" for each in messages),
        "thinking": "".join(each.get("thinking") or "" for each in messages),
        "tool_calls": [call for each in messages for call in each.get("tool_calls") or ()],
    }
    logprobs = [token for part in parts for token in part.get("logprobs") or ()]
    return {**parts[-1], "message": message, "logprobs": logprobs}


async def _facts(url: str, recording: Recording) -> Facts:
    sdk = module("ollama")
    ask: dict[str, Any] = {"model": "any", "messages": [{"role": "user", "content": "Hello"}]}
    client = sdk.AsyncClient(host=url)
    try:
        if not is_stream(recording):
            return _of_reply(plain(await client.chat(**ask)), _call_ids(recording))
        parts = [plain(part) async for part in await client.chat(**ask, stream=True)]
        return _of_reply(_assembled(parts), _call_ids(recording))
    except sdk.ResponseError as error:
        status = error.status_code if error.status_code >= 400 else 500
        raise SDKError({"status_code": status, "message": error.error}) from None
    finally:
        await client.close()


def _of_ours(reply: ChatCompletion) -> Facts:
    (choice,) = reply.choices
    message, usage = choice.message, reply.usage
    assert usage is not None, "a complete reply has counts"
    return {
        "model": reply.model,
        "text": reply.text,
        "reasoning": message.reasoning_content or "",
        "tool_calls": [
            [call.id, call.function.name, json.loads(call.function.arguments)] for call in message.tool_calls or ()
        ],
        "finish_reason": choice.finish_reason,
        "logprobs": choice.logprobs and [token.to_dict() for token in choice.logprobs.content or ()],
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
        **{name: usage.extra.get(name) for name in _DURATIONS},
    }


_UNREAD = re.compile(r"tool_calls\[\d+\]\[0\]|logprobs\[\d+\](\.top_logprobs\[\d+\])?\.bytes\[\d+\]")
"""Values that only this package has: ids of calls to which the server gave none, and bytes, which the oracle does not
read."""


def _by_rule(found: Differences) -> Differences:
    return {path: pair for path, pair in found.items() if pair[1] is not None or not _UNREAD.fullmatch(path)}


# --- requests ---------------------------------------------------------------------------------------------------------

_OPTIONS = {
    "num_predict": "max_tokens",
    **{name: name for name in ("temperature", "top_p", "seed", "stop", "frequency_penalty", "presence_penalty")},
}
"""Ollama's option → OpenAI's parameter; all others are passed in `extra_body`."""

_UNSENT: Mapping[str, tuple[Any, ...]] = {"format": ("", None), "options": ({},), "tools": ([],), "keep_alive": (None,)}
"""Member of a body → values that ask for nothing, and are not sent."""


def _as_call(recording: Recording) -> RecordedAsCall | None:
    assert recording.request is not None
    recorded: Facts = recording.request.body
    body = {name: value for name, value in recorded.items() if value not in _UNSENT.get(name, ())}
    body["stream"] = bool(body.get("stream", True))
    call: Facts = {"messages": [_message(message) for message in body["messages"]]}
    messages = _expected_messages(body["messages"])
    if messages is None:
        return None
    body["messages"] = messages
    options: Facts = dict(body.get("options") or {})
    call |= {_OPTIONS[name]: options.pop(name) for name in _OPTIONS if name in options}
    extra: Facts = {"options": options} if options else {}
    for name, value in body.items():
        match name, value:
            case (("model" | "messages" | "stream" | "options"), _):
                pass
            case "format", "json":
                call["response_format"] = {"type": "json_object"}
            case "format", _:
                call["response_format"] = {"type": "json_schema", "json_schema": {"name": "reply", "schema": value}}
            case "think", bool():
                call["thinking"] = {"type": "enabled" if value else "disabled"}
            case "think", _:
                call["reasoning_effort"] = value
            case (("tools" | "logprobs" | "top_logprobs"), _):
                call[name] = value
            case _:
                extra[name] = value
    if body.get("tools"):
        body["tools"] = [{"type": "function", **tool} for tool in body["tools"]]
    return RecordedAsCall({**call, "extra_body": extra}, body)


def _message(native: Facts) -> Facts:
    """A message in OpenAI's format."""
    message = {name: value for name, value in native.items() if name not in ("images", "thinking", "tool_name")}
    if native.get("thinking"):
        message["reasoning_content"] = native["thinking"]
    if native.get("images"):
        text = [{"type": "text", "text": native["content"]}] if native.get("content") else []
        urls = [f"data:image/png;base64,{data}" for data in native["images"]]
        message["content"] = [*text, *({"type": "image_url", "image_url": {"url": url}} for url in urls)]
    if native.get("tool_calls"):
        calls = [(call, call["function"]) for call in native["tool_calls"]]
        message["tool_calls"] = [
            {
                "type": "function",
                **call,
                "function": {**function, "arguments": json.dumps(function["arguments"], ensure_ascii=False)},
            }
            for call, function in calls
        ]
    return message


def _expected_messages(native: list[Facts]) -> list[Facts] | None:
    """What is sent for messages: a content always, no nulls, and no type of calls, which are all functions.

    Calls and results without an id get one, in their order, and results the name of the function. None if a result has
    no call, which OpenAI's format does not allow.
    """
    messages: list[Facts] = []
    waiting: list[tuple[str, str]] = []
    for at, each in enumerate(native):
        message: Facts = {"content": "", **{name: value for name, value in each.items() if value is not None}}
        calls: list[Facts] = []
        for number, call in enumerate(message.get("tool_calls") or ()):
            named = {"id": f"call_{at}_{number}", **{name: value for name, value in call.items() if name != "type"}}
            calls.append(named)
            waiting.append((named["id"], call["function"]["name"]))
        if calls:
            message["tool_calls"] = calls
        if message["role"] == "tool":
            if not waiting:
                return None
            call_id, name = waiting.pop(0)
            message = {"tool_name": name, "tool_call_id": call_id, **message}
        messages.append(message)
    return messages


FORMAT = RecordedFormat(
    apis=("api/chat",),
    recorded=33,
    row="ollama",
    ends=lambda data: [0] if data.get("done") else [],
    has_content=lambda data: "message" in data,
    is_error=has_error,
    of_ours=_of_ours,
    oracle=_facts,
    as_call=_as_call,
    by_rule=_by_rule,
)
