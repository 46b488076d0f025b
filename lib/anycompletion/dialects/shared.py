"""Functions that dialects share: reading requests, dropping nulls, errors for unreadable responses. No I/O."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import quote, unquote

from ..codecs import json
from ..codecs.lenient import NotJSONError, optional_float, optional_int, optional_str
from ..errors import APIError, APIResponseError, InvalidRequestError, class_for_status
from ..http import HttpResponse
from ..params import ParamSupport
from ..records import ChatRequest, JsonObject, Message, Usage, UserMessage
from .base import EncodingReport
from .error_body import page_title, read_error

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""Values of `reasoning_effort` that are mapped to a provider's own form of thinking."""


def mapped(note: str, values: tuple[str, ...] | None = None) -> ParamSupport:
    """Support for a parameter that has another name or form in the dialect."""
    return ParamSupport("mapped", note=note, values=values)


# --- requests ---------------------------------------------------------------------------------------------------------


def messages_of(request: ChatRequest) -> Sequence[Message]:
    """The request's messages as records; a string is one user message."""
    messages = request.messages if not isinstance(request.messages, str) else [UserMessage(request.messages)]
    return cast("Sequence[Message]", messages)


def uses_legacy_functions(request: ChatRequest) -> bool:
    """Whether the caller passed `functions` and no `tools`, so that the reply must use `function_call`."""
    return bool(request.functions) and not request.tools


def token_limit(request: ChatRequest, report: EncodingReport) -> int | None:
    """The limit of completion tokens under either name; `max_completion_tokens` wins."""
    limit = request.max_tokens if request.max_completion_tokens is None else request.max_completion_tokens
    if request.max_tokens is not None and request.max_tokens != limit:
        report.warn("max_tokens left out: max_completion_tokens was given too, and wins")
    return limit


def refuse_stream_options(request: ChatRequest, provider: str, report: EncodingReport) -> None:
    """Reports each stream option that asks for something; `include_usage` does not, because usage always comes."""
    for name, value in (request.stream_options or {}).items():
        if name != "include_usage" and value:
            report.unsupported(f"stream_options.{name}", f"{provider}'s streams have no options")


def without_nulls(fields: JsonObject) -> JsonObject:
    """The fields that are not null. A null asks for nothing, and most nulls come from OpenAI's replies."""
    return {name: value for name, value in fields.items() if value is not None} if fields else fields


_REPLY_ONLY = frozenset({"extra_content", "images", "index", "provider_specific_fields", "reasoning"})
"""Fields of messages, tool calls and functions that only the provider which wrote them understands."""


def warn_of_native_fields(fields: Mapping[str, object] | None, own: str, path: str, report: EncodingReport) -> None:
    """Warns of `provider_specific_fields` besides a format's own, which another provider wrote."""
    if any(value is not None for name, value in (fields or {}).items() if name != own):
        report.warn(f"{path}.provider_specific_fields left out: only the provider that wrote it understands it")


def sendable_fields(fields: JsonObject, path: str, report: EncodingReport) -> JsonObject:
    """The fields beyond OpenAI's that are sent with a message or a call: no nulls, and none of another provider's.

    `index`, which only streams need, is left out without a warning.
    """
    found = without_nulls(fields)
    for name in sorted(found.keys() & _REPLY_ONLY - {"index"}):
        report.warn(f"{path}.{name} left out: only the provider that wrote it understands it")
    return {name: value for name, value in found.items() if name not in _REPLY_ONLY}


_MEDIA_TYPES: Mapping[str, str] = {
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/x-png": "image/png",
    "application/x-pdf": "application/pdf",
}
"""Common alias of a media type → its registered name; providers accept the registered names only."""


INVALID_JSON = "invalid_json"
"""The one field of arguments that are no JSON object; it has their text."""


def arguments_object(text: str, path: str, report: EncodingReport) -> JsonObject:
    """The arguments of a call, which are JSON text, as an object, for formats that require one; {} for an empty text.

    Models make calls whose arguments are none, above all at their token limit, and have to see them to correct them.
    """
    if not text.strip():
        return {}
    try:
        value = json.loads(text.encode("utf-8", "replace"))
    except NotJSONError:
        value = None
    if isinstance(value, dict):
        return cast("JsonObject", value)
    report.warn(f"{path}: is no JSON object; sent as the field {INVALID_JSON} of one")
    return {INVALID_JSON: text}


