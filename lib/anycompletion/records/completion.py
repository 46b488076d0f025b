"""Chat completions: choices, log probabilities and usage, in OpenAI's exact shape."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, cast

import attrs
from attrs import define

from ..codecs.lenient import (
    as_list,
    as_object,
    loads,
    optional_float,
    optional_int,
    optional_object,
    optional_str,
    unknown_fields,
)
from .base import JsonObject, Record, extra_field, field_names, hidden, nullable
from .logprobs import Logprobs
from .messages import ChatCompletionMessage
from .reply_info import ReplyInfo


@define(repr=False, eq=False)
class PromptTokensDetails(Record):
    """Parts of the prompt's tokens: read from or written to the cache, audio, and others that are not text."""

    cached_tokens: int | None = None
    """Tokens read from the provider's cache."""
    audio_tokens: int | None = None
    cache_write_tokens: int | None = None
    """Tokens written to the provider's cache."""
    image_tokens: int | None = None
    text_tokens: int | None = None
    extra: JsonObject = extra_field()


@define(repr=False, eq=False)
class CompletionTokensDetails(Record):
    """Parts of the completion's tokens: reasoning, audio and predictions, all included in the total."""

    reasoning_tokens: int | None = None
    """Tokens of reasoning."""
    audio_tokens: int | None = None
    accepted_prediction_tokens: int | None = None
    rejected_prediction_tokens: int | None = None
    text_tokens: int | None = None
    extra: JsonObject = extra_field()


@define(repr=False, eq=False)
class Usage(Record):
    """Token usage as counted by the provider; `None` is unknown, nothing is estimated."""

    prompt_tokens: int | None = None
    """Tokens of the request."""
    completion_tokens: int | None = None
    """Tokens of all choices."""
    total_tokens: int | None = None
    """Tokens of both."""
    prompt_tokens_details: PromptTokensDetails | None = None
    """Parts of `prompt_tokens`."""
    completion_tokens_details: CompletionTokensDetails | None = None
    """Parts of `completion_tokens`."""
    cost: float | None = None
    """US dollars, where the provider reports its charge; summed over branches."""
    extra: JsonObject = extra_field()

    @classmethod
    def from_dict(cls, data: object, path: str = "usage") -> Usage:
        """Reads OpenAI's JSON leniently, also the names of its Responses API (`input_tokens`)."""
        source = _with_chat_names(as_object(data, path))
        cost: object = source.get("cost")
        items = cast("JsonObject", cost) if isinstance(cost, dict) else None
        prompt = optional_object(source.get("prompt_tokens_details"))
        completion = optional_object(source.get("completion_tokens_details"))
        return cls(
            optional_int(source.get("prompt_tokens")),
            optional_int(source.get("completion_tokens")),
            optional_int(source.get("total_tokens")),
            None
            if prompt is None
            else PromptTokensDetails(
                **_counts(prompt, _PROMPT_FIELDS),
                extra=unknown_fields(prompt, _PROMPT_DETAILS),
            ),
            None
            if completion is None
            else CompletionTokensDetails(
                **_counts(completion, _COMPLETION_FIELDS),
                extra=unknown_fields(completion, _COMPLETION_DETAILS),
            ),
            _dollars(cast("object", cost) if items is None else items.get("total_cost", items.get("usd"))),
            # The items of a cost are kept in `extra`, which `to_dict` merges in.
            extra=unknown_fields(source, _USAGE if items is None else _USAGE_BUT_COST),
        )

    def __add__(self, other: Usage) -> Usage:
        """The sum of each field, where an unknown makes the sum unknown. `extra` cannot be summed and is left out."""
        return Usage.total_of((self, other))

    @classmethod
    def total_of(cls, usages: Sequence[Usage]) -> Usage:
        """The sum of one or more usages, where an unknown makes the sum unknown."""
        total: Usage = _total(usages)
        return total


