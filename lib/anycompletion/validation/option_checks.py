"""The checks of call options and keys, as data: timeouts, headers, keys; none of these is a field of the request."""

from __future__ import annotations

import string
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

import attrs

from .._async import is_async_function
from ..options import DefaultSeconds, EnvKey, Key, OnUnsupported, OptionValues, Secret, Timeout
from .values import (
    CONTROL,
    SURROGATE_ERROR,
    Check,
    check_flag,
    check_integer,
    check_object,
    check_string,
    describe_or_reraise,
    has_surrogate,
    is_instance_strict,
    refuse,
    to_builtin,
    type_name,
)

if TYPE_CHECKING:
    from ..cache_control import CacheControl

RESERVED_BODY = frozenset({"model", "messages", "stream"})
"""Fields of the body that `extra_body` must not replace."""

_UNLIMITED = 1e9
"""Seconds, more than thirty years, from which on a timeout means no limit: event loops cannot schedule every number."""

# Sets and no patterns: compiling these would add more to the first call than the checks themselves.
_HEADER_CHARACTERS = frozenset(f"{string.ascii_letters}{string.digits}!#$%&'*+.^_`|~-")
_PROVIDER_CHARACTERS = frozenset(f"{string.ascii_lowercase}{string.digits}._-")
_LONGEST_PROVIDER = 64
"""Characters."""

_BODY_HEADERS = frozenset({"content-length", "content-encoding", "transfer-encoding", "expect", "trailer"})
_FRAMING_HEADERS = _BODY_HEADERS | {"host", "connection", "te", "upgrade"}


def parse_keys(keys: Mapping[str, object], param: str) -> dict[str, Key]:
    """Provider name → key, with texts as `Secret`s; keys that are None are left out.

    Raises:
        InvalidRequestError: a name is not a provider's, or a value cannot be a key.
    """
    for name in keys:
        if not is_instance_strict(name, str) or not is_provider_name(name):
            refuse(param, "has a name that is no provider's; is a key where the name should be?")
    checked = {name: check_key(key, f"{param}[{name!r}]") for name, key in keys.items() if key is not None}
    return {name: Secret(key) if isinstance(key, str) else key for name, key in checked.items()}


def is_provider_name(name: str) -> bool:
    """Whether a text can be a provider's name: a short one of lower-case letters, digits, '-', '_' and '.'."""
    return (
        name[:1] not in ("", ".", "_", "-") and len(name) <= _LONGEST_PROVIDER and _PROVIDER_CHARACTERS.issuperset(name)
    )


def check_option_values(options: OptionValues) -> OptionValues:
    """`check_options` of options whose repr hides the values.

    Raises:
        InvalidRequestError: an invalid value, or two names for the same thing.
    """
    return OptionValues(check_options(options.reveal()))


