"""Decoder of the Responses API's stream: events → chunks in the chat API's shape. No I/O.

https://platform.openai.com/docs/api-reference/responses-streaming

Each delta becomes a chunk at once. Whole items are kept until the end, because only then it is known what of them chat
fields express. Events are recognized by the type in their data: some servers name none, or name them after the data.
"""

from __future__ import annotations

import msgspec

from ...codecs import json
from ...codecs.lenient import NotJSONError, ShapeError, as_object, as_str, optional_object, optional_str
from ...codecs.sse import Event
from ...errors import APIError, APIResponseError, StreamInterruptedError
from ...records import ChatRequest, JsonObject
from ...records.chunks import ChatCompletionChunk, ChunkChoice, Delta
from ...records.logprobs import Logprobs
from ..base import Chunks, Target
from ..error_body import holds_error
from ..openai_errors import error_from_body
from ..shared import EMPTY_EVENTS, as_text
from .decode import CANCELLED, created_at, extra_fields, failure, finish_reason, is_stored, read_usage
from .native_items import is_plain_text, native_fields
from .output_items import OpenAIOfferedTools, logprobs_of, offered_tools, read_items, read_message
from .responses_text_deltas import TEXT_DELTA, decode_text_delta
from .stream_item import OpenAIStreamItem
from .stream_items import OpenAIStreamItems, described_error, response_of

_PREFIX = "response."


