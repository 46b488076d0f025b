"""The assistant's messages as contents of the model: native parts as they were, or parts made of OpenAI's fields.

https://ai.google.dev/gemini-api/docs/thought-signatures

A signature goes back on the part that it came with, unchanged. From Gemini 3 on, the first function call of a turn
needs one; calls of other models' turns get Google's placeholder, which is accepted without a check.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any, NamedTuple, cast

from ...codecs import json
from ...codecs.lenient import NotJSONError, ShapeError, as_object, optional_str
from ...errors import InvalidRequestError
from ...records import AssistantTurn, FunctionCall, JsonObject, TextPart, ToolCall
from ..base import EncodingReport
from ..shared import arguments_object, without_nulls
from .media_parts import GeminiPartEncoder
from .model_families import GeminiFamily
from .reply_parts import arguments_of, call_name, has_call, is_thought, text_of

NATIVE_CONTENT = "gemini_content"
"""The field of `provider_specific_fields` that contains a reply's parts."""

BACKEND = "gemini_backend"
"""The field beside it with the service that wrote them, where that is not the Gemini API: services refuse each other's
signatures."""

_PLACEHOLDER = base64.b64encode(b"skip_thought_signature_validator").decode()
"""The signature for a call that another model made."""

_SIGNATURE = "thoughtSignature"
_ONLY_SIGNATURE = frozenset((_SIGNATURE, "thought"))
"""Fields of a part that has no content, which Vertex AI refuses to take back."""


class GeminiTurnCall(NamedTuple):
    """A function call of a turn."""

    given_id: str
    """The id that the message has for it, and that its result will have."""
    name: str
    native_id: str | None
    """The id that the model gave it."""


class GeminiModelTurn(NamedTuple):
    """A content of the model."""

    parts: list[JsonObject]
    calls: list[GeminiTurnCall]


def encode_model_turn(
    message: AssistantTurn,
    path: str,
    parts: GeminiPartEncoder,
    report: EncodingReport,
    family: GeminiFamily,
    backend: str,
) -> GeminiModelTurn:
    """A message of the assistant as a content of the model: the reply's parts, unless the message was changed since.

    Raises:
        InvalidRequestError: a call is not a function call, or the native parts are no parts.
    """
    fields = message.provider_specific_fields or {}
    native = fields.get(NATIVE_CONTENT) if fields.get(BACKEND, "google") == backend else None
    place = f"{path}.provider_specific_fields.{NATIVE_CONTENT}"
    own = _native_parts(native, place)
    if message.function_call is not None and not message.tool_calls:
        own = _with_one_call(own)
    if own and _agrees(message, own):
        turn = _native_turn(message, own, backend)
    else:
        if own:
            report.warn(f"{place} left out: the message was changed, and no longer agrees with it")
        turn = _made_turn(message, own, path, parts, report, backend)
    if family.has_signed_calls:
        _add_placeholder(turn.parts, path, report)
    return turn


# --- the parts of a reply ---------------------------------------------------------------------------------------------


def _native_parts(native: object, path: str) -> list[JsonObject]:
    """The parts that a reply consisted of."""
    if not native:
        return []
    items = cast("Sequence[object]", native if isinstance(native, (list, tuple)) else [None])
    if not all(isinstance(item, Mapping) for item in items):
        raise InvalidRequestError(f"{path}: expected a list of parts", param=path)
    return [dict(cast("Mapping[str, Any]", item)) for item in items]


def _with_one_call(parts: Sequence[JsonObject]) -> list[JsonObject]:
    """The parts without the calls after the first: a message in the legacy form has none for them."""
    numbers = accumulate(map(has_call, parts))
    return [part for part, number in zip(parts, numbers, strict=True) if number < 2 or not has_call(part)]


def _agrees(message: AssistantTurn, parts: Sequence[JsonObject]) -> bool:
    """Whether a message has the text and the calls of the parts: if not, it was changed after the reply."""
    shown = "".join(text_of(part) for part in parts if not is_thought(part))
    try:
        native = [(call_name(call, ""), arguments_of(call, "")) for call in _native_calls(parts)]
        return (shown, native) == (_text(message), [_essence(function) for function in _functions(message)])
    except (ShapeError, NotJSONError):
        return False


def _native_calls(parts: Iterable[JsonObject]) -> list[JsonObject]:
    return [as_object(part["functionCall"], "functionCall") for part in parts if has_call(part)]


def _text(message: AssistantTurn) -> str:
    content = message.content or message.refusal or ""
    if isinstance(content, str):
        return content
    return "".join(part.text if isinstance(part, TextPart) else f"[{part.type}]" for part in content)


def _functions(message: AssistantTurn) -> list[FunctionCall]:
    if message.tool_calls:
        return [call.function for call in message.tool_calls]
    return [] if message.function_call is None else [message.function_call]


