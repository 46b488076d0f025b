"""OpenAI's chat-completions format, spoken by OpenAI and everyone compatible; knows no host and no provider by name.

https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from ..chunks import ChatCompletionChunk
from ..convert import loads, read_chunk, to_wire
from ..errors import (
    APIError,
    APIResponseError,
    APIStatusError,
    ContentPolicyViolationError,
    ContextWindowExceededError,
    InternalServerError,
    OverloadedError,
    QuotaExceededError,
    RateLimitError,
    StreamInterruptedError,
    class_for_status,
)
from ..lenient import NotJSONError, ShapeError
from ..options import NATIVE, Cell, Table, refused
from ..records import PARAM_NAMES, AssistantMessage, ChatCompletion, ChatRequest, Message
from ..wire import Event, HttpRequest, HttpResponse, Known, Report, Target

NAME = "openai_chat"
PATH = "/chat/completions"

DEFAULTS: Mapping[str, Any] = {"stream_options": {"include_usage": True}}
"""All that is added to a body nobody asked for, on streams only: a stream's usage is free."""

PARAMS: Table = {
    **dict.fromkeys(PARAM_NAMES, NATIVE),
    "temperature": Cell("native", minimum=0, maximum=2),
    "top_p": Cell("native", minimum=0, maximum=1),
    "n": Cell("native", minimum=1, maximum=128),
    "stop": Cell("native", max_items=4),
    "max_tokens": Cell("native", minimum=1),
    "max_completion_tokens": Cell("native", minimum=1),
    "presence_penalty": Cell("native", minimum=-2, maximum=2),
    "frequency_penalty": Cell("native", minimum=-2, maximum=2),
    "top_logprobs": Cell("native", minimum=0, maximum=20),
    "thinking": refused("OpenAI has no thinking budget; use reasoning_effort"),
}

_OURS = ("thinking_blocks", "reasoning_details", "provider_specific_fields")
"""Members of an assistant message that only the provider that wrote them understands."""


# --- request ---


def encode(request: ChatRequest, target: Target, known: Known) -> HttpRequest:
    """The request as OpenAI's body: what the caller wrote, and `DEFAULTS`."""
    report = Report(target.on_unsupported)
    body: dict[str, Any] = {"model": target.model, "messages": _messages(request, target, report)}
    for name in PARAM_NAMES:
        value = getattr(request, name)
        if value is not None:
            body[name] = to_wire(value) if name in ("tools", "functions") else value
    if target.stream:
        body["stream"] = True
        if target.quirks.include_usage and "stream_options" not in body:
            body.update(DEFAULTS)
    if request.extra_body:
        body.update(request.extra_body)
    return HttpRequest(target.base_url + (target.path or PATH), body, warnings=report.warnings)


def _messages(request: ChatRequest, target: Target, report: Report) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    for i, message in enumerate(cast("Sequence[Message]", request.messages)):
        wire = to_wire(message)
        if isinstance(message, AssistantMessage):
            _leave_out(wire, message, f"messages[{i}]", target, report)
        out.append(wire)
    return out


def _leave_out(wire: dict[str, Any], message: AssistantMessage, place: str, target: Target, report: Report) -> None:
    """An earlier reply may come from another provider; what only that one understands stays here, and is said."""
    for name in _OURS:
        if wire.pop(name, None) is not None:
            report.note(f"{place}.{name} left out: only the provider that wrote it understands it")
    if not target.quirks.reasoning_content and wire.pop("reasoning_content", None) is not None:
        report.note(f"{place}.reasoning_content left out: {target.provider} takes none back")
    if message.audio is not None and message.audio.id is not None:
        wire["audio"] = {"id": message.audio.id}  # the API refers to its own sound, it does not take it back


# --- reply ---


def decode(response: HttpResponse, request: ChatRequest, target: Target) -> ChatCompletion:
    """The reply; `.raw` is its JSON."""
    data = _json(response.body)
    if isinstance(data, dict) and _is_error(cast("dict[str, Any]", data)):
        raise _error_of(cast("dict[str, Any]", data)["error"], response)
    return _completion(data)


def _json(body: bytes) -> Any:
    try:
        return loads(body)
    except NotJSONError as fault:
        reason = str(fault)
    raise APIResponseError(f"the answer is {reason}", body=_text(body), maybe_billed=True)


def _completion(data: Any) -> ChatCompletion:
    try:
        completion = ChatCompletion.from_dict(data)
    except ShapeError as fault:
        reason = str(fault)
    else:
        if completion.choices:
            for choice in completion.choices:
                _name_reasoning(choice.message)
            completion.raw = data
            return completion
        reason = "choices: missing or empty"
    raise APIResponseError(f"the answer has an unexpected shape: {reason}", maybe_billed=True)


def _name_reasoning(message: AssistantMessage) -> None:
    """Some compatible servers call it `reasoning`; LiteLLM's name is ours."""
    if message.reasoning_content is None and isinstance(message.extra.get("reasoning"), str):
        message.reasoning_content = message.extra.pop("reasoning")


def _text(body: bytes) -> str:
    return body.decode("utf-8", "replace")


# --- stream ---


