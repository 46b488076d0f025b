"""The fields that the endpoint's callers may use, at every level of a body; a body never has options of a call.

Below the top level, messages, parts and tools may have OpenAI's fields and types. Others make providers run tools of
their own, fetch from other servers, read files of the account or bill for more, so that the service must name them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, TypeAlias, cast

import attrs

from .. import CallOptions, CreateParams, InvalidRequestError, Params, supported_params
from ..errors import printable
from .refusals import refuse

_PARAMS = frozenset(Params.__annotations__)
_OPTIONS = frozenset(CallOptions.__annotations__)

NEEDS_PERMISSION = frozenset(("web_search_options",))
"""OpenAI's fields that must be named all the same, because the provider bills for what they do."""

FIELDS = (_PARAMS | {"model", "messages", "stream"}) - NEEDS_PERMISSION
"""Fields of a body that need no name."""

FieldTree: TypeAlias = "Mapping[str, FieldTree | None]"
"""The known fields of an object → those of their own values, or None for values that are not looked into."""


def _fields(names: str, **inner: FieldTree) -> FieldTree:
    return {**dict.fromkeys(names.split()), **inner}


_MESSAGE = _fields(
    "role content name tool_call_id tool_calls function_call refusal audio annotations reasoning_content"
    " thinking_blocks reasoning_details cache_control",
    function_call=_fields("name arguments"),
)
_PARTS: Mapping[str, FieldTree] = {
    "text": _fields("type text cache_control"),
    "image_url": _fields("type cache_control", image_url=_fields("url detail format")),
    "input_audio": _fields("type cache_control", input_audio=_fields("data format")),
    "file": _fields("type cache_control", file=_fields("file_data filename format")),
    "refusal": _fields("type refusal"),
}
_CALL = _fields(
    "id type index extra_content cache_control", function=_fields("name arguments"), custom=_fields("name input")
)
_CALLS: Mapping[str, FieldTree] = {"function": _CALL, "custom": _CALL}
_THINKING: Mapping[str, FieldTree] = {
    "thinking": _fields("type thinking signature"),
    "redacted_thinking": _fields("type data"),
}
_FUNCTION = _fields("name description parameters strict")
_TOOLS: Mapping[str, FieldTree] = {
    "function": _fields("type cache_control", function=_FUNCTION),
    "custom": _fields("type cache_control", custom=_fields("name description format")),
}
_TIERS = ("auto", "default", "flex")
"""Service tiers that do not cost more than the default."""

_URLS = {"image_url": "url", "file": "file_data", "input_audio": "data"}
"""Type of a part → the field of its object that may be a URL; of other types whose names end in ``_url``, `url`."""

_DATA = ("file", "input_audio")
"""Types of parts whose field may be base64 in place of a URL."""

_SCHEMES = ("https", "http", "data")
"""Schemes of URLs for which no credentials of the account, and no files of the provider's machine, are used."""

_CONTROL_AND_SPACE = "".join(map(chr, range(33)))

_MAX_SHOWN_NAME = 100


