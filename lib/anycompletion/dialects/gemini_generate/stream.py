"""Decoder of Gemini's stream: events → chunks in OpenAI's shape. No I/O.

https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent

Each event is a response with the new parts. The stream ends with the body, after every candidate has a finish reason;
usage is what the last event with counts reports, which may come after that.
"""

from __future__ import annotations

import msgspec

from ...codecs import json
from ...codecs.lenient import (
    NotJSONError,
    ShapeError,
    as_list,
    as_object,
    optional_object,
    optional_str,
    unknown_fields,
)
from ...codecs.sse import Event
from ...errors import APIResponseError, APIStatusError, StreamInterruptedError
from ...records import ChatRequest, JsonObject
from ...records.chunks import ChatCompletionChunk, ChunkChoice, Delta
from ..base import Chunks, Target
from ..shared import EMPTY_EVENTS, as_text, uses_legacy_functions, without_nulls
from .decode import RESPONSE_FIELDS, blocked_message, created_at
from .errors import error_from_body, error_in, failed_generation
from .gemini_finish import block_reason
from .gemini_quirks import quirks_of
from .growing_candidate import GeminiGrowingCandidate
from .plain_events import NO_COUNTS, decode_plain_event
from .reply_parts import candidate_indexes, read_candidate
from .token_counts import has_counts, read_usage

_MAX_CANDIDATES = 1024
"""Candidates that a stream can have; more are no reply."""


