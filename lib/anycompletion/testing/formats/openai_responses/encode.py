"""Encodes replies and errors as the Responses API sends them; pure, and never looks for mistakes in a request.

https://platform.openai.com/docs/api-reference/responses
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from ....records import JsonObject
from ..json_access import as_dict, as_list, as_text, dump, sse, text_of
from ..openai_chat.encode import error_body
from ..reply_script import ReplyScript
from ..simulated_reply import split_words
from ..wire_format import (
    AnyResponse,
    ErrorSpec,
    EventKind,
    SimulatedRequest,
    StreamedResponse,
    StreamEvent,
    WholeResponse,
)

NATIVE = "openai_responses"
"""The field of `provider_specific_fields` that has a reply's own items."""

ENCRYPTED = "reasoning.encrypted_content"
"""What a request includes to get reasoning in a form that can be sent back."""

_INCOMPLETE: Mapping[str, str] = {"length": "max_output_tokens", "content_filter": "content_filter"}
_ECHOED = ("instructions", "max_output_tokens", "metadata", "reasoning", "temperature", "text", "tool_choice", "top_p")


def encode(request: SimulatedRequest, script: ReplyScript) -> AnyResponse:
    """The response to a request for a response."""
    body = as_dict(request.body)
    drafts = _Drafts(request, sent_back(body))
    if body.get("stream"):
        for choice in script.chunk_choices():
            drafts.add(as_dict(choice.get("delta")), choice)
        return StreamedResponse(tuple(_events(request, script, drafts)))
    drafts.add(as_dict(script.choice["message"]), script.choice)
    whole = response_json(request, script, drafts)
    if not body.get("background"):
        return WholeResponse(200, dump(whole))
    request.memory.store(whole["id"], whole)
    return WholeResponse(200, dump(running(whole, "queued")))


def running(whole: JsonObject, status: str) -> JsonObject:
    """A response that has not ended, or that was cancelled."""
    return {**whole, "status": status, "output": [], "usage": None, "incomplete_details": None}


def sent_back(body: JsonObject) -> bool:
    """Whether the request asks for reasoning in a form that can be sent back."""
    return ENCRYPTED in as_list(body.get("include"))


def seal(text: str) -> str:
    """The simulator's encrypted form of reasoning."""
    return "sealed:" + text.encode("utf-8", "replace").hex()


def response_json(request: SimulatedRequest, script: ReplyScript, drafts: _Drafts) -> JsonObject:
    """The whole response."""
    body = as_dict(request.body)
    reason = _INCOMPLETE.get(drafts.finish_reason)
    return {
        "id": as_text(script.whole.get("id")) or f"resp_{request.uid}",
        "object": "response",
        "created_at": script.whole.get("created") or int(request.now),
        "status": "incomplete" if reason else "completed",
        "background": bool(body.get("background")),
        "error": None,
        "incomplete_details": {"reason": reason} if reason else None,
        "model": script.whole["model"],
        "output": drafts.items(),
        "parallel_tool_calls": True,
        "previous_response_id": body.get("previous_response_id"),
        "service_tier": "default",
        "store": body.get("store") is not False,
        "tools": body.get("tools") or [],
        "usage": usage_json(script.usage) if script.native_usage is None else script.native_usage,
        **{name: body.get(name) for name in _ECHOED},
    }


def usage_json(usage: JsonObject | None) -> JsonObject | None:
    """The usage under the names of the Responses API."""
    if usage is None:
        return None
    prompt, completion = (as_dict(usage.get(f"{name}_tokens_details")) for name in ("prompt", "completion"))
    return {
        "input_tokens": usage.get("prompt_tokens"),
        "input_tokens_details": {
            "cached_tokens": prompt.get("cached_tokens") or 0,
            "cache_write_tokens": prompt.get("cache_write_tokens") or 0,
        },
        "output_tokens": usage.get("completion_tokens"),
        "output_tokens_details": {"reasoning_tokens": completion.get("reasoning_tokens") or 0},
        "total_tokens": usage.get("total_tokens"),
    }


# --- items -----------------------------------------------------------------------------------------------------------


