"""One candidate of a stream: the choices of chunks that its pieces make, and its parts as they are sent back. No I/O.

Pieces of text become chunks at once. The parts are kept as well, because only at the end it is known whether OpenAI's
fields express them exactly. Annotations are sent with the finish reason, when the whole text is known.
"""

from __future__ import annotations

from typing import Any

from ...codecs import json
from ...codecs.lenient import as_object, optional_objects, unknown_fields
from ...records import JsonObject
from ...records.chunks import ChunkChoice, Delta, FunctionDelta, ToolCallDelta
from ..shared import without_nulls
from .decode import CANDIDATE_FIELDS, native_fields, read_logprobs
from .gemini_finish import finish_reason, native_reason
from .grounding import CITING_FIELDS, GeminiTexts, read_annotations
from .partial_args import GeminiPartialArgs
from .reply_parts import (
    TEXT_ONLY,
    GeminiAudio,
    GeminiReplyForm,
    arguments_of,
    call_id,
    call_name,
    has_call,
    image,
    is_thought,
    media_of,
    merged_texts,
    read_parts,
    signature_fields,
    text_of,
)

_NOTHING = Delta()


class _OpenCall:
    """A function call whose arguments are arriving."""

    __slots__ = ("args", "call", "extra", "number", "part")

    def __init__(self, part: JsonObject, call: JsonObject, number: int, extra: JsonObject | None) -> None:
        self.part = part
        """The fields of its parts; of two that have the same one, that of the first."""
        self.call = call
        self.number = number
        self.extra = extra
        """The fields that were sent with its beginning."""
        self.args = GeminiPartialArgs(arguments_of(call, "functionCall"))


