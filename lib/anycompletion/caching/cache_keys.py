"""Keys of stored replies: a hash of all that is sent, in one form for all ways to write the same request.

Everything counts that may change the reply, also fields that this package does not know. The key of the API never
counts, so a call with one of its own is only cached where a namespace separates it from those of others.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from hashlib import sha256
from typing import Any, cast

from ..codecs.json import as_plain_message, canonical, to_wire
from ..dialects.base import Target
from ..options import CallOptions
from ..params import NO_OP_VALUES
from ..records import ChatRequest
from ..redaction import is_credential

_VERSION = 1
"""Of the form that is hashed; raised when it changes, so that no old entry is found any more."""

_NO_PART_OF_KEY = frozenset(
    (
        *("stream_options", "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options"),
        *("service_tier", "metadata", "store"),
    )
)
"""Parameters that do not change the reply."""

_RECORDS = frozenset(("tools", "functions"))
"""Parameters whose values are records."""

_OWN_DEFAULTS = frozenset(("modalities",))
"""Parameters whose neutral value some models do not take for the default: they send images unless text is asked for."""

_EXACT = 2.0**53
"""Below this, a float without a fraction is exactly one integer."""

_TRACING_HEADERS = frozenset(
    (
        *("traceparent", "tracestate", "baggage", "x-amzn-trace-id", "x-cloud-trace-context", "b3"),
        *("x-request-id", "x-client-request-id", "x-correlation-id", "idempotency-key", "x-idempotency-key"),
        "user-agent",
    )
)
"""Headers that tell one request from another, and do not change the reply."""

_HEADER_OF_OPTION = {"organization": "openai-organization", "project": "openai-project"}


def reply_key(
    request: ChatRequest,
    options: CallOptions,
    target: Target,
    *,
    ignored: Collection[str] = (),
    vary: str | None = None,
) -> str:
    """The hash of a validated request and its destination, in hex.

    Args:
        request: the request; its messages and tools are records.
        options: the options of the call, which come before those that `target` has of its view and client.
        target: where the request goes.
        ignored: names of parameters and of fields of `extra_body` that do not count.
        vary: text that makes another key.
    """
    merged, headers = _extras(options, target)
    body = {
        name: _value(name, value)
        for name, value in request.given().items()
        if name not in _NO_PART_OF_KEY and name not in ignored and not _asks_for_nothing(name, value)
    }
    extra_body: dict[str, Any] = {**(request.extra_body or {}), **(merged.get("extra_body") or {})}
    if merged.get("fill_choices") is False and "n" in body:
        body["fill_choices"] = False
    hashed: tuple[Any, ...] = (
        _VERSION,
        (target.provider, target.base_url, target.model, target.extras.variant, target.path, target.api_version),
        target.on_unsupported,
        [as_plain_message(message) or to_wire(message) for message in cast("list[Any]", request.messages)],
        body,
        {name: _number(value) for name, value in extra_body.items() if name not in ignored},
        _without_credentials(merged.get("extra_query") or {}),
        headers,
        vary,
    )
    return sha256(canonical(hashed)).hexdigest()


def has_own_credentials(options: CallOptions, target: Target) -> bool:
    """Whether the call or its view has a key of its own, or a header or query parameter that may be one."""
    if target.own_key or options.get("api_key") is not None:
        return True
    merged, _ = _merged(options, target)
    return any(is_credential(name) for option in ("extra_headers", "extra_query") for name in merged.get(option) or ())


def _merged(options: CallOptions, target: Target) -> tuple[Mapping[str, Any], Mapping[str, str]]:
    """The options of the call and its view, and the headers of the provider."""
    inherited, headers = target.extras.reveal()
    return {**inherited.reveal(), **options}, headers


def _extras(options: CallOptions, target: Target) -> tuple[Mapping[str, Any], Mapping[str, str]]:
    """The options of the call and its view, and those of all headers that count, by their names in small letters."""
    merged, provider_headers = _merged(options, target)
    own = {header: merged[name] for name, header in _HEADER_OF_OPTION.items() if merged.get(name) is not None}
    headers = {
        name.lower(): str(value)  # the value as a plain text: some are of a type that hides it
        for given in (provider_headers, own, merged.get("extra_headers") or {})
        for name, value in given.items()
    }
    return merged, {
        name: value for name, value in _without_credentials(headers).items() if name not in _TRACING_HEADERS
    }


def _without_credentials(values: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in values.items() if not is_credential(name)}


def _asks_for_nothing(name: str, value: object) -> bool:
    return name in NO_OP_VALUES and name not in _OWN_DEFAULTS and value in NO_OP_VALUES[name]


def _value(name: str, value: Any) -> Any:
    return to_wire(value) if name in _RECORDS else _number(value)


def _number(value: Any) -> Any:
    """A number without a fraction as an integer; all else as it is."""
    return int(value) if type(value) is float and value.is_integer() and abs(value) < _EXACT else value