@attrs.define
class _Draft:
    """An output item that is written piece by piece."""

    kind: str
    fields: JsonObject
    pieces: list[str] = attrs.field(factory=list[str])
    refusals: list[str] = attrs.field(factory=list[str])
    logprobs: list[list[Any]] = attrs.field(factory=list[list[Any]])
    """Log probabilities of each piece."""
    annotations: list[JsonObject] = attrs.field(factory=list[JsonObject])
    sealed: bool = False

    def start(self) -> JsonObject:
        """The item before its first piece."""
        empty: Mapping[str, JsonObject] = {
            "message": {"content": [], "role": "assistant"},
            "reasoning": {"summary": []},
            "function_call": {"arguments": ""},
            "custom_tool_call": {"input": ""},
        }
        return {**self.fields, "type": self.kind, **empty[self.kind], "status": "in_progress"}

    def item(self) -> JsonObject:
        """The whole item."""
        text = "".join(self.pieces)
        whole = {**self.fields, "type": self.kind}
        match self.kind:
            case "message":
                return {**whole, "status": "completed", "role": "assistant", "content": self.parts()}
            case "reasoning":
                summary = [{"type": "summary_text", "text": text}] if text else []
                return {**whole, "summary": summary, **({"encrypted_content": seal(text)} if self.sealed else {})}
            case "custom_tool_call":
                return {**whole, "status": "completed", "input": text}
            case _:
                return {**whole, "status": "completed", "arguments": text}

    def parts(self) -> list[JsonObject]:
        """The content parts of a message."""
        text, refusal = "".join(self.pieces), "".join(self.refusals)
        tokens = [token for piece in self.logprobs for token in piece]
        part = {"type": "output_text", "text": text, "annotations": self.annotations, "logprobs": tokens}
        parts: list[JsonObject] = [part] if text or not refusal else []
        return [*parts, {"type": "refusal", "refusal": refusal}] if refusal else parts


class _Drafts:
    """The output items of a reply, from the message or the deltas of a chat completion."""

    def __init__(self, request: SimulatedRequest, sealed: bool) -> None:
        self._uid = request.uid
        self._sealed = sealed
        self._calls: dict[Any, _Draft] = {}
        self.all: list[_Draft] = []
        self.native: list[JsonObject] | None = None
        """The reply's own items, where it has some."""
        self.finish_reason = ""

    def items(self) -> list[JsonObject]:
        """The whole items."""
        return [draft.item() for draft in self.all] if self.native is None else self.native

    def add(self, delta: JsonObject, choice: JsonObject) -> None:
        """Adds one delta, or a whole message."""
        self.finish_reason = choice.get("finish_reason") or self.finish_reason
        native = as_dict(as_dict(delta.get("provider_specific_fields")).get(NATIVE)).get("items")
        self.native = as_list(native) if native else self.native
        if delta.get("reasoning_content"):
            self._last("reasoning", "rs").pieces.append(delta["reasoning_content"])
        content = text_of(delta.get("content"))
        if content:
            draft = self._last("message", "msg")
            draft.pieces.append(content)
            draft.logprobs.append(as_list(as_dict(choice.get("logprobs")).get("content")))
        if delta.get("refusal"):
            self._last("message", "msg").refusals.append(delta["refusal"])
        for call in as_list(delta.get("tool_calls")):
            self._add_call(as_dict(call))
        if delta.get("function_call"):
            self._add_call({"index": "legacy", "function": delta["function_call"]})
        for found in as_list(delta.get("annotations")):
            self._last("message", "msg").annotations.append(_flat_annotation(as_dict(found)))

    def _last(self, kind: str, prefix: str) -> _Draft:
        if not self.all or self.all[-1].kind != kind:
            ident = f"{prefix}_{self._uid}{len(self.all)}"
            self.all.append(_Draft(kind, {"id": ident}, sealed=self._sealed and kind == "reasoning"))
        return self.all[-1]

    def _add_call(self, call: JsonObject) -> None:
        index = call.get("index", len(self._calls))
        custom = as_dict(call.get("custom"))
        function = custom or as_dict(call.get("function"))
        draft = self._calls.get(index)
        if draft is None:
            ident = call.get("id") or f"call_{self._uid[:22]}{len(self._calls):02d}"
            fields = {"id": f"fc_{self._uid}{len(self.all)}", "call_id": ident, "name": function.get("name")}
            kind = "custom_tool_call" if custom or call.get("type") == "custom" else "function_call"
            draft = self._calls[index] = _Draft(kind, fields)
            self.all.append(draft)
        piece = function.get("input" if custom else "arguments")
        if piece:
            draft.pieces.append(piece)


def _flat_annotation(source: JsonObject) -> JsonObject:
    inner = as_dict(source.get("url_citation"))
    return {"type": "url_citation", **inner} if inner else source


# --- streams ---------------------------------------------------------------------------------------------------------


class _Numbered:
    """Events with their sequence numbers."""

    def __init__(self) -> None:
        self._next = 0

    def event(self, kind: str, members: JsonObject, event_kind: EventKind = "body") -> StreamEvent:
        """The next event."""
        number, self._next = self._next, self._next + 1
        name = f"response.{kind}"
        return StreamEvent(sse({"type": name, "sequence_number": number, **members}, name), event_kind)


