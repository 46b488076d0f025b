"""OpenAI's chat completions as the simulator speaks them; pure, and never checks a parameter the real API would take.

https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain, zip_longest
from typing import Any

from ..json_access import as_dict, as_list, as_text
from ..simulated_reply import Ask, Say, Tool, UseTool, count, decide, pick, words
from ..wire_format import Call, Failure, Format, Mark, Plain, Stream, StreamEvent, dump, sse
from .validate import check

API_KEY = "simulated-openai-key"

FAILURES: Mapping[str, Failure] = {
    "bad-request": Failure(400, "invalid_request_error", "The request is not valid. (simulated)"),
    "context-length": Failure(
        400,
        "invalid_request_error",
        "This model's maximum context length is 128000 tokens. However, your messages resulted in 130000 tokens. "
        "Please reduce the length of the messages.",
        "context_length_exceeded",
        "messages",
    ),
    "content-policy": Failure(
        400, "invalid_request_error", "Your request was rejected by our safety system.", "content_policy_violation"
    ),
    "authentication": Failure(401, "invalid_request_error", "Incorrect API key provided.", "invalid_api_key"),
    "permission": Failure(403, "invalid_request_error", "You are not allowed to use this model.", "model_not_allowed"),
    "not-found": Failure(404, "invalid_request_error", "The model does not exist.", "model_not_found"),
    "timeout": Failure(408, "timeout", "The request timed out. (simulated)"),
    "rate-limit": Failure(
        429, "requests", "Rate limit reached for requests per minute. Please slow down.", "rate_limit_exceeded"
    ),
    "quota": Failure(
        429,
        "insufficient_quota",
        "You exceeded your current quota, please check your plan and billing details.",
        "insufficient_quota",
    ),
    "server-error": Failure(500, "server_error", "The server had an error while processing your request. (simulated)"),
    "unavailable": Failure(503, "server_error", "The service is temporarily unavailable. (simulated)"),
    "overloaded": Failure(503, "server_error", "That model is currently overloaded. (simulated)", "server_overloaded"),
}


def answer(call: Call) -> Plain | Stream:
    """The answer to any request below the format's root."""
    failure = check(call, API_KEY)
    if failure is not None:
        return refuse(call, failure)
    return complete(call, as_dict(call.body), headers(call))


def complete(call: Call, body: dict[str, Any], head: Mapping[str, str]) -> Plain | Stream:
    """The completion for a request that is in order."""
    answers = decisions(call, body)
    if body.get("stream"):
        events = (StreamEvent(sse(chunk), mark) for mark, chunk in chunks(call, body, answers))
        return Stream((*events, DONE), head)
    return Plain(200, dump(completion(call, body, answers)), head)


def decisions(call: Call, body: dict[str, Any], first: int = 0) -> list[Say | UseTool]:
    """What each choice says; `first` is the number that the first one's text has."""
    ask = read(body)
    return [decide(ask, call.style, first + choice) for choice in range(body.get("n") or 1)]


def completion(call: Call, body: dict[str, Any], answers: list[Say | UseTool]) -> dict[str, Any]:
    """A whole answer in one piece."""
    choices = [_choice(call, body, index, each) for index, each in enumerate(answers)]
    return {**_frame(call, body, "chat.completion"), "choices": choices, "usage": usage(body, answers)}


def headers(call: Call, remaining: int = 9999) -> dict[str, str]:
    """The headers of a good answer."""
    return {
        "x-request-id": f"req_{call.uid}",
        "openai-organization": "simulated-organization",
        "openai-processing-ms": "12",
        "openai-version": "2020-10-01",
        "x-ratelimit-limit-requests": "10000",
        "x-ratelimit-remaining-requests": str(remaining),
        "x-ratelimit-reset-requests": "6ms",
        "x-ratelimit-limit-tokens": "2000000",
        "x-ratelimit-remaining-tokens": "1999000",
        "x-ratelimit-reset-tokens": "30ms",
    }


def error(failure: Failure) -> dict[str, Any]:
    """OpenAI's error body."""
    return {"error": {"message": failure.message, "type": failure.type, "param": failure.param, "code": failure.code}}