def media_type(name: str) -> str:
    """The registered name of a media type; an unknown one unchanged."""
    return _MEDIA_TYPES.get(name.lower(), name)


def data_url(url: str) -> str:
    """A data URL with the registered name of its media type; any other URL unchanged."""
    if url[:5].lower() != "data:":
        return url
    name = url[5:40].partition(",")[0].partition(";")[0]
    registered = media_type(name)
    return url if registered == name else f"data:{registered}{url[5 + len(name) :]}"


def strict_base64(data: str) -> str:
    """The base64 of a data URL without white space and percent-encoding, and with its padding."""
    if "%" in data:
        data = unquote(data)
    data = "".join(data.split())
    return data + "=" * (-len(data) % 4)


# --- URLs -------------------------------------------------------------------------------------------------------------


MODEL_IN_PATH = "{model}"
"""Stands for the model's name in the path of a server that has it in the URL and not in the body."""


@functools.lru_cache(256)
def quoted(text: str, safe: str = "") -> str:
    """A text percent-encoded for a URL; kept, because a process uses few models."""
    return quote(text, safe=safe)


def path_segment(model: str, safe: str = "@:") -> str:
    """A model's name as one segment of a path; ``@`` and ``:``, which separate versions, are not encoded by default.

    Raises:
        InvalidRequestError: as a segment, the name would change the path.
    """
    if model in (".", ".."):
        raise InvalidRequestError("model: '.' and '..' are no names of models in a URL", param="model")
    return quoted(model, safe)


# --- replies ----------------------------------------------------------------------------------------------------------


def unix_seconds(moment: object) -> float | None:
    """An ISO 8601 time as Unix seconds; one without a zone is in UTC, and a number is Unix seconds."""
    if isinstance(moment, (int, float)):
        return optional_int(moment)
    try:
        found = datetime.fromisoformat(optional_str(moment) or "")
        return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def set_cost(usage: Usage | None) -> None:
    """Sets the cost from xAI's `cost_in_usd_ticks`, unless the usage has a cost or the ticks cannot be read.

    Azure reports 0 ticks when it serves xAI's models, because it does not count them.
    """
    if usage is None or usage.cost is not None or not usage.extra:
        return
    ticks = optional_float(usage.extra.get("cost_in_usd_ticks"))
    if ticks and math.isfinite(ticks):
        usage.cost = ticks / _TICKS_PER_DOLLAR


_TICKS_PER_DOLLAR = 10_000_000_000


# --- errors -----------------------------------------------------------------------------------------------------------


EMPTY_EVENTS = frozenset((b"", b"null"))
"""Data of events that have no meaning; some servers send them as a sign of life."""


def as_text(body: bytes) -> str:
    """Bytes as text for error messages."""
    return body.decode("utf-8", "replace")


def loads_or_none(data: bytes) -> Any:
    """The JSON value, or None for bytes that are not JSON."""
    try:
        return json.loads(data)
    except NotJSONError:
        return None


def error_without_details(response: HttpResponse, request_id_header: str) -> APIError:
    """The exception for a bad status whose body does not have the provider's error format; the status gives its class.

    Gateways answer in formats of their own; what such a body reports is kept.
    """
    reported = read_error(loads_or_none(response.body))
    cls = APIResponseError if 300 <= response.status < 400 else class_for_status(response.status)
    return cls(
        reported.message or message_of_text(response),
        param=reported.param,
        status_code=response.status,
        code=reported.code,
        type=reported.type,
        request_id=response.headers.get(request_id_header) or reported.request_id,
        headers=response.headers,
        body=as_text(response.body),
    )


def message_of_text(response: HttpResponse) -> str:
    """The message for a bad status whose body reports nothing: the title of a web page, or the text's beginning."""
    title = page_title(response.body)
    text = as_text(response.body)[:200].strip() if title is None else title or "a web page"
    return f"HTTP {response.status}: {text}" if text else f"HTTP {response.status}"


def unreadable_reply(problem: str, response: HttpResponse, request_id_header: str) -> APIResponseError:
    """The exception for a good status whose body does not have the format's shape."""
    return APIResponseError(
        problem,
        status_code=response.status,
        request_id=response.headers.get(request_id_header),
        headers=response.headers,
        body=as_text(response.body)[:2048],
        maybe_billed=True,
    )