def _events(request: SimulatedRequest, script: ReplyScript, drafts: _Drafts) -> Iterator[StreamEvent]:
    made = _Numbered()
    whole = response_json(request, script, drafts)
    begun = running(whole, "in_progress")
    yield made.event("created", {"response": begun})
    yield made.event("in_progress", {"response": begun})
    last = len(drafts.all) - 1
    if drafts.native is not None:
        for index, item in enumerate(drafts.native):
            yield from _whole_item(made, index, item)
    for index, draft in enumerate(drafts.all if drafts.native is None else ()):
        # The last item of a reply that is interrupted has no end.
        yield from _item(made, index, draft, ends=index < last or bool(drafts.finish_reason))
    if drafts.finish_reason:
        yield made.event("incomplete" if whole["incomplete_details"] else "completed", {"response": whole}, "finish")


def _whole_item(made: _Numbered, index: int, item: JsonObject) -> Iterator[StreamEvent]:
    yield made.event("output_item.added", {"output_index": index, "item": {**item, "content": []}})
    for part, content in enumerate(as_dict(each) for each in as_list(item.get("content"))):
        kind = "reasoning_text" if item.get("type") == "reasoning" else "output_text"
        for piece in split_words(as_text(content.get("text"))):
            members = {"item_id": item.get("id"), "output_index": index, "content_index": part, "delta": piece}
            yield made.event(f"{kind}.delta", members)
    yield made.event("output_item.done", {"output_index": index, "item": item})


def _item(made: _Numbered, index: int, draft: _Draft, *, ends: bool) -> Iterator[StreamEvent]:
    at: JsonObject = {"item_id": draft.fields["id"], "output_index": index}
    yield made.event("output_item.added", {"output_index": index, "item": draft.start()})
    match draft.kind:
        case "message":
            yield from _message_pieces(made, draft, at, ends=ends)
        case "reasoning":
            place = {**at, "summary_index": 0}
            if draft.pieces:
                part = {"type": "summary_text", "text": ""}
                yield made.event("reasoning_summary_part.added", {**place, "part": part})
            yield from _pieces(made, "reasoning_summary_text", draft.pieces, place, "text", ends=ends)
        case "custom_tool_call":
            yield from _pieces(made, "custom_tool_call_input", draft.pieces, at, "input", ends=ends)
        case _:
            yield from _pieces(made, "function_call_arguments", draft.pieces, at, "arguments", ends=ends)
    if ends:
        yield made.event("output_item.done", {"output_index": index, "item": draft.item()})


def _pieces(
    made: _Numbered, kind: str, pieces: Sequence[str], place: JsonObject, member: str, *, ends: bool
) -> Iterator[StreamEvent]:
    for piece in pieces:
        yield made.event(f"{kind}.delta", {**place, "delta": piece})
    if ends and pieces:
        yield made.event(f"{kind}.done", {**place, member: "".join(pieces)})


def _message_pieces(made: _Numbered, draft: _Draft, at: JsonObject, *, ends: bool) -> Iterator[StreamEvent]:
    whole = draft.parts()
    for number, part in enumerate(whole):
        place = {**at, "content_index": number}
        if part["type"] == "refusal":
            yield made.event("content_part.added", {**place, "part": {"type": "refusal", "refusal": ""}})
            yield from _pieces(made, "refusal", draft.refusals, place, "refusal", ends=ends)
        else:
            yield made.event("content_part.added", {**place, "part": {**part, "text": "", "annotations": []}})
            for piece, tokens in zip(draft.pieces, draft.logprobs, strict=True):
                yield made.event("output_text.delta", {**place, "delta": piece, "logprobs": tokens})
            for each, found in enumerate(draft.annotations):
                members = {**place, "annotation_index": each, "annotation": found}
                yield made.event("output_text.annotation.added", members)
            if ends:
                yield made.event("output_text.done", {**place, "text": part["text"], "logprobs": part["logprobs"]})
        if ends:
            yield made.event("content_part.done", {**place, "part": part})


# --- errors ----------------------------------------------------------------------------------------------------------


def encode_error(request: SimulatedRequest, error: ErrorSpec) -> WholeResponse:
    """The error response."""
    return WholeResponse(error.status, dump(error_body(error)))


def stream_error(request: SimulatedRequest, error: ErrorSpec) -> bytes:
    """The event that reports the error inside a stream."""
    return sse({"type": "error", "sequence_number": 0, **error_body(error)}, "error")