def refuse(call: Call, failure: Failure) -> Plain:
    """The error answer for `failure`."""
    head = headers(call, 0) if failure.status == 429 else {"x-request-id": f"req_{call.uid}"}
    return Plain(failure.status, dump(error(failure)), head)


def stream_error(call: Call, failure: Failure) -> bytes:
    """The event that reports `failure` inside a stream."""
    return sse(error(failure))


# --- reading ------------------------------------------------------------------------------------------------------


def read(body: dict[str, Any]) -> Ask:
    """What the request asks for."""
    messages = [as_dict(message) for message in as_list(body.get("messages"))]
    last = messages[-1]
    wanted = as_dict(body.get("response_format"))
    limit = body.get("max_completion_tokens")
    stop = body.get("stop")
    return Ask(
        body=body,
        user=_last(messages, "user"),
        assistant=_last(messages, "assistant"),
        result=text_of(last.get("content")) if last.get("role") in ("tool", "function") else None,
        tool=_wanted_tool(body),
        wants_json=wanted.get("type") in ("json_object", "json_schema"),
        schema=as_dict(wanted.get("json_schema")).get("schema"),
        max_tokens=body.get("max_tokens") if limit is None else limit,
        stop=(stop,) if isinstance(stop, str) else tuple(as_list(stop)),
    )


def text_of(content: Any) -> str:
    """The text of a message's content, a string or parts."""
    if isinstance(content, str):
        return content
    return "\n".join(
        as_text(as_dict(part).get("text")) for part in as_list(content) if as_dict(part).get("type") == "text"
    )


def _last(messages: list[dict[str, Any]], role: str) -> str:
    return next((text_of(each.get("content")) for each in reversed(messages) if each.get("role") == role), "")


def _wanted_tool(body: dict[str, Any]) -> Tool | None:
    legacy = bool(body.get("functions"))
    choice = body.get("function_call" if legacy else "tool_choice")
    if choice == "none":
        return None
    if legacy:
        offers = [_tool(as_dict(each)) for each in as_list(body["functions"])]
        return pick(offers, as_dict(choice).get("name"))
    offers = [_tool(as_dict(each)) for each in as_list(body.get("tools"))]
    return pick(offers, _chosen_name(as_dict(choice)))


def _chosen_name(choice: dict[str, Any]) -> str | None:
    """The tool that a tool_choice names: itself, or the first of the allowed ones."""
    kind = as_text(choice.get("type"))
    if kind == "allowed_tools":
        allowed = as_list(as_dict(choice.get("allowed_tools")).get("tools"))
        return _chosen_name(as_dict(allowed[0])) if allowed else None
    return as_dict(choice.get(kind)).get("name")


def _tool(offer: dict[str, Any]) -> Tool:
    """A tool from OpenAI's wrapped form or from the bare form of the legacy functions."""
    custom = offer.get("type") == "custom"
    definition = as_dict(offer.get("custom") if custom else offer.get("function", offer))
    return Tool(as_text(definition.get("name")), definition.get("parameters"), custom)


# --- writing ------------------------------------------------------------------------------------------------------


def _frame(call: Call, body: dict[str, Any], kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{call.uid}",
        "object": kind,
        "created": int(call.now),
        "model": body["model"],
        "service_tier": "default",
        "system_fingerprint": "fp_simulated",
    }


def usage(body: dict[str, Any], answers: list[Say | UseTool]) -> dict[str, Any]:
    """The token counts of all choices together."""
    prompt = sum(count(text_of(as_dict(each).get("content"))) for each in as_list(body.get("messages")))
    completion = sum(count(each.text) for each in answers)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _choice(call: Call, body: dict[str, Any], index: int, answer: Say | UseTool) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None, "annotations": []}
    if isinstance(answer, Say):
        message["content"] = answer.text
    elif body.get("functions"):
        message["function_call"] = {"name": answer.tool.name, "arguments": answer.text}
    else:
        message["tool_calls"] = [_tool_call(call, index, answer, answer.text)]
    return {
        "index": index,
        "message": message,
        "logprobs": _logprobs(body, answer.pieces if isinstance(answer, Say) else ()),
        "finish_reason": _finish_reason(body, answer),
    }