def _with_chat_names(source: JsonObject) -> JsonObject:
    """The usage under the names of the chat API, where it has those of the Responses API alone."""
    if _RESPONSES_NAMES.keys().isdisjoint(source):
        return source
    renamed = source.copy()
    for name, chat in _RESPONSES_NAMES.items():
        if name in renamed and renamed.get(chat) is None:
            renamed[chat] = renamed.pop(name)
    return renamed


def _dollars(value: object) -> float | None:
    cost = optional_float(value)
    return cost if cost is not None and math.isfinite(cost) else None


def _counts(source: JsonObject, fields: tuple[str, ...]) -> dict[str, Any]:
    return {name: optional_int(source[name]) for name in fields if name in source}


def _decoded(raw: Any, raw_json: Any) -> Any:
    if isinstance(raw_json, bytes):
        return loads(raw_json)
    return raw if raw_json is None else [_decoded(*each) for each in raw_json]


def _total(records: Sequence[Any]) -> Any:
    total: dict[str, Any] = {}
    cls = cast("Any", type(records[0]))
    for name in _counted(cls):
        values = [getattr(record, name) for record in records]
        if all(value is not None for value in values):
            total[name] = _total(values) if isinstance(values[0], Record) else sum(values)
    return cls(**total)


@functools.cache
def _counted(cls: Any) -> tuple[str, ...]:
    return tuple(attribute.name for attribute in attrs.fields(cls) if attribute.name != "extra")


@define(repr=False, eq=False)
class Choice(Record):
    """One of the `n` choices of a reply."""

    index: int
    message: ChatCompletionMessage
    finish_reason: str | None = nullable()
    """stop, length, tool_calls, content_filter or function_call; other values pass unchanged."""
    logprobs: Logprobs | None = nullable()
    native_finish_reason: str | None = None
    """The provider's own finish reason, where it differs."""
    paused: bool = attrs.field(default=False, kw_only=True)
    """Whether the provider interrupted its own tools: append the message and ask again, and the reply goes on."""
    extra: JsonObject = extra_field()

    @classmethod
    def from_dict(cls, data: object, path: str = "choice", index: int = 0) -> Choice:
        """Reads OpenAI's JSON leniently; a choice without an index gets its position in the list."""
        source = as_object(data, path)
        logprobs = optional_object(source.get("logprobs"))
        known = _CHOICE_BUT_LOGPROBS if logprobs is None and source.get("logprobs") is not None else _CHOICE
        at = optional_int(source.get("index"))
        return cls(
            index if at is None else at,
            ChatCompletionMessage.from_dict(source.get("message") or {}, f"{path}.message"),
            optional_str(source.get("finish_reason")),
            None if logprobs is None else Logprobs.from_dict(logprobs),
            optional_str(source.get("native_finish_reason")),
            paused=source.get("paused") is True,
            extra=unknown_fields(source, known),
        )

    def to_dict(self) -> JsonObject:
        """OpenAI's JSON, where a message always has content and refusal."""
        out = super().to_dict()
        if not self.paused:
            del out["paused"]
        out["message"] = {"role": self.message.role, "content": None, "refusal": None} | out["message"]
        return out


_OWN_JSON = b""
"""In `_raw_json`: `raw` is the record's own JSON, which a stream's events add up to."""


