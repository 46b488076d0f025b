"""Cohere's chat, version 2, as the simulator speaks it; pure, and never mixes in what other providers say.

https://docs.cohere.com/reference/chat
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from ..json_access import as_dict, as_list, as_text
from ..simulated_reply import Ask, Say, Tool, UseTool, count, decide, pick, words
from ..wire_format import Call, Failure, Format, Plain, Stream, StreamEvent, dump, sse
from .validate import check

API_KEY = "simulated-cohere-key"

FAILURES: Mapping[str, Failure] = {
    "bad-request": Failure(400, "", "invalid request: the request is not valid (simulated)"),
    "context-length": Failure(
        400,
        "",
        "too many tokens: total number of tokens in the prompt cannot exceed 128000 - received 130000. Try using a "
        "shorter prompt, or enabling prompt truncating.",
    ),
    "content-policy": Failure(400, "", "invalid request: blocked by content moderation (simulated)"),
    "authentication": Failure(401, "", "invalid api token"),
    "quota": Failure(402, "", "please add or update your payment method to continue (simulated)"),
    "permission": Failure(403, "", "your api key is not allowed to use this model (simulated)"),
    "not-found": Failure(404, "", "model not found, make sure the correct model ID was used (simulated)"),
    "rate-limit": Failure(429, "", "You are using a Trial key, which is limited to 20 API calls / minute. (simulated)"),
    "invalid-token": Failure(498, "", "invalid token"),
    "server-error": Failure(500, "", "internal server error, please try again later (simulated)"),
    "unavailable": Failure(503, "", "the service is temporarily unavailable (simulated)"),
    "overloaded": Failure(503, "", "the model is overloaded, please try again later (simulated)"),
    "timeout": Failure(504, "", "upstream request timeout (simulated)"),
}

_FINISH = {"stop": "COMPLETE", "length": "MAX_TOKENS"}

_PREAMBLE = 60
"""Tokens of the preamble that nobody sees: they are used, and not billed."""


def answer(call: Call) -> Plain | Stream:
    """The answer to any request below the format's root."""
    failure = check(call, API_KEY)
    if failure is not None:
        return refuse(call, failure)
    body = as_dict(call.body)
    given = decide(read(body), call.style, call.twins)
    if body.get("stream"):
        return Stream(tuple(_events(call, body, given)), _headers(call), "text/event-stream")
    whole: dict[str, Any] = {"id": _id(call), "message": _message(call, body, given), "finish_reason": _finish(given)}
    whole["usage"] = _usage(body, given)
    if body.get("logprobs") and isinstance(given, Say):
        whole["logprobs"] = [_logprobs(piece) for piece in given.pieces]
    return Plain(200, dump(whole), {**_headers(call), "num_tokens": str(_output(body, given))})


def refuse(call: Call, failure: Failure) -> Plain:
    """The error answer for `failure`."""
    return Plain(failure.status, dump({"id": _id(call), "message": failure.message}), _headers(call))


def stream_error(call: Call, failure: Failure) -> bytes:
    """The end of a stream that `failure` broke off."""
    delta: dict[str, Any] = {"finish_reason": "ERROR", "usage": {}, "error": failure.message}
    return sse({"type": "message-end", "delta": delta}, "message-end") + _DONE


_DONE = b"data: [DONE]\n\n"


def _id(call: Call) -> str:
    return str(uuid.UUID(call.uid))


def _headers(call: Call) -> dict[str, str]:
    return {
        "x-debug-trace-id": call.uid,
        "x-endpoint-monthly-call-limit": "1000",
        "x-trial-endpoint-call-limit": "20",
        "x-trial-endpoint-call-remaining": "19",
    }


# --- reading ------------------------------------------------------------------------------------------------------


def read(body: dict[str, Any]) -> Ask:
    """What the request asks for."""
    messages = [as_dict(message) for message in as_list(body["messages"])]
    wanted = as_dict(body.get("response_format"))
    result = messages[-1] if messages[-1]["role"] == "tool" else None
    return Ask(
        body=body,
        user=_last(messages, "user"),
        assistant=_last(messages, "assistant"),
        result=None if result is None else _text(result.get("content")),
        tool=_wanted_tool(body),
        wants_json=wanted.get("type") == "json_object",
        schema=wanted.get("json_schema") or wanted.get("schema"),
        max_tokens=body.get("max_tokens"),
        stop=tuple(as_list(body.get("stop_sequences"))),
    )


def _text(content: Any) -> str:
    """The text of a content, a string or parts, documents among them."""
    if isinstance(content, str):
        return content
    parts = [as_dict(each) for each in as_list(content)]
    return "\n".join(as_text(each.get("text") or as_dict(each.get("document")).get("data")) for each in parts)


def _last(messages: list[dict[str, Any]], role: str) -> str:
    return next((_text(each.get("content")) for each in reversed(messages) if each["role"] == role), "")


