"""Keys of stored replies: a hash of all that is sent, in one form for all ways to write the same request.

Everything counts that may change the reply, also fields that this package does not know. The key of the API never
counts, so a call with one of its own is only cached where a namespace separates it from those of others.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping
from hashlib import sha256
from typing import Any, cast

from ..codecs.json import as_plain_message, canonical, to_wire
from ..dialects.base import Target
from ..options import CallOptions
from ..params import NO_OP_VALUES
from ..records import ChatRequest, any_portable
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


class SentParts:
    """What options and the provider's row add to a request, as far as a key needs it; headers are kept as a hash."""

    __slots__ = ("_hash", "extra_body", "fill_choices", "has_credentials")

    def __init__(self, options: CallOptions, target: Target) -> None:
        """`options` are those of the call; those of its view and its client are in `target`.

        Raises:
            TypeError, ValueError: a header or query parameter is no text.
        """
        inherited, headers = target.extras.reveal()
        merged: dict[str, Any] = {**inherited.reveal(), **options}
        self.extra_body: Mapping[str, Any] = merged.get("extra_body") or {}
        self.fill_choices = merged.get("fill_choices") is not False
        self.has_credentials = any(
            is_credential(name) for given in ("extra_headers", "extra_query") for name in merged.get(given) or ()
        )
        """Whether a header or query parameter of the call or its view may be a key."""
        policy = merged.get("on_unsupported") or target.on_unsupported
        counted = (_VERSION, _place(target), policy, _counted_query(merged), _counted_headers(headers, merged))
        self._hash = sha256(canonical(counted))

    def hash_with(self, content: bytes) -> str:
        """The hash of these parts and a request's content, in hex."""
        whole = self._hash.copy()
        whole.update(content)
        return whole.hexdigest()


def _counted_headers(headers: Mapping[str, str], options: Mapping[str, Any]) -> dict[str, str]:
    """The headers that count, by their names in small letters."""
    counted: dict[str, str] = {}
    for given in (headers, _option_headers(options), options.get("extra_headers") or {}):
        for name, value in given.items():
            if header := _counted_name(name):
                counted[header] = str(value)  # as a plain text: some are of a type that hides it
    return counted


def _counted_query(options: Mapping[str, Any]) -> dict[str, str]:
    """The query parameters that count."""
    query: Mapping[str, str] = options.get("extra_query") or {}
    return {name: value for name, value in query.items() if not is_credential(name)}


@functools.lru_cache(256)
def _counted_name(header: str) -> str:
    """The name of a header in small letters; "" for one that does not count."""
    name = header.lower()
    return "" if name in _TRACING_HEADERS or is_credential(name) else name


def _option_headers(options: Mapping[str, Any]) -> dict[str, str]:
    return {header: options[name] for name, header in _HEADER_OF_OPTION.items() if options.get(name) is not None}


def reply_key(request: ChatRequest, sent: SentParts, *, ignored: Collection[str] = (), vary: str | None = None) -> str:
    """The hash of a validated request and its destination, in hex.

    Args:
        request: the request; its messages and tools are records.
        sent: what is added to it, and where it goes.
        ignored: names of parameters and of fields of `extra_body` that do not count.
        vary: text that makes another key.
    """
    body = {
        name: _value(name, value)
        for name, value in request.given().items()
        if name not in _NO_PART_OF_KEY and name not in ignored and not _asks_for_nothing(name, value)
    }
    if not sent.fill_choices and "n" in body:
        body["fill_choices"] = False
    extra_body: Mapping[str, Any] = request.extra_body or sent.extra_body
    if request.extra_body and sent.extra_body:
        extra_body = {**request.extra_body, **sent.extra_body}
    content = (
        [as_plain_message(message) or to_wire(message) for message in cast("list[Any]", request.messages)],
        body,
        {name: _number(value) for name, value in extra_body.items() if name not in ignored} if extra_body else {},
        vary,
    )
    return sent.hash_with(canonical(content))


def _place(target: Target) -> tuple[str | None, ...]:
    """Where a request goes; for a route, to any of its targets."""
    if target.route_digest is not None:
        return target.route, target.route_digest
    return target.provider, target.base_url, target.model, target.extras.variant, target.path, target.api_version


def _asks_for_nothing(name: str, value: object) -> bool:
    return name in NO_OP_VALUES and name not in _OWN_DEFAULTS and value in NO_OP_VALUES[name]


def _value(name: str, value: Any) -> Any:
    if name not in _RECORDS:
        return _number(value)
    # Tools made of functions are sent in each provider's form, which the same definition as a dict is not.
    return [to_wire(value), True] if any_portable(value) else to_wire(value)


def _number(value: Any) -> Any:
    """A number without a fraction as an integer; all else as it is."""
    return int(value) if type(value) is float and value.is_integer() and abs(value) < _EXACT else value