class Decoder:
    """One stream: ends at ``[DONE]``, or at the end of the body once every choice said why it stopped."""

    __slots__ = ("_count", "_expected", "_finished", "_seen", "done")

    def __init__(self, expected: int) -> None:
        self.done = False
        self._expected = expected
        self._seen: set[int] = set()
        self._finished: set[int] = set()
        self._count = 0

    def feed(self, event: Event) -> Sequence[ChatCompletionChunk]:
        """The chunk of one event."""
        data = event.data
        if data.startswith(b"[DONE]"):
            self.done = True
            return ()
        self._count += 1
        if event.name == "error" or data.startswith(b'{"error"'):
            self._raise_if_error(data, event.name == "error")
        chunk = self._read(data)
        choices = chunk.choices
        if not choices:
            # Filter results, errors and usage come without choices; only the last of these is like any chunk.
            if chunk.usage is None:
                self._raise_if_error(data, False)
            return (chunk,)
        for choice in choices:
            delta = choice.delta
            if delta.reasoning is not None:
                delta.reasoning_content = delta.reasoning_content or delta.reasoning
                delta.reasoning = None
            self._seen.add(choice.index)
            if choice.finish_reason is not None:
                self._finished.add(choice.index)
                if choice.finish_reason == "error":
                    self._raise_if_error(data, True)
        return (chunk,)

    def _read(self, data: bytes) -> ChatCompletionChunk:
        try:
            return read_chunk(data)
        except (ShapeError, NotJSONError) as fault:
            reason = str(fault)
        self._raise_if_error(data, False)
        raise APIResponseError(f"event {self._count} of the stream cannot be read: {reason}", body=_text(data))

    def _raise_if_error(self, data: bytes, certain: bool) -> None:
        try:
            value = loads(data)
        except NotJSONError:
            value = _text(data)
        if isinstance(value, dict):
            members = cast("dict[str, Any]", value)
            if _is_error(members):
                raise _error_of(members["error"], None, body=_text(data))
        if certain:
            raise _error_of(cast("Any", value), None, body=_text(data))

    def finish(self) -> Sequence[ChatCompletionChunk]:
        """Nothing is held back; says whether anything is missing."""
        if self.done or (len(self._finished) >= self._expected and self._finished >= self._seen):
            return ()
        raise StreamInterruptedError(
            f"the stream ended after {self._count} events, before the provider said why it stopped", maybe_billed=True
        )


def decoder(request: ChatRequest, target: Target) -> Decoder:
    """A decoder for one stream of `request.n` choices."""
    return Decoder(request.n or 1)


# --- errors ---

_BY_CODE: Mapping[str, type[APIStatusError]] = {
    "context_length_exceeded": ContextWindowExceededError,
    "content_policy_violation": ContentPolicyViolationError,
    "content_filter": ContentPolicyViolationError,
    "insufficient_quota": QuotaExceededError,
    "billing_hard_limit_reached": QuotaExceededError,
    "billing_not_active": QuotaExceededError,
    "credit_balance_exhausted": QuotaExceededError,
    "enforced_spend_limit_reached": QuotaExceededError,
    "quota_exceeded": QuotaExceededError,
    "rate_limit_exceeded": RateLimitError,
    "overloaded": OverloadedError,
    "overloaded_error": OverloadedError,
    "server_overloaded": OverloadedError,
}
"""By `code`, then by `type`, before the status counts."""

_BY_TYPE: Mapping[str, type[APIStatusError]] = {
    **_BY_CODE,
    "server_error": InternalServerError,
}


def error(response: HttpResponse) -> APIError:
    """The exception for a bad status: by structured code, then by status."""
    try:
        data = loads(response.body)
    except NotJSONError:
        data = None
    found: Any = cast("dict[str, Any]", data).get("error", data) if isinstance(data, dict) else None
    if found is None:
        found = {"message": _text(response.body[:200]).strip()}
    return _error_of(found, response)


def _is_error(data: dict[str, Any]) -> bool:
    return bool(data.get("error"))


def _error_of(found: Any, response: HttpResponse | None, body: str | None = None) -> APIStatusError:
    """One of ours for an `error` member: an object, or just text."""
    members: dict[str, Any] = cast("dict[str, Any]", found) if isinstance(found, dict) else {"message": found}
    code, kind, param, message = (_scalar(members.get(name)) for name in ("code", "type", "param", "message"))
    status = response.status if response is not None and response.status >= 400 else _status(code)
    cls = _BY_CODE.get(code or "") or _BY_TYPE.get(kind or "") or class_for_status(status or 500)
    headers = response.headers if response is not None else None
    return cls(
        message or (f"HTTP {status}" if status else "the provider reported an error"),
        param=param,
        status_code=status or (response.status if response is not None else None),
        code=code,
        type=kind,
        request_id=headers.get("x-request-id") if headers is not None else None,
        headers=headers,
        body=body if body is not None or response is None else _text(response.body),
    )


def _scalar(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, (dict, list)):
        return None
    return str(value)


def _status(code: str | None) -> int | None:
    """Gateways put the status of a failed stream into its code."""
    return int(code) if code is not None and code.isascii() and code.isdigit() and 400 <= int(code) <= 599 else None
