"""Parses the arguments of the client's methods: keywords → request parameters and call options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._boundary import UsageError
from ..options import NO_OPTIONS, CallOptions, OptionValues, Secret
from ..records import ChatRequest
from .param_checks import PARAM_CHECKS
from .request_checks import build_request
from .values import is_instance_strict

OPTION_NAMES = frozenset(CallOptions.__annotations__)

_MAX_SHOWN_KEYWORD = 100


def parse_call(model: object, messages: object, keywords: Mapping[str, Any]) -> tuple[ChatRequest, OptionValues]:
    """The arguments of `create` as a validated request and its call options.

    The options are not checked yet: `check_option_values` does that when they are merged into the client's defaults.

    Raises:
        InvalidRequestError: `.param` names the parameter and the place in it.
        TypeError: an unknown keyword, or model and messages are swapped.
    """
    params, options = split_keywords(keywords)
    request = build_request(model, messages, params)
    return request, OptionValues(options) if options else NO_OPTIONS


def parse_options(keywords: Mapping[str, Any]) -> OptionValues:
    """Keywords as call options that are not checked yet.

    Raises:
        TypeError: an unknown keyword, or one that belongs to the request.
    """
    params, options = split_keywords(keywords)
    if params:
        raise UsageError(f"{next(iter(params))!r} belongs to the request, not to how it is sent")
    return OptionValues(options) if options else NO_OPTIONS


def split_keywords(keywords: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Keywords of `create` as (wire parameters, call options); values of None are left out.

    Raises:
        TypeError: an unknown keyword, naming the closest known one.
    """
    params: dict[str, Any] = {}
    options: dict[str, Any] = {}
    for name, value in keywords.items():
        if name in PARAM_CHECKS:
            if value is not None:
                params[name] = value
        elif name in OPTION_NAMES:
            if value is not None:
                # A key is hidden at once, so that no frame below shows it; a subclass's `__str__` is not run.
                options[name] = (
                    Secret(str.__str__(value)) if name == "api_key" and is_instance_strict(value, str) else value
                )
        else:
            raise UsageError(unknown_keyword(name))
    return params, options


def unknown_keyword(name: str) -> str:
    """The error text for an unknown keyword."""
    import difflib  # noqa: PLC0415 (only for an error; it costs an import 1 ms)

    if len(name) > _MAX_SHOWN_KEYWORD:
        return f"unknown keyword of {len(name)} characters"
    if name == "stream":
        return "'stream' goes to create and send only: stream() always streams, attempt() never does"
    close = difflib.get_close_matches(name, [*PARAM_CHECKS, *OPTION_NAMES, "stream", "model", "messages"], 1)
    hint = f"did you mean {close[0]!r}?" if close else "a field only the provider has goes into extra_body={...}"
    return f"unknown keyword {name!r}; {hint}"