class GeminiGrowingCandidate:
    """A candidate so far."""

    __slots__ = (
        "_annotated",
        "_audio",
        "_backend",
        "_calls",
        "_extra",
        "_extra_sent",
        "_form",
        "_legacy",
        "_native_sent",
        "_open",
        "_parts",
        "_sounds",
        "_started",
        "_texts",
        "_thoughts",
        "continues_text",
        "finished",
        "index",
    )

    def __init__(self, index: int, legacy: bool, backend: str) -> None:
        self.index = index
        self.finished = False
        """Whether the finish reason has arrived."""
        self._legacy = legacy
        self._backend = backend
        self._parts: list[JsonObject | str] = []
        """The parts as they arrived, some of those with nothing but text as a str; these are joined at the end."""
        self._form = GeminiReplyForm()
        self.continues_text = False
        """Whether a text that comes alone is one more piece of the text before it: no call is open, and the last part
        was a text alone, so that another text makes no difference to `_form`."""
        self._calls = 0
        """Number of function calls that have begun."""
        self._open: _OpenCall | None = None
        self._audio: GeminiAudio | None = None
        self._extra: JsonObject = {}
        """Fields of the candidate beyond those that are read."""
        self._extra_sent: dict[str, Any] = {}
        """Those of them that were sent."""
        self._annotated = False
        self._native_sent = 0
        """Parts that were sent with the first finish reason."""
        self._started = False
        self._texts: list[str] = []
        self._thoughts: list[str] = []
        self._sounds: list[str] = []
        """Texts of the content and of the thoughts, and audio in base64, of the present event."""

    @property
    def has_content(self) -> bool:
        """Whether anything has arrived that a reply consists of."""
        return bool(self._parts) or self._open is not None

    def add(self, candidate: JsonObject, response_id: str) -> ChunkChoice | None:
        """The choice of a chunk for one event; None if the event has nothing for it.

        Raises:
            ShapeError: a part cannot be read.
        """
        delta = Delta()
        for part in read_parts(candidate.get("content"), "candidates.content"):
            self._add_part(part, delta, response_id)
        self._add_pieces(delta)
        for name, value in without_nulls(unknown_fields(candidate, CANDIDATE_FIELDS)).items():
            if value or name not in self._extra:
                self._extra[name] = value
        logprobs = read_logprobs(candidate["logprobsResult"]) if "logprobsResult" in candidate else None
        native = native_reason(candidate) if "finishReason" in candidate else None
        if native is None and logprobs is None and delta == _NOTHING:
            return None
        if not self._started:
            self._started = True
            delta.role = "assistant"
        if native is None:
            return ChunkChoice(self.index, delta, None, logprobs)
        # Some servers repeat the reason in each event; what belongs to the end is sent with the first, and at the end.
        extra = None if self.finished else self._add_end(delta)
        self.finished = True
        reason = finish_reason(native, has_calls=self._calls > 0, legacy=self._legacy)
        return ChunkChoice(self.index, delta, reason, logprobs, native, extra)

    def add_text(self, text: str) -> None:
        """Adds a text where it `continues_text`."""
        self._parts.append(text)

    def end(self, blocked: str | None = None, refusal: str | None = None) -> ChunkChoice | None:
        """What has arrived since the finish reason; None for nothing.

        Args:
            blocked: why the prompt was blocked, which ends a candidate that has no finish reason.
            refusal: Google's message about it.
        """
        delta = Delta()
        extra = self._add_end(delta)
        if blocked is not None and not self.finished:
            self.finished = True
            delta.role, delta.refusal = None if self._started else "assistant", refusal
            return ChunkChoice(self.index, delta, "content_filter", None, blocked, extra)
        return None if extra is None and delta == _NOTHING else ChunkChoice(self.index, delta, extra=extra)

    # --- parts --------------------------------------------------------------------------------------------------------

    def _add_part(self, part: JsonObject, delta: Delta, response_id: str) -> None:
        if has_call(part):
            self._add_call(part, delta, response_id)
            return
        self._close_call(delta)
        self._keep(part)
        text = text_of(part)
        if text:
            (self._thoughts if is_thought(part) else self._texts).append(text)
        else:
            self._add_media(part, delta)

    def _keep(self, part: JsonObject) -> None:
        self._parts.append(part)
        self._form.add(part)
        self.continues_text = part.keys() == TEXT_ONLY and bool(part["text"])

    def _add_pieces(self, delta: Delta) -> None:
        if self._texts:
            delta.content, self._texts = "".join(self._texts), []
        if self._thoughts:
            delta.reasoning_content, self._thoughts = "".join(self._thoughts), []
        if self._sounds and self._audio is not None:
            kind = {"mime_type": self._audio.media_type} if self._audio.media_type else {}
            delta.audio, self._sounds = {"data": "".join(self._sounds), **kind}, []

    def _add_media(self, part: JsonObject, delta: Delta) -> None:
        media = media_of(part)
        if media is None:
            return
        if media[0].startswith("image/"):
            extra = delta.extra = delta.extra or {"images": []}
            extra["images"].append(image(*media))
        elif media[0].startswith("audio/"):
            self._audio = self._audio or GeminiAudio()
            self._sounds.append(self._audio.add(*media))

    def _add_call(self, part: JsonObject, delta: Delta, response_id: str) -> None:
        call = as_object(part["functionCall"], "functionCall")
        pieces = call.get("partialArgs")
        if call.get("name"):
            self._close_call(delta)
            name = call_name(call, "functionCall")
            number, self._calls = self._calls, self._calls + 1
            function = FunctionDelta(name, "")
            extra = signature_fields(part, self._backend) or None
            if call.get("willContinue") is True or pieces:
                self._open = _OpenCall(part, call, number, extra)
                self.continues_text = False
            else:
                function.arguments = json.dumps(arguments_of(call, "functionCall")).decode()
                self._keep(part)
            self._send_call(delta, number, function, call_id(call, response_id, number), extra)
        elif self._open is None:
            call_name(call, "functionCall")  # raises
        opened = self._open
        if opened is not None:
            opened.part = {**part, **opened.part}
            for piece in optional_objects(pieces) or ():
                opened.args.add(piece)
            if call.get("willContinue") is not True:
                self._close_call(delta)

    def _close_call(self, delta: Delta) -> None:
        """Ends the open call: its arguments are sent, and it is kept as if it had come at once."""
        opened = self._open
        if opened is None:
            return
        self._open = None
        args = opened.args.complete()
        begun = {name: value for name, value in opened.call.items() if name in ("id", "name")}
        self._keep({**opened.part, "functionCall": {**begun, "args": args}})
        extra = None if opened.extra else signature_fields(opened.part, self._backend) or None
        self._send_call(delta, opened.number, FunctionDelta(None, json.dumps(args).decode()), extra=extra)

    def _send_call(
        self,
        delta: Delta,
        number: int,
        function: FunctionDelta,
        given_id: str | None = None,
        extra: JsonObject | None = None,
    ) -> None:
        if self._legacy:
            if number == 0:  # the legacy form has a place for one call
                known = delta.function_call
                delta.function_call = function if known is None else FunctionDelta(known.name, function.arguments)
            return
        kind = None if given_id is None else "function"
        delta.tool_calls = delta.tool_calls or []
        delta.tool_calls.append(ToolCallDelta(number, given_id, kind, function, None, extra))

    # --- the end ------------------------------------------------------------------------------------------------------

    def _add_end(self, delta: Delta) -> JsonObject | None:
        """Adds to `delta` what is sent at the end; returns the candidate's other fields that were not sent yet."""
        self._close_call(delta)
        if self._audio is not None:
            rest = self._audio.end()
            if rest:
                delta.audio = {**(delta.audio or {}), "data": (delta.audio or {}).get("data", "") + rest}
        hides_calls = self._legacy and self._calls > 1  # the legacy form has a place for one
        if (hides_calls or not self._form.is_expressible) and self._native_sent < len(self._parts):
            unsent = merged_texts(map(_as_part, self._parts[self._native_sent :]))
            delta.provider_specific_fields = native_fields(unsent, self._backend)
            self._native_sent = len(self._parts)
        # A list would be appended to the one that was sent.
        unsent_fields: JsonObject = {
            name: value
            for name, value in self._extra.items()
            if name not in self._extra_sent or (type(value) is dict and self._extra_sent[name] != value)
        }
        if not unsent_fields:
            return None
        self._extra_sent.update(unsent_fields)
        if not self._annotated and not CITING_FIELDS.isdisjoint(unsent_fields):
            shown = ["" if is_thought(part) else text_of(part) for part in map(_as_part, self._parts)]
            found = read_annotations(unsent_fields, GeminiTexts(shown))
            self._annotated = bool(found)
            delta.annotations = [annotation.to_dict() for annotation in found] or None
        return unsent_fields


def _as_part(part: JsonObject | str) -> JsonObject:
    return {"text": part} if isinstance(part, str) else part