@define(repr=False, eq=False)
class ChatCompletion(Record):
    """Chat completion: the whole reply to a request."""

    id: str
    choices: list[Choice]
    model: str
    created: int = 0
    """Unix seconds: the provider's value, else the time of its response; 0 in records that no call returned."""
    object: str = "chat.completion"
    usage: Usage | None = None
    service_tier: str | None = None
    system_fingerprint: str | None = None
    extra: JsonObject = extra_field()
    _raw: Any = hidden(default=None, repr=False, kw_only=True)
    _raw_json: bytes | list[tuple[Any, Any]] | None = hidden(default=None, repr=False, kw_only=True)
    """The provider's JSON as bytes, until `raw` is first used; `_raw` and `_raw_json` of each of several requests; or
    `_OWN_JSON`."""
    _info: ReplyInfo | None = hidden(default=None, repr=False, kw_only=True)

    @property
    def info(self) -> ReplyInfo:
        """Provider, request id, attempts, rate limits, warnings."""
        if self._info is None:
            self._info = ReplyInfo("", self.model)
        return self._info

    @info.setter
    def info(self, info: ReplyInfo) -> None:
        self._info = info

    @property
    def raw(self) -> Any:
        """The provider's own JSON; a list of several requests' JSON.

        For a stream, the JSON in OpenAI's format that its events add up to, with all fields that OpenAI does not
        document, made at the first use. None for a reply that no provider sent.
        """
        if self._raw_json == _OWN_JSON:
            self.raw = self.to_dict()
        elif self._raw_json is not None:
            self.raw = _decoded(self._raw, self._raw_json)
        return self._raw

    @raw.setter
    def raw(self, raw: Any) -> None:
        self._raw, self._raw_json = raw, None

    def keep_raw_json(self, data: bytes) -> None:
        """Sets `raw` to the JSON in these bytes, which are decoded at its first use."""
        self._raw_json = data

    def keep_own_json(self) -> None:
        """Sets `raw` to this record's own JSON, which is made at its first use."""
        self._raw_json = _OWN_JSON

    def keep_raw_of(self, parts: Sequence[ChatCompletion]) -> None:
        """Sets `raw` to the list of those of `parts`, which are decoded at its first use."""
        self._raw_json = [part._undecoded() for part in parts]  # noqa: SLF001

    def undecoded_raw(self) -> bytes | None:
        """The JSON of `raw`, where it is known as bytes: b"" for the record's own JSON; None where it is not."""
        return self._raw_json if isinstance(self._raw_json, bytes) else None

    def _undecoded(self) -> tuple[Any, Any]:
        return (self.raw, None) if self._raw_json == _OWN_JSON else (self._raw, self._raw_json)

    @property
    def message(self) -> ChatCompletionMessage:
        """The message of choice 0, or an empty one."""
        return self.choices[0].message if self.choices else ChatCompletionMessage()

    @property
    def text(self) -> str:
        """The content of choice 0, or ""."""
        return self.texts[0] if self.choices else ""

    @property
    def texts(self) -> list[str]:
        """The content of every choice, in order."""
        return [choice.message.content or "" for choice in self.choices]

    @classmethod
    def from_dict(cls, data: Any) -> ChatCompletion:
        """Reads OpenAI's JSON leniently.

        Raises:
            ShapeError: a field has a wrong type; the text names its path.
        """
        source = as_object(data, "completion")
        usage = optional_object(source.get("usage"))
        choices = source.get("choices")
        return cls(
            optional_str(source.get("id")) or "",
            [Choice.from_dict(item, f"choices[{i}]", i) for i, item in enumerate(as_list(choices, "choices"))],
            optional_str(source.get("model")) or "",
            optional_int(source.get("created")) or 0,
            optional_str(source.get("object")) or "chat.completion",
            None if usage is None else Usage.from_dict(usage),
            optional_str(source.get("service_tier")),
            optional_str(source.get("system_fingerprint")),
            extra=unknown_fields(source, _COMPLETION),
        )


# --- JSON fields that are attributes ---

_USAGE, _CHOICE = field_names(Usage), field_names(Choice)
_RESPONSES_NAMES = {
    "input_tokens": "prompt_tokens",
    "output_tokens": "completion_tokens",
    "input_tokens_details": "prompt_tokens_details",
    "output_tokens_details": "completion_tokens_details",
}
"""Field of a usage in the Responses API → in the chat API."""
_PROMPT_DETAILS, _COMPLETION_DETAILS = field_names(PromptTokensDetails), field_names(CompletionTokensDetails)
_PROMPT_FIELDS = tuple(a.name for a in attrs.fields(PromptTokensDetails) if a.name != "extra")
_COMPLETION_FIELDS = tuple(a.name for a in attrs.fields(CompletionTokensDetails) if a.name != "extra")
_USAGE_BUT_COST, _CHOICE_BUT_LOGPROBS = _USAGE - {"cost"}, _CHOICE - {"logprobs"}
_COMPLETION = field_names(ChatCompletion)