@attrs.frozen
class FieldRules:
    """What a body may contain."""

    extra: frozenset[str]
    """Names of further fields, and of further types, tiers and schemes of URLs, at any level."""
    ignores_unknown: bool
    """Whether unknown fields are left out instead of refused."""
    max_n: int
    max_tokens: int | None

    @classmethod
    def of(cls, extra_fields: Collection[str], max_n: int, max_tokens: int | None) -> FieldRules:
        """The rules that `chat_completions_app` documents.

        Raises:
            ValueError: `extra_fields` is another text, or a name in it is one of OpenAI's.
        """
        names = () if isinstance(extra_fields, str) else extra_fields
        if isinstance(extra_fields, str) and extra_fields not in ("refuse", "ignore"):
            raise ValueError(f"extra_fields must be 'refuse', 'ignore' or names, got {extra_fields!r}")
        if known := FIELDS & frozenset(names):
            raise ValueError(f"extra_fields: {min(known)!r} is one of OpenAI's fields, and allowed already")
        return cls(frozenset(names), extra_fields == "ignore", max_n, max_tokens)

    def read(self, body: dict[str, Any]) -> tuple[str, list[Any], bool, CreateParams]:
        """Model, messages, whether to stream, and the other keywords of the client's call.

        Fields that are null count as missing.

        Raises:
            RequestRefused: 400, with the invalid field.
        """
        body = {name: value for name, value in body.items() if value is not None}
        self._check_names(body, dict.fromkeys(FIELDS), "")
        model, messages, stream = body.get("model"), body.get("messages"), body.get("stream", False)
        if not isinstance(model, str):
            refuse(400, "model: expected a string such as 'openai/gpt-4o'", "model")
        if not isinstance(messages, list):
            refuse(400, "messages: expected a list of messages", "messages")
        if not isinstance(stream, bool):
            refuse(400, "stream: expected true or false", "stream")
        self._check_messages(cast("list[Any]", messages))
        self._check_types(body.get("tools"), _TOOLS, "tools")
        self._check_list(body.get("functions"), _FUNCTION, "functions")
        if isinstance(prediction := body.get("prediction"), dict):
            self._check_types(cast("dict[str, Any]", prediction).get("content"), _PARTS, "prediction.content")
        tier: object = body.get("service_tier", "auto")
        if isinstance(tier, str) and tier not in _TIERS and tier not in self.extra:
            refuse(400, f"service_tier: must be one of {', '.join(_TIERS)} here", "service_tier")
        params: dict[str, Any] = {name: value for name, value in body.items() if name in _PARAMS}
        self._check_cost(model, params)
        if extra := {name: body[name] for name in self.extra - _PARAMS if name in body}:
            params["extra_body"] = extra
        return model, cast("list[Any]", messages), stream, cast("CreateParams", params)

    def _check_cost(self, model: str, params: dict[str, Any]) -> None:
        """Refuses what is more than a caller may ask for; sets the limit of tokens where the caller gives none."""
        n, most = params.get("n"), self.max_tokens
        if isinstance(n, (int, float)) and n > self.max_n:
            refuse(400, f"n: must be at most {self.max_n} here", "n")
        if most is None:
            return
        thinking: object = params.get("thinking")
        budget = cast("dict[str, Any]", thinking).get("budget_tokens") if isinstance(thinking, dict) else None
        limits = {name: params.get(name) for name in ("max_tokens", "max_completion_tokens")}
        for name, value in {**limits, "thinking.budget_tokens": budget}.items():
            if isinstance(value, (int, float)) and value > most:
                refuse(400, f"{name}: must be at most {most} here", name)
        if not any(value is not None for value in limits.values()):
            params[_token_limit_of(model)] = most

    def _check_messages(self, messages: list[Any]) -> None:
        for i, message in enumerate(messages):
            if isinstance(message, dict):
                found = cast("dict[str, Any]", message)
                path = f"messages[{i}]"
                # Unknown fields of an earlier reply are the provider's, and clients send replies back as they got them.
                is_reply = found.get("role") == "assistant"
                self._check_names(found, _MESSAGE, path, ignore=is_reply)
                self._check_types(found.get("content"), _PARTS, f"{path}.content")
                self._check_types(found.get("tool_calls"), _CALLS, f"{path}.tool_calls", ignore=is_reply)
                self._check_types(found.get("thinking_blocks"), _THINKING, f"{path}.thinking_blocks", ignore=is_reply)

    def _check_list(self, items: object, known: FieldTree, path: str) -> None:
        for i, item in enumerate(cast("list[Any]", items) if isinstance(items, list) else []):
            if isinstance(item, dict):
                self._check_names(cast("dict[str, Any]", item), known, f"{path}[{i}]")

    def _check_types(self, items: object, known: Mapping[str, FieldTree], path: str, *, ignore: bool = False) -> None:
        """Checks objects whose `type` decides which fields they may have."""
        if not isinstance(items, list):
            return
        for i, item in enumerate(cast("list[Any]", items)):
            if not isinstance(item, dict):
                continue
            found = cast("dict[str, Any]", item)
            kind: object = found.get("type") or next((name for name in ("function", "custom") if found.get(name)), None)
            self._check_url(found, kind, f"{path}[{i}]")
            if isinstance(kind, str) and kind in self.extra:
                continue
            fields = known.get(kind) if isinstance(kind, str) else None
            if fields is None:
                param = f"{path}[{i}].type"
                refuse(400, f"{param}: must be one of {', '.join(known)} here", param, "unknown_parameter")
            self._check_names(found, fields, f"{path}[{i}]", ignore=ignore)

    def _check_url(self, part: dict[str, Any], kind: object, path: str) -> None:
        """Refuses a URL whose scheme is not known, and a path."""
        if not isinstance(kind, str):
            return
        field, inner = _URLS.get(kind, "url" if kind.endswith("_url") else None), cast("object", part.get(kind))
        url = cast("dict[str, Any]", inner).get(field or "") if isinstance(inner, dict) else inner
        if field is None or not isinstance(url, str) or (kind in _DATA and ":" not in url):
            return
        scheme = _scheme(url)
        if scheme not in _SCHEMES and scheme not in self.extra:
            param = f"{path}.{kind}.{field}"
            refuse(400, f"{param}: must be a URL with {', '.join(_SCHEMES)} here", param)

    def _check_names(self, found: dict[str, Any], known: FieldTree, path: str, *, ignore: bool = False) -> None:
        """Refuses unknown fields of an object, or removes them; null ones count as missing."""
        unknown = [name for name in found if name not in known and name not in self.extra]
        for name in unknown:
            refused = not path and name in _OPTIONS
            if found[name] is None or (not refused and (ignore or self.ignores_unknown)):
                del found[name]
                continue
            shown = printable(f"{path}{'.' if path else ''}{name[:_MAX_SHOWN_NAME]}")
            why = "is the service's to choose" if refused else "is not known here"
            refuse(400, f"{shown}: {why}", shown, "unknown_parameter")
        for name, inner in known.items():
            value: object = found.get(name)
            if inner is not None and isinstance(value, dict):
                self._check_names(cast("dict[str, Any]", value), inner, f"{path}.{name}", ignore=ignore)


def _scheme(url: str) -> str:
    """The scheme of a URL as providers' URL parsers read it, in lower case; "" for a path.

    They skip control characters and spaces at the start, and tabs and line ends anywhere.
    """
    scheme = url[: max(url.find(":"), 0)].lstrip(_CONTROL_AND_SPACE)
    return scheme.replace("\t", "").replace("\r", "").replace("\n", "").lower()


def _token_limit_of(model: str) -> str:
    """The parameter that limits the tokens of a model; OpenAI's reasoning models take only the newer one."""
    try:
        support = supported_params(model).get("max_completion_tokens")
    except InvalidRequestError:
        return "max_tokens"
    return "max_tokens" if support is None or support.support == "unsupported" else "max_completion_tokens"