def _essence(function: FunctionCall) -> tuple[str, object]:
    text = function.arguments.strip()
    return function.name, json.loads(text.encode("utf-8", "replace")) if text else {}


def _native_turn(message: AssistantTurn, parts: list[JsonObject], backend: str) -> GeminiModelTurn:
    if backend == "vertex":
        parts = [part for part in parts if not part.keys() <= _ONLY_SIGNATURE]
    given = [call.id for call in message.tool_calls or ()] or [""]
    calls = zip(given, _native_calls(parts), strict=False)
    turn_calls = [
        GeminiTurnCall(name, str(call.get("name")), optional_str(call.get("id")) or None) for name, call in calls
    ]
    return GeminiModelTurn(parts, turn_calls)


# --- parts made of the message's fields -------------------------------------------------------------------------------


def _made_turn(
    message: AssistantTurn,
    native: Sequence[JsonObject],
    path: str,
    encoder: GeminiPartEncoder,
    report: EncodingReport,
    backend: str,
) -> GeminiModelTurn:
    """The parts for a message's own fields; its calls keep the signatures that they have in the `native` parts."""
    parts = encoder.parts(message.content or message.refusal or [], path)
    signature = _signature(message.extra, backend)
    if parts and signature is not None:
        parts[-1][_SIGNATURE] = signature
    signed = [part for part in native if has_call(part)]
    calls: list[GeminiTurnCall] = []
    for i, call in enumerate(message.tool_calls or ()):
        part = _call_part(call, f"{path}.tool_calls[{i}]", backend, report)
        kept = _signature_of(call.id, signed)
        parts.append(part if kept is None else {**part, _SIGNATURE: kept})
        calls.append(GeminiTurnCall(call.id, call.function.name, None))
    if not calls and message.function_call is not None:
        parts.append(_function_part(message.function_call, f"{path}.function_call", report))
        calls.append(GeminiTurnCall("", message.function_call.name, None))
    _warn_of_losses(message, path, report)
    return GeminiModelTurn(parts, calls)


def _signature_of(given: str, parts: Sequence[JsonObject]) -> str | None:
    """The signature of the call that was given this id."""
    for number, part in enumerate(parts):
        own = optional_str(_object(part["functionCall"]).get("id")) or None
        if given == own or (own is None and given.startswith("call_") and given.endswith(f"_{number}")):
            signature = part.get(_SIGNATURE)
            return signature if isinstance(signature, str) else None
    return None


def _warn_of_losses(message: AssistantTurn, path: str, report: EncodingReport) -> None:
    if message.refusal and message.content:
        report.warn(f"{path}.refusal left out: the message has content")
    if message.reasoning_content or message.thinking_blocks or message.reasoning_details:
        report.warn(f"{path}.reasoning_content left out: Gemini takes only thoughts of its own, with their signatures")
    if message.audio is not None:
        report.warn(f"{path}.audio left out: Gemini takes no audio of the assistant")
    if message.tool_calls and message.function_call is not None:
        report.warn(f"{path}.function_call left out: the message has tool_calls")
    for name in without_nulls(message.extra):
        if name not in ("index", "extra_content", "reasoning"):
            report.warn(f"{path}.{name} left out: Gemini refuses fields it does not know")


def _call_part(call: ToolCall, path: str, backend: str, report: EncodingReport) -> JsonObject:
    if call.custom is not None:
        raise InvalidRequestError(f"{path}: Gemini has no custom tools, only functions", param=path)
    part = _function_part(call.function, f"{path}.function", report)
    signature = _signature(call.extra, backend)
    return part if signature is None else {**part, _SIGNATURE: signature}


def _function_part(function: FunctionCall, path: str, report: EncodingReport) -> JsonObject:
    arguments = arguments_object(function.arguments, f"{path}.arguments", report)
    return {"functionCall": {"name": function.name, "args": arguments}}


def _signature(extra: JsonObject, backend: str) -> str | None:
    """The signature in a message's or a call's fields: in Google's own chat format, or in LiteLLM's."""
    content = _object(extra.get("extra_content"))
    litellm = _object(extra.get("provider_specific_fields"))
    found = (_object(content.get(backend)).get("thought_signature"), litellm.get("thought_signature"))
    return next((text for text in found if isinstance(text, str) and text), None)


def _object(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def _add_placeholder(parts: list[JsonObject], path: str, report: EncodingReport) -> None:
    """Adds the placeholder to the first call of a turn whose calls have no signature."""
    calls = [part for part in parts if "functionCall" in part]
    if calls and not any(_SIGNATURE in part for part in calls):
        calls[0][_SIGNATURE] = _PLACEHOLDER
        report.warn(f"{path}: its calls have no thought signature of this provider; Google's placeholder is sent")