class OpenAIResponsesStreamDecoder:
    """Decoder of one stream of the Responses API. It ends with the event that has the whole response."""

    __slots__ = ("_created", "_finished", "_id", "_items", "_last", "_model", "_role", "_target", "done")

    def __init__(self, offered: OpenAIOfferedTools, target: Target) -> None:
        self.done = False
        self._target = target
        self._id = ""
        self._model = target.model
        self._created = 0
        self._items = OpenAIStreamItems(offered)
        self._role: str | None = "assistant"
        """The role of the next chunk: only the first one has it."""
        self._finished = False
        self._last = b""

    def feed(self, event: Event) -> Chunks:
        """The chunks of one event.

        Raises:
            APIStatusError: the event is an error, or the end of a response that failed.
            APIResponseError: the event cannot be read, or is the end of a response that was cancelled.
        """
        if self.done:
            return ()
        item = self._items.current
        if item is not None and event.name == TEXT_DELTA:
            chunks = self._plain_chunks(item, event.data)
            if chunks is not None:
                return chunks
        failed: APIError | None = None
        problem = ""
        try:
            data: JsonObject = json.loads(event.data)
            if data.__class__ is not dict:
                data = _object_in(data)
            kind = data.get("type")
            if kind.__class__ is not str or not kind:
                kind = event.name or ("error" if holds_error(data) else "")
            self._last = event.data
            failed = None if kind in _READ else _failure(kind, data, event.data)
            if failed is None:
                return self._on_end(kind, data) if kind in _ENDS else self._read(kind, data)
        except NotJSONError as exc:
            text = event.data.strip()
            self.done = text == b"[DONE]"
            if self.done or text in EMPTY_EVENTS:
                return ()
            if event.name == "error":
                failed = error_from_body(as_text(text), None, body_text=as_text(text))
            problem = str(exc)
        except ShapeError as exc:
            problem = str(exc)
        # Raised here, so that the error's context and traceback do not hold the event.
        raise failed or APIResponseError(
            f"an event of the stream cannot be read: {problem}", body=as_text(event.data), maybe_billed=True
        )

    def finish(self) -> Chunks:
        """No chunks: all were sent.

        Raises:
            StreamInterruptedError: the event that ends a response did not come.
        """
        if not self._finished:
            raise StreamInterruptedError(
                "the stream ended before the provider sent the end of the response", maybe_billed=True
            )
        return ()

    # --- events -------------------------------------------------------------------------------------------------------

    def _plain_chunks(self, item: OpenAIStreamItem, data: bytes) -> Chunks | None:
        """The chunks of an event that is nothing but a piece of the text of `item`; None for all others."""
        try:
            event = decode_text_delta(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        if event.output_index != item.index or self._items.has_shared_numbers:
            return None
        self._last = data
        delta = self._items.text(item, event.content_index, event.delta)
        if delta is None:
            return ()
        if self._role is not None:
            return (self._chunk(delta),)
        choices, text = [ChunkChoice(0, delta)], delta.content
        return (ChatCompletionChunk(self._id, choices, self._created, self._model, native=data, _only_text=text),)

    def _read(self, kind: str, data: JsonObject) -> Chunks:
        match kind:
            case "response.output_text.delta":
                return self._on_text(data)
            case "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta":
                return self._on_argument(data)
            case "response.reasoning_summary_text.delta":
                return self._on_summary(data)
            case "response.reasoning_text.delta":
                return self._on_reasoning(data)
            case "response.output_item.added":
                return self._on_item_added(data)
            case "response.output_item.done":
                return self._on_item_done(data)
            case "response.output_text.annotation.added":
                return self._on_annotation(data)
            case "response.refusal.delta":
                return self._on_refusal(data)
            case "response.created" | "response.queued" | "response.in_progress":
                return self._on_begin(data)
            case _:
                return self._read_whole(kind, data) if kind.endswith(".done") else ()

    def _read_whole(self, kind: str, data: JsonObject) -> Chunks:
        """The chunks of an event with a whole text, which some servers send in place of deltas, or of whole items."""
        match kind:
            case "response.function_call_arguments.done":
                return self._on_whole_argument(data, "arguments")
            case "response.custom_tool_call_input.done":
                return self._on_whole_argument(data, "input")
            case "response.output_text.done" | "response.refusal.done":
                return self._on_whole_part(data, data)
            case "response.content_part.done":
                part = optional_object(data.get("part")) or {}
                return self._on_whole_part(data, part) if part.get("type") in ("output_text", "refusal") else ()
            case _:
                return ()  # a sign of life, progress of the server's own tools, or a type that OpenAI adds later

    def _on_text(self, data: JsonObject) -> Chunks:
        item = self._items.of_event(data, "message")
        delta = self._items.text(item, data.get("content_index"), as_str(data.get("delta")))
        numbers = data.get("logprobs")
        logprobs = None if not numbers or item.commentary else logprobs_of(numbers)
        if delta is None and logprobs is None:
            return ()
        return (self._chunk(delta or Delta(), logprobs),)

    def _on_refusal(self, data: JsonObject) -> Chunks:
        item = self._items.of_event(data, "message")
        return self._chunks(self._items.refusal(item, data.get("content_index"), as_str(data.get("delta"))))

    def _on_annotation(self, data: JsonObject) -> Chunks:
        found = optional_object(data.get("annotation"))
        if found is None:
            return ()
        item = self._items.of_event(data, "message")
        return self._chunks(self._items.annotate(item, data.get("content_index"), found))

    def _on_reasoning(self, data: JsonObject) -> Chunks:
        item = self._items.of_event(data, "reasoning")
        return self._chunks(self._items.thought(item, "content", data.get("content_index"), as_str(data.get("delta"))))

    def _on_summary(self, data: JsonObject) -> Chunks:
        item = self._items.of_event(data, "reasoning")
        return self._chunks(self._items.thought(item, "summary", data.get("summary_index"), as_str(data.get("delta"))))

    def _on_argument(self, data: JsonObject) -> Chunks:
        item = self._items.of_event(data, "")
        return self._chunks(*self._items.argument(item, as_str(data.get("delta"))))

    def _on_whole_argument(self, data: JsonObject, field: str) -> Chunks:
        item = self._items.of_event(data, "")
        try:
            return self._chunks(*self._items.rest_of_argument(item, optional_str(data.get(field)) or ""))
        except ShapeError:
            return ()  # the whole item decides whether anything was lost

    def _on_whole_part(self, data: JsonObject, part: JsonObject) -> Chunks:
        whole = {name: optional_str(part.get(name)) for name in ("text", "refusal")}
        item = self._items.of_event(data, "message")
        try:
            return self._chunks(*self._items.rest_of_part(item, data.get("content_index"), whole))
        except ShapeError:
            return ()  # as above

    def _on_item_added(self, data: JsonObject) -> Chunks:
        item = as_object(data.get("item"), "item")
        return self._chunks(*self._items.add(data.get("output_index"), item))

    def _on_item_done(self, data: JsonObject) -> Chunks:
        item = as_object(data.get("item"), "item")
        return self._chunks(*self._items.end(data.get("output_index"), item))

    def _on_begin(self, data: JsonObject) -> Chunks:
        """Keeps the details of the response. It makes no chunk, so that an error right after it may be retried."""
        response = response_of(data)
        self._id = optional_str(response.get("id")) or self._id
        self._model = optional_str(response.get("model")) or self._model
        self._created = created_at(response) or self._created
        self._items.offered = self._items.offered.with_echo(response)
        return ()

    def _on_end(self, kind: str, data: JsonObject) -> Chunks:
        self._on_begin(data)
        response = response_of(data)
        if kind == "response.incomplete":
            response = response | {"status": "incomplete"}
        chunks = [*self._missing(response)]
        reason, native_reason = finish_reason(response, self._items.offered, has_calls=self._items.has_calls)
        delta = Delta(self._take_role(), provider_specific_fields=self._native(response))
        last, extra = ChunkChoice(0, delta, reason, None, native_reason), extra_fields(response) or None
        about = (self._created, self._model)
        chunks.append(ChatCompletionChunk(self._id, [last], *about, extra=extra, native=self._last))
        usage, tier = read_usage(response), optional_str(response.get("service_tier"))
        if usage is not None or tier is not None:
            chunks.append(ChatCompletionChunk(self._id, [], *about, usage=usage, service_tier=tier, native=self._last))
        self.done = self._finished = True
        return chunks

    # --- the end ------------------------------------------------------------------------------------------------------

    def _missing(self, response: JsonObject) -> Chunks:
        """What the whole response has and no event had."""
        items = self._items.all
        try:
            whole = read_items(response.get("output"))
        except ShapeError:
            if items and all(item.done is not None for item in items):
                return ()  # nothing needs it
            raise
        return self._chunks(*self._items.end_missing(whole))

    def _native(self, response: JsonObject) -> JsonObject | None:
        found = [item.done for item in self._items.all]
        items = read_items([item for item in found if item is not None])
        if len(items) < len(found) or (len(items) == 1 and is_plain_text(items[0])):
            return None  # without one of its items, the provider could refuse the others
        message = read_message(items, self._items.offered)
        return native_fields(items, message, self._target, self._items.offered, stored=is_stored(response))

    # --- chunks -------------------------------------------------------------------------------------------------------

    def _chunks(self, *deltas: Delta | None) -> Chunks:
        return [self._chunk(delta) for delta in deltas if delta is not None]

    def _chunk(self, delta: Delta, logprobs: Logprobs | None = None) -> ChatCompletionChunk:
        if self._role is not None:
            delta.role = self._take_role()
        choice = ChunkChoice(0, delta, None, logprobs)
        return ChatCompletionChunk(self._id, [choice], self._created, self._model, native=self._last)

    def _take_role(self) -> str | None:
        role, self._role = self._role, None
        return role


_READ = frozenset(("response.output_text.delta", "response.function_call_arguments.delta"))
"""Types of the most frequent events, which are no errors."""

_ERRORS = frozenset(("error", "response.error"))
"""Types of the events that are errors."""

_ENDS = frozenset(
    ("response.completed", "response.incomplete", "response.failed", "response.cancelled", "response.done")
)
"""Types of the events that end a response."""


def _failure(kind: str, data: JsonObject, body: bytes) -> APIError | None:
    """The exception, if an event is an error, or the end of a response that failed."""
    if kind in _ENDS:
        response = response_of(data)
        if response.get("status") == "completed" and response.get("error") is None and response.get("output"):
            return None  # paid for, whatever else it has
        if kind == "response.failed" or response.get("status") == "failed" or holds_error(response):
            return failure(response | {"object": "response"}, None, as_text(body))
        if kind == "response.cancelled" or response.get("status") == "cancelled":
            return APIResponseError(CANCELLED, body=as_text(body), maybe_billed=True)
    elif kind in _ERRORS or (not kind.startswith(_PREFIX) and holds_error(data)):
        return error_from_body(described_error(data), None, body_text=as_text(body))
    return None


def _object_in(value: object) -> JsonObject:
    """The object in an event's JSON of another type; a text or a list is an error, and null is nothing."""
    if value is None:
        return {}
    found = optional_object(value)
    if found is None and value and isinstance(value, (str, list)):
        return {"type": "error", "error": value}
    return as_object(found, "event")


def decoder(request: ChatRequest, target: Target) -> OpenAIResponsesStreamDecoder:
    """A new decoder for one stream."""
    return OpenAIResponsesStreamDecoder(offered_tools(request), target)