class GeminiStreamDecoder:
    """Decoder of one stream of Gemini's generateContent."""

    __slots__ = (
        "_backend",
        "_blocked",
        "_candidates",
        "_created",
        "_extra",
        "_failure",
        "_feedback",
        "_id",
        "_last",
        "_legacy",
        "_model",
        "_unread_usage",
        "_usage",
        "done",
    )

    def __init__(self, legacy: bool, model: str, backend: str) -> None:
        self.done = False
        """Whether ``[DONE]``, which gateways send, or the end of a failed generation was received."""
        self._legacy = legacy
        self._backend = backend
        self._id = ""
        self._model = model
        self._created = 0
        self._candidates: dict[int, GeminiGrowingCandidate] = {}
        self._feedback: JsonObject | None = None
        self._blocked = False
        """Whether the prompt was blocked, which is an end."""
        self._usage: JsonObject | None = None
        """The last usage with counts, of those that were read."""
        self._unread_usage: bytes | None = None
        """The later event whose usage has counts, but was not read yet: in most streams every event has one."""
        self._extra: JsonObject = {}
        """Fields of the response beyond those that are read; sent with the last chunk."""
        self._failure: APIStatusError | None = None
        """Why the generation failed; raised at the end, so that what came with it is delivered before."""
        self._last = b""

    def feed(self, event: Event) -> Chunks:
        """The chunks of one event.

        Raises:
            APIStatusError: the event is an error.
            APIResponseError: the event cannot be read.
        """
        if self.done:
            return ()
        if len(self._candidates) == 1:
            chunk = self._plain_chunk(event.data)
            if chunk is not None:
                return (chunk,)
        failure: object = None
        problem = ""
        try:
            value = json.loads(event.data)
            data: JsonObject = value
            if value.__class__ is not dict or "candidates" not in data or "error" in data:
                failure = error_in(value)
                data = {} if value is None or failure else as_object(value, "event")
            if failure is None:
                self._last = event.data
                return self._read(data)
        except (ShapeError, NotJSONError) as exc:
            problem = str(exc)
        text = event.data.strip()
        if problem and (text == b"[DONE]" or text in EMPTY_EVENTS):
            self.done = text == b"[DONE]"
            return ()
        # Raised here, so that the error's context and traceback do not hold the event.
        body = as_text(event.data)
        if failure is not None:
            raise error_from_body(failure, body=body)
        raise APIResponseError(f"an event of Gemini's stream cannot be read: {problem}", body=body)

    def finish(self) -> Chunks:
        """The last chunks: what came after the finish reasons, and the usage.

        Raises:
            APIStatusError: the generation failed.
            StreamInterruptedError: a candidate has no finish reason.
        """
        if self._failure is not None:
            raise self._failure
        candidates = self._candidates.values()
        blocked = block_reason(self._feedback)
        complete = blocked is not None or (bool(candidates) and all(candidate.finished for candidate in candidates))
        if not complete and not (self.done and any(candidate.has_content for candidate in candidates)):
            raise StreamInterruptedError("the stream ended before the provider sent a finish reason")
        refusal = None if self._feedback is None else blocked_message(self._feedback).refusal
        ends = (candidate.end(blocked, refusal) for candidate in candidates)
        choices = [choice for choice in ends if choice is not None]
        chunks = [self._chunk(choices)] if choices else []
        if self._unread_usage is not None:
            self._usage = optional_object(json.loads(self._unread_usage).get("usageMetadata"))
        if self._usage is not None or self._extra:
            last = self._chunk([])
            if self._usage is not None:
                last.usage = read_usage(self._usage)
                last.service_tier = optional_str(self._usage.get("serviceTier"))
            last.extra = self._extra or None
            chunks.append(last)
        return chunks

    # --- events -------------------------------------------------------------------------------------------------------

    def _read(self, data: JsonObject) -> Chunks:
        self._add_details(data)
        choices: list[ChunkChoice] = []
        items = as_list(data.get("candidates"), "candidates")
        candidates = [read_candidate(item, "candidates") for item in items]
        for index, candidate in zip(candidate_indexes(candidates), candidates, strict=True):
            failure = failed_generation(candidate) if "finishReason" in candidate else None
            if failure is not None:
                self._failure, self.done = self._failure or failure, True
            read = candidate if failure is None else unknown_fields(candidate, _FINISH_FIELDS)
            choice = self._candidate(index).add(read, self._id)
            if choice is not None:
                choices.append(choice)
        if not self._candidates and not self._blocked and self._feedback is not None:
            choices += self._block(self._feedback)
        return (self._chunk(choices),) if choices else ()

    def _plain_chunk(self, data: bytes) -> ChatCompletionChunk | None:
        """The chunk of an event with one text of the one candidate; None for all others."""
        known = self._candidates.get(0)
        if known is None or not known.continues_text:
            return None
        try:
            event = decode_plain_event(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        candidate = event.candidates[0]
        text = candidate.content.parts[0].text
        if candidate.index or not text:
            return None
        counts = event.usage_metadata
        if counts is not None and counts != NO_COUNTS:
            self._unread_usage = data
        if event.create_time is not None:
            self._extra["createTime"] = event.create_time
        self._last = data
        known.add_text(text)
        choices = [ChunkChoice(0, Delta(None, text))]
        return ChatCompletionChunk(self._id, choices, self._created, self._model, native=data, _only_text=text)

    def _add_details(self, data: JsonObject) -> None:
        if not self._id:
            self._id = optional_str(data.get("responseId")) or ""
            self._model = optional_str(data.get("modelVersion")) or self._model
            self._created = created_at(data)
        usage = data.get("usageMetadata")
        if usage is not None:
            counts = optional_object(usage)
            if has_counts(counts):
                self._usage, self._unread_usage = counts, None
        if not data.keys() <= RESPONSE_FIELDS:
            self._extra.update(without_nulls(unknown_fields(data, RESPONSE_FIELDS)))
            self._feedback = optional_object(data.get("promptFeedback")) or self._feedback

    def _candidate(self, index: int) -> GeminiGrowingCandidate:
        found = self._candidates.get(index)
        if found is None:
            if len(self._candidates) >= _MAX_CANDIDATES:
                raise ShapeError("candidates", f"at most {_MAX_CANDIDATES} candidates", index)
            found = self._candidates[index] = GeminiGrowingCandidate(index, self._legacy, self._backend)
        return found

    def _block(self, feedback: JsonObject) -> list[ChunkChoice]:
        """The end of a stream whose prompt was blocked."""
        reason = block_reason(feedback)
        if reason is None:
            return []
        self._blocked = True
        delta = Delta("assistant", refusal=blocked_message(feedback).refusal)
        return [ChunkChoice(0, delta, "content_filter", None, reason)]

    def _chunk(self, choices: list[ChunkChoice]) -> ChatCompletionChunk:
        return ChatCompletionChunk(self._id, choices, self._created, self._model, native=self._last)


_FINISH_FIELDS = frozenset(("finishReason", "finishMessage"))


def decoder(request: ChatRequest, target: Target) -> GeminiStreamDecoder:
    """A new decoder for one stream."""
    return GeminiStreamDecoder(uses_legacy_functions(request), target.model, quirks_of(target).backend)
