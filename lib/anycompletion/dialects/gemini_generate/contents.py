"""Messages as Gemini's contents: `systemInstruction` separate, the results of a turn together. Drops nothing silently.

https://ai.google.dev/api/caching#Content, https://ai.google.dev/gemini-api/docs/function-calling
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from typing import assert_never, cast

from ...codecs import json
from ...codecs.lenient import NotJSONError
from ...errors import InvalidRequestError
from ...records import (
    AssistantMessage,
    ChatCompletionMessage,
    Content,
    CustomMessage,
    DeveloperMessage,
    FunctionMessage,
    JsonObject,
    Message,
    SystemMessage,
    TextPart,
    ToolMessage,
    UserMessage,
)
from ..base import EncodingReport
from ..shared import sendable_fields
from .media_parts import GeminiPartEncoder
from .model_families import GeminiFamily
from .model_turns import encode_model_turn
from .open_calls import GeminiOpenCall, GeminiOpenCalls


class GeminiContentEncoder:
    """The contents of the messages added so far."""

    def __init__(self, report: EncodingReport, family: GeminiFamily, backend: str) -> None:
        self._report = report
        self._family = family
        self._backend = backend
        self._parts = GeminiPartEncoder(report, per_part=family.generation >= (3, 0))
        self._system: list[tuple[Content, JsonObject, str]] = []
        self._turns: list[JsonObject | int] = []
        """The contents; a number stands for the results of the model's turn with it."""
        self._results: dict[int, list[tuple[int, JsonObject, list[JsonObject]]]] = {}
        """Number of a model's turn → its results: position of the call, the response, and media beside it."""
        self._turn = 0
        """Number of turns of the model."""
        self._leading = True
        self._left_out: str | None = None
        """Path of the last message, if it is a user message that was left out."""

    @functools.cached_property
    def _calls(self) -> GeminiOpenCalls:
        """The calls that wait for a result."""
        return GeminiOpenCalls()

    @property
    def resolution(self) -> str | None:
        """The resolution of all media, where the model takes one for the whole request."""
        return self._parts.resolution

    def add_all(self, messages: Iterable[Message]) -> None:
        """Adds the messages of a request.

        Raises:
            InvalidRequestError: the format cannot express a message; `.param` names the place.
        """
        for index, message in enumerate(messages):
            self._add(message, index)

    def _add(self, message: Message, index: int) -> None:
        path = f"messages[{index}]"
        match message:
            case SystemMessage() | DeveloperMessage():
                self._add_system(message, path)
                return
            case UserMessage():
                self._add_user(message, path)
            case AssistantMessage() | ChatCompletionMessage():
                self._add_model(message, path)
            case ToolMessage():
                call = self._calls.of_result(message.tool_call_id)
                answered = _required(call, f"{path}.tool_call_id", "no earlier call has this id")
                self._add_result(answered, message.content, message.extra, path)
            case FunctionMessage():
                call = self._calls.of_function_result(message.name)
                answered = _required(call, f"{path}.name", "no earlier call of that function waits for a result")
                self._add_result(answered, message.content or "", message.extra, path)
            case CustomMessage():
                self._turns.append(json.to_wire(message))
                self._left_out = None
            case _:
                assert_never(message)
        self._leading = False

    def system(self) -> JsonObject | None:
        """The system instruction; None for none."""
        if not self._system:
            return None
        texts = [content for content, extra, _ in self._system if isinstance(content, str) and not extra]
        if len(texts) == len(self._system):
            text = "\n\n".join(text for text in texts if text)
            return {"parts": [{"text": text}]} if text else None
        parts: list[JsonObject] = []
        instruction: JsonObject = {"parts": parts}
        for content, extra, path in self._system:
            parts += self._parts.parts(content, path)
            instruction = self._with_fields(instruction, extra, path)
        return instruction if parts else None

    def contents(self) -> list[JsonObject]:
        """The contents.

        Raises:
            InvalidRequestError: there are none, or the last message is empty.
        """
        if self._left_out is not None:
            place = f"{self._left_out}.content"
            raise InvalidRequestError(f"{place}: Gemini refuses an empty message", param=place)
        if not self._turns:
            raise InvalidRequestError("messages: Gemini needs one besides the system's", param="messages")
        return [_content_of(self._results[turn]) if isinstance(turn, int) else turn for turn in self._turns]

    # --- messages -----------------------------------------------------------------------------------------------------

    def _report_name(self, path: str) -> None:
        self._report.unsupported(f"{path}.name", "Gemini's contents have no names; write it into the text")

    def _add_system(self, message: SystemMessage | DeveloperMessage, path: str) -> None:
        if not self._leading:
            self._report.moved_to_front(f"{path}.role", "Gemini takes instructions before the first message only")
        if message.name is not None:
            self._report_name(path)
        self._system.append((message.content, message.extra, path))

    def _add_user(self, message: UserMessage, path: str) -> None:
        if message.name is not None:
            self._report_name(path)
        parts = self._parts.parts(message.content, path)
        if parts:
            self._turns.append(self._with_fields({"role": "user", "parts": parts}, message.extra, path))
            self._left_out = None
        else:
            self._left_out = path
            self._report.warn(f"{path} left out: it is empty, which Gemini refuses")

    def _add_model(self, message: AssistantMessage | ChatCompletionMessage, path: str) -> None:
        if message.name is not None:
            self._report_name(path)
        turn = encode_model_turn(message, path, self._parts, self._report, self._family, self._backend)
        if not turn.parts:
            self._report.warn(f"{path} left out: it is empty, which Gemini refuses")
            return
        for position, call in enumerate(turn.calls):
            opened = GeminiOpenCall(call.name, call.native_id, self._turn, position)
            self._calls.add(call.given_id, opened)
        self._turn += 1
        self._turns.append({"role": "model", "parts": turn.parts})
        self._left_out = None

    # --- results ------------------------------------------------------------------------------------------------------

    def _add_result(self, call: GeminiOpenCall, content: Content, extra: JsonObject, path: str) -> None:
        response, media = self._response(content, path)
        native: JsonObject = {"name": call.name}
        if call.native_id is not None:
            native["id"] = call.native_id
        native["response"] = response
        if media and self._family.has_signed_calls:
            native["parts"] = media
            media = []
        native = self._with_fields(native, extra, path)
        if call.turn not in self._results:
            self._results[call.turn] = []
            self._turns.append(call.turn)
        self._results[call.turn].append((call.position, {"functionResponse": native}, media))
        self._left_out = None

    def _with_fields(self, made: JsonObject, extra: JsonObject, path: str) -> JsonObject:
        """An object made of OpenAI's fields, with a message's other fields, which replace none of it."""
        if not extra:
            return made
        other = sendable_fields(extra, path, self._report)
        for name in made.keys() & other.keys():
            if other[name] != made[name]:
                self._report.warn(f"{path}.{name} left out: OpenAI's fields of the message say it already")
        return {**made, **{name: value for name, value in other.items() if name not in made}}

    def _response(self, content: Content, path: str) -> tuple[JsonObject, list[JsonObject]]:
        """The object that a result's text is or stands for, and the media of its other parts."""
        if isinstance(content, str):
            return _as_response(content), []
        texts = [part.text for part in content if isinstance(part, TextPart)]
        others = [part for part in self._parts.parts(content, path) if "text" not in part]
        return (_as_response("\n".join(texts)) if texts or not others else {}), others