def check_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Checked options under one name each: LiteLLM's `force_timeout` becomes `timeout`, `azure` becomes `provider`.

    Raises:
        InvalidRequestError: an invalid value, or two names for the same thing.
    """
    checked: dict[str, Any] = {}
    for name, value in options.items():
        try:
            checked[name] = _OPTION_CHECKS[name](value, name)
        except Exception as error:  # noqa: BLE001 (the caller's own types may fail in any way)
            text = describe_or_reraise(error)
        else:
            continue
        refuse(name, text)
    timeouts = [name for name in ("timeout", "forceTimeout", "force_timeout") if name in checked]
    if len(timeouts) > 1:
        refuse(timeouts[1], f"means the same as {timeouts[0]}; give one of them")
    if timeouts and timeouts[0] != "timeout":
        checked["timeout"] = checked.pop(timeouts[0])
    if checked.pop("azure", False) and checked.setdefault("provider", "azure") != "azure":
        refuse("azure", f"contradicts provider={checked['provider']!r}")
    return checked


def check_timeout(value: Any, param: str) -> Timeout:
    """A `Timeout`; a number is the total."""
    if not is_instance_strict(value, Timeout):
        return Timeout(total=_seconds(value, param))
    given = {name: getattr(value, name) for name in ("total", "connect", "first_chunk", "idle")}
    checked = {name: None if limit is None else _seconds(limit, f"{param}.{name}") for name, limit in given.items()}
    return value if all(checked[name] is given[name] for name in given) else attrs.evolve(value, **checked)


def check_cache(value: Any, param: str) -> CacheControl:
    """A `CacheControl`; a text is its mode."""
    from ..cache_control import CacheControl  # noqa: PLC0415 (few programs have a cache)

    if is_instance_strict(value, CacheControl):
        return value
    mode: Any = to_builtin(value)
    if type(mode) is not str:
        refuse(param, f"expected 'use', 'refresh', 'skip', 'only' or a CacheControl, found {type_name(value)}")
    return CacheControl(cast("Any", mode))


def check_headers(value: Any, param: str) -> dict[str, str]:
    """Header names and values that cannot inject other headers or change the framing."""
    if not isinstance(value, Mapping):
        refuse(param, f"expected a dict, found {type_name(value)}")
    headers: dict[str, str] = {}
    for key, text in cast("Mapping[Any, Any]", value).items():
        name = to_builtin(key)
        if type(name) is not str or not name or not _HEADER_CHARACTERS.issuperset(name):
            refuse(param, "has a name that is no header name")
        if name.lower() in _FRAMING_HEADERS:
            refuse(f"{param}.{name}", "is set by the transport")
        headers[name] = check_header_value(text, f"{param}.{name}")
    return headers


def check_header_value(value: Any, param: str) -> str:
    """Text that is valid as the value of a header, without whitespace around it."""
    text: str = check_string(value, param)
    if CONTROL.search(text.replace("\t", " ")):
        refuse(param, "contains a control character")
    if any(ord(char) > 255 for char in text):
        refuse(param, "contains a character outside Latin-1")
    return text.strip()


def check_key(value: Any, param: str) -> Any:
    """A key (a string, a `Secret` or an `EnvKey`), or a function that returns one."""
    is_key = any(is_instance_strict(value, kind) for kind in (str, Secret, EnvKey))
    if not is_key and not callable(value):
        refuse(param, f"expected a string, a Secret, an EnvKey or a function, found {type_name(value)}")
    return to_builtin(value)


def _own_key(value: Any, param: str) -> Any:
    """A key, or keys by provider."""
    return (
        parse_keys(cast("Mapping[str, object]", value), param)
        if isinstance(value, Mapping)
        else check_key(value, param)
    )


def _seconds(value: Any, param: str) -> Any:
    """A positive number of seconds; None for infinity and other numbers from `_UNLIMITED` on."""
    number = to_builtin(value)
    if type(number) is not int and type(number) is not float:
        refuse(param, f"expected seconds or a Timeout, found {type_name(value)}")
    if not number > 0:
        refuse(param, "must be more than 0 seconds")
    if number >= _UNLIMITED:
        return None
    return value if type(value) is DefaultSeconds else number


def _extra_body(value: Any, param: str) -> Any:
    """Fields that only the provider has; they must not replace model, messages or stream."""
    body = check_object(value, param)
    for name in body:
        if name in RESERVED_BODY:
            refuse(f"{param}.{name}", f"pass {name} as an argument instead")
    return body


def _texts(value: Any, param: str) -> dict[str, str]:
    """Texts by name."""
    if not isinstance(value, Mapping):
        refuse(param, f"expected a dict, found {type_name(value)}")
    texts: dict[str, str] = {}
    for key, text in cast("Mapping[Any, Any]", value).items():
        name = _text(key, param)
        texts[name] = _text(text, f"{param}.{name}")
    return texts


def _text(value: Any, param: str) -> str:
    text: str = check_string(value, param)
    if has_surrogate(text):
        refuse(param, SURROGATE_ERROR)
    return text


def _policy(value: Any, param: str) -> OnUnsupported:
    policy: Any = to_builtin(value)
    if type(policy) is not str or policy not in ("raise", "warn", "drop"):
        refuse(param, "expected 'raise', 'warn' or 'drop'")
    return cast("OnUnsupported", policy)  # pyright: ignore[reportUnnecessaryCast]  # mypy does not narrow texts


def _observer(value: Any, param: str) -> Any:
    if not callable(value):
        refuse(param, f"expected a function, found {type_name(value)}")
    if is_async_function(value):
        refuse(param, "is async, and would never be awaited")
    return value


def _fallbacks(value: Any, param: str) -> Any:
    """A list of models and targets; each is checked where the route is made."""
    given: object = value
    if isinstance(given, (str, Mapping)) or not isinstance(given, Iterable):
        hint = f"; write a list: {param}=[...]" if isinstance(given, str) else ""
        refuse(param, f"expected a list of models and RouteTargets, found {type_name(value)}{hint}")
    return cast("object", value) if isinstance(given, (list, tuple)) else tuple(cast("Iterable[object]", given))


_OPTION_CHECKS: Mapping[str, Check] = {
    "provider": check_string,
    "timeout": check_timeout,
    "max_retries": check_integer(0, 100),
    "cache": check_cache,
    "fallbacks": _fallbacks,
    "tags": _texts,
    "fill_choices": check_flag,
    "keep_text": check_flag,
    "on_unsupported": _policy,
    "extra_body": _extra_body,
    "extra_headers": check_headers,
    "extra_query": _texts,
    "api_key": _own_key,
    "base_url": check_string,
    "api_version": check_header_value,
    "organization": check_header_value,
    "project": check_header_value,
    "forceTimeout": check_timeout,
    "force_timeout": check_timeout,
    "azure": check_flag,
    "logger_fn": _observer,
    "verbose": check_flag,
}