def _tool_call(call: Call, index: int, answer: UseTool, text: str) -> dict[str, Any]:
    identity = {"id": f"call_{call.uid[:22]}{index:02d}"}
    if answer.tool.custom:
        return {**identity, "type": "custom", "custom": {"name": answer.tool.name, "input": text}}
    return {**identity, "type": "function", "function": {"name": answer.tool.name, "arguments": text}}


def _finish_reason(body: dict[str, Any], answer: Say | UseTool) -> str:
    if isinstance(answer, Say):
        return answer.end
    return "function_call" if body.get("functions") else "tool_calls"


def _logprobs(body: dict[str, Any], pieces: tuple[str, ...]) -> dict[str, Any] | None:
    """Log probabilities that follow from the token's place among the asked-for alternatives."""
    if not body.get("logprobs"):
        return None
    alternatives = range(body.get("top_logprobs") or 0)
    return {
        "content": [
            {
                **_token(piece, 0),
                "top_logprobs": [_token(piece if rank == 0 else f" other{rank}", rank) for rank in alternatives],
            }
            for piece in pieces
        ],
        "refusal": None,
    }


def _token(text: str, rank: int) -> dict[str, Any]:
    return {"token": text, "logprob": -0.125 - rank, "bytes": list(text.encode("utf-8", "replace"))}


DONE = StreamEvent(b"data: [DONE]\n\n", "end")


def chunks(call: Call, body: dict[str, Any], answers: list[Say | UseTool]) -> Iterator[tuple[Mark, dict[str, Any]]]:
    """The chunks of a stream, its choices interleaved."""
    options = as_dict(body.get("stream_options"))
    frame = _frame(call, body, "chat.completion.chunk")
    # Every chunk but the last says null when usage was asked for, and has no such member otherwise.
    unknown = {"usage": None} if options.get("include_usage") else {}
    padding = {} if options.get("include_obfuscation") is False else {"obfuscation": call.uid[:8]}
    tracks = [_track(call, body, index, each) for index, each in enumerate(answers)]
    for mark, choice in (each for each in chain(*zip_longest(*tracks)) if each is not None):
        yield mark, {**frame, "choices": [choice], **unknown, **padding}
    if unknown:
        yield "usage", {**frame, "choices": [], "usage": usage(body, answers)}


def _track(
    call: Call, body: dict[str, Any], index: int, answer: Say | UseTool
) -> Iterator[tuple[Mark, dict[str, Any]]]:
    """The chunks of one choice, without what surrounds them."""

    def choice(delta: dict[str, Any], finish_reason: str | None = None, piece: str | None = None) -> dict[str, Any]:
        logprobs = None if piece is None else _logprobs(body, (piece,))
        return {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason}

    deltas = _legacy_deltas if body.get("functions") else _tool_deltas
    if isinstance(answer, Say):
        yield "body", choice({"role": "assistant", "content": "", "refusal": None})
        for piece in answer.pieces:
            yield "body", choice({"content": piece}, piece=piece)
    else:
        for delta in deltas(call, index, answer):
            yield "body", choice(delta)
    yield "finish", choice({}, _finish_reason(body, answer))


def _tool_deltas(call: Call, index: int, answer: UseTool) -> Iterator[dict[str, Any]]:
    """A tool call: its name once, then its arguments bit by bit."""
    first = {"index": 0, **_tool_call(call, index, answer, "")}
    yield {"role": "assistant", "content": None, "tool_calls": [first], "refusal": None}
    kind, member = ("custom", "input") if answer.tool.custom else ("function", "arguments")
    for piece in words(answer.text):
        yield {"tool_calls": [{"index": 0, kind: {member: piece}}]}


def _legacy_deltas(call: Call, index: int, answer: UseTool) -> Iterator[dict[str, Any]]:
    yield {"role": "assistant", "content": None, "function_call": {"name": answer.tool.name, "arguments": ""}}
    for piece in words(answer.text):
        yield {"function_call": {"arguments": piece}}


FORMAT = Format(
    provider="openai",
    root="/openai",
    base="/openai/v1",
    api_key=API_KEY,
    answer=answer,
    failures=FAILURES,
    refuse=refuse,
    stream_error=stream_error,
)
