"""Parses the arguments of the client's methods: keywords → request parameters and call options."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, cast

from .._boundary import UsageError
from ..options import NO_OPTIONS, CallOptions, OptionValues, Secret
from ..records import ChatRequest
from .param_checks import PARAM_CHECKS
from .request_checks import build_request
from .values import is_instance_strict

OPTION_NAMES = frozenset(CallOptions.__annotations__)


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
    if not keywords:
        return NO_OPTIONS
    for name in keywords:
        if name in PARAM_CHECKS or name in ("model", "messages"):
            text = f"pass {name}= to create, or to ChatRequest"
            raise UsageError(f"{name!r} belongs to the request, not to how it is sent; {text}")
    _, options = split_keywords(keywords)
    return OptionValues(options) if options else NO_OPTIONS


def split_keywords(keywords: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Keywords of `create` as (wire parameters, call options); values of None are left out.

    Raises:
        TypeError: an unknown keyword; the text has what to write instead.
    """
    params: dict[str, Any] = {}
    options: dict[str, Any] = {}
    for name, value in keywords.items():
        if name in PARAM_CHECKS:
            if value is not None:
                params[name] = value
        elif name in OPTION_NAMES:
            if value is not None:
                # A key is hidden at once, so that no frame below shows it.
                options[name] = _hidden(value) if name == "api_key" else value
        else:
            raise UsageError(unknown_keyword(name))
    return params, options


def is_keyword(name: object) -> bool:
    """Whether it is the name of a parameter or a call option."""
    return name in PARAM_CHECKS or name in OPTION_NAMES


def _hidden(key: Any) -> Any:
    """A key, or keys by provider, with texts as `Secret`s; a subclass's `__str__` is not run."""
    if isinstance(key, Mapping):
        return {name: _hidden(value) for name, value in cast("Mapping[Any, Any]", key).items()}
    return Secret(str.__str__(key)) if is_instance_strict(key, str) else key


def unknown_keyword(name: str) -> str:
    """The error text for an unknown keyword of a call: what to write instead, or the closest known name."""
    from .keyword_hints import unknown_keyword as text_for  # noqa: PLC0415 (only for an error)

    return text_for(name, (*PARAM_CHECKS, *OPTION_NAMES, "stream", "model", "messages"))


def unknown_run_keyword(name: str, own: Iterable[str], unused: Collection[str]) -> str:
    """The same for a tool run, which has keywords of its `own` and does not have those that are `unused`."""
    from .keyword_hints import unknown_run_keyword as text_for  # noqa: PLC0415 (only for an error)

    known = [each for each in (*PARAM_CHECKS, *OPTION_NAMES, "model", "messages") if each not in unused]
    return text_for(name, own, known)


def check_client_arguments(given: Iterable[str], known: Collection[str]) -> None:
    """Checks the names of arguments that a client was given.

    Raises:
        TypeError: an unknown one; the text has what to write instead.
    """
    for name in given:
        if name not in known:
            from .keyword_hints import unknown_client_argument  # noqa: PLC0415 (only for an error)

            raise UsageError(unknown_client_argument(name, known, {*PARAM_CHECKS, *OPTION_NAMES, "model", "messages"}))