def _wanted_tool(body: dict[str, Any]) -> Tool | None:
    if body.get("tool_choice") == "NONE":
        return None
    offers = [as_dict(as_dict(each).get("function")) for each in as_list(body.get("tools"))]
    return pick((Tool(as_text(each["name"]), each["parameters"]) for each in offers), None)


# --- writing ------------------------------------------------------------------------------------------------------


def _message(call: Call, body: dict[str, Any], given: Say | UseTool) -> dict[str, Any]:
    thoughts = _thoughts(body)
    content = [{"type": "thinking", "thinking": thoughts}] if thoughts else []
    message: dict[str, Any] = {"role": "assistant"}
    if isinstance(given, Say):
        content.append({"type": "text", "text": given.text})
    else:
        if not thoughts:
            message["tool_plan"] = _plan(given)
        message["tool_calls"] = [_tool_call(call, given, given.text)]
    return {**message, "content": content} if content else message


def _thoughts(body: dict[str, Any]) -> str:
    """The text of the thinking part; empty if there is none."""
    thinking = as_dict(body.get("thinking"))
    if thinking.get("type") != "enabled":
        return ""
    return "".join(words("Let me think about that for a moment.")[: thinking.get("token_budget")])


def _plan(given: UseTool) -> str:
    return f"I will use the {given.tool.name} tool."


def _tool_call(call: Call, given: UseTool, arguments: str) -> dict[str, Any]:
    function = {"name": given.tool.name, "arguments": arguments}
    return {"id": f"{given.tool.name}_{call.uid[:12]}", "type": "function", "function": function}


def _finish(given: Say | UseTool) -> str:
    if isinstance(given, UseTool):
        return "TOOL_CALL"
    return "STOP_SEQUENCE" if given.stop_sequence is not None else _FINISH[given.end]


def _output(body: dict[str, Any], given: Say | UseTool) -> int:
    plan = _plan(given) if isinstance(given, UseTool) and not _thoughts(body) else ""
    return count(given.text) + count(_thoughts(body)) + count(plan)


def _usage(body: dict[str, Any], given: Say | UseTool) -> dict[str, Any]:
    prompt = sum(count(_text(as_dict(each).get("content"))) for each in as_list(body["messages"]))
    output = _output(body, given)
    return {
        "billed_units": {"input_tokens": prompt, "output_tokens": output},
        "tokens": {"input_tokens": prompt + _PREAMBLE, "output_tokens": output},
        "cached_tokens": 0,
    }


def _logprobs(piece: str) -> dict[str, Any]:
    return {"text": piece, "token_ids": [len(piece)], "logprobs": [-0.125]}


def _events(call: Call, body: dict[str, Any], given: Say | UseTool) -> Iterator[StreamEvent]:
    blank: dict[str, Any] = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
    start = {"id": _id(call), "type": "message-start", "delta": {"message": blank}}
    yield StreamEvent(sse(start, "message-start"))
    thoughts = _thoughts(body)
    if thoughts:
        yield from _part(0, "thinking", words(thoughts))
    if isinstance(given, Say):
        yield from _part(1 if thoughts else 0, "text", given.pieces, logprobs=bool(body.get("logprobs")))
    else:
        for piece in () if thoughts else words(_plan(given)):
            yield _event("tool-plan-delta", None, {"tool_plan": piece})
        yield _event("tool-call-start", 0, {"tool_calls": _tool_call(call, given, "")})
        for piece in words(given.text):
            yield _event("tool-call-delta", 0, {"tool_calls": {"function": {"arguments": piece}}})
        yield _event("tool-call-end", 0)
    delta = {"finish_reason": _finish(given), "usage": _usage(body, given)}
    yield StreamEvent(sse({"type": "message-end", "delta": delta}, "message-end"), "finish")
    yield StreamEvent(_DONE, "end")


def _part(
    index: int, kind: str, pieces: tuple[str, ...] | list[str], *, logprobs: bool = False
) -> Iterator[StreamEvent]:
    yield _event("content-start", index, {"content": {"type": kind, kind: ""}})
    for piece in pieces:
        extra = {"logprobs": _logprobs(piece)} if logprobs else {}
        yield _event("content-delta", index, {"content": {kind: piece}}, **extra)
    yield _event("content-end", index)


def _event(kind: str, index: int | None, message: dict[str, Any] | None = None, **extra: Any) -> StreamEvent:
    event: dict[str, Any] = {"type": kind}
    if index is not None:
        event["index"] = index
    if message is not None:
        event["delta"] = {"message": message}
    return StreamEvent(sse({**event, **extra}, kind))


FORMAT = Format(
    provider="cohere",
    root="/cohere",
    base="/cohere",
    api_key=API_KEY,
    answer=answer,
    failures=FAILURES,
    refuse=refuse,
    stream_error=stream_error,
)