def _required(call: GeminiOpenCall | None, place: str, problem: str) -> GeminiOpenCall:
    """The call that a result answers, whose name Gemini needs."""
    if call is None:
        raise InvalidRequestError(f"{place}: {problem}", param=place)
    return call


def _content_of(results: list[tuple[int, JsonObject, list[JsonObject]]]) -> JsonObject:
    """The content with the results of one turn, in the order of its calls, and the media after them."""
    ordered = sorted(results, key=lambda result: result[0])
    responses = [response for _, response, _ in ordered]
    return {"role": "user", "parts": [*responses, *(part for _, _, media in ordered for part in media)]}


def _as_response(text: str) -> JsonObject:
    """A result's text as an object: itself, if it is the JSON of one that arrives as it is.

    Gemini would resolve references, and JSON has no infinite numbers.
    """
    if text.lstrip().startswith("{"):
        try:
            found: object = json.loads(text.encode("utf-8", "replace"))
        except NotJSONError:
            found = None
        if isinstance(found, dict) and not _would_change(cast("JsonObject", found)):
            return cast("JsonObject", found)
    return {"output": text}


def _would_change(value: object) -> bool:
    if isinstance(value, dict):
        fields = cast("JsonObject", value)
        return "$ref" in fields or any(map(_would_change, fields.values()))
    if isinstance(value, list):
        return any(map(_would_change, cast("list[object]", value)))
    return isinstance(value, float) and not math.isfinite(value)
