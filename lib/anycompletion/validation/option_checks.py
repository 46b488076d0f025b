"""The call options' checks, as data: clocks, headers, keys; nothing here is a field of the request."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any, cast

import attrs

from ..options import DefaultSeconds, OnUnsupported, Secret, Timeout
from .values import (
    CONTROL,
    SURROGATE,
    Check,
    check_flag,
    check_integer,
    check_object,
    check_string,
    failure,
    is_instance_strict,
    refuse,
    to_builtin,
    type_name,
)

RESERVED_BODY = frozenset({"model", "messages", "stream"})
"""Members of the body that `extra_body` must not replace."""

_FOREVER = 1e9
"""Seconds, more than thirty years; clocks cannot count to every number."""

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FRAMING_HEADERS = frozenset({"host", "content-length", "transfer-encoding", "connection"})


def extra_body(value: Any, param: str) -> Any:
    """Fields only the provider has; they may not replace model, messages or stream."""
    body = check_object(value, param)
    for name in body:
        if name in RESERVED_BODY:
            refuse(f"{param}.{name}", f"pass {name} as an argument instead")
    return body


def seconds(value: Any, param: str) -> Any:
    """A positive number of seconds; infinity (and whatever is as good as it) means no limit."""
    number = to_builtin(value)
    if type(number) is not int and type(number) is not float:
        refuse(param, f"expected seconds or a Timeout, found {type_name(value)}")
    if not number > 0:
        refuse(param, "must be more than 0 seconds")
    if number >= _FOREVER:
        return None
    return value if type(value) is DefaultSeconds else number


def timeout(value: Any, param: str) -> Timeout:
    """A `Timeout`; a number is the total."""
    if not is_instance_strict(value, Timeout):
        return Timeout(total=seconds(value, param))
    given = {clock: getattr(value, clock) for clock in ("total", "connect", "first_chunk", "idle")}
    checked = {clock: None if limit is None else seconds(limit, f"{param}.{clock}") for clock, limit in given.items()}
    return value if all(checked[clock] is given[clock] for clock in given) else attrs.evolve(value, **checked)


def headers(value: Any, param: str) -> dict[str, str]:
    """Header names and values that cannot smuggle anything."""
    if not isinstance(value, Mapping):
        refuse(param, f"expected a dict, found {type_name(value)}")
    out: dict[str, str] = {}
    for key, text in cast("Mapping[Any, Any]", value).items():
        name = to_builtin(key)
        if type(name) is not str or not _TOKEN.fullmatch(name):
            refuse(param, "has a name that is no header name")
        if name.lower() in _FRAMING_HEADERS:
            refuse(f"{param}.{name}", "is set by the transport")
        out[name] = header_value(text, f"{param}.{name}")
    return out


def header_value(value: Any, param: str) -> str:
    """Text that may stand in a header."""
    text: str = check_string(value, param)
    if CONTROL.search(text.replace("\t", " ")):
        refuse(param, "holds a control character")
    if any(ord(char) > 255 for char in text):
        refuse(param, "holds a character outside Latin-1")
    return text.strip()


def _query(value: Any, param: str) -> dict[str, str]:
    if not isinstance(value, Mapping):
        refuse(param, f"expected a dict, found {type_name(value)}")
    query: dict[str, str] = {}
    for key, text in cast("Mapping[Any, Any]", value).items():
        name = _url_text(key, param)
        query[name] = _url_text(text, f"{param}.{name}")
    return query


def _url_text(value: Any, param: str) -> str:
    text: str = check_string(value, param)
    if SURROGATE.search(text):
        refuse(param, "holds a lone surrogate, which UTF-8 cannot say")
    return text


def check_key(value: Any, param: str) -> Any:
    """What is a key, or gives one."""
    if not is_instance_strict(value, str) and not is_instance_strict(value, Secret) and not callable(value):
        refuse(param, f"expected a string, a Secret or an async function, found {type_name(value)}")
    return to_builtin(value)


def _policy(value: Any, param: str) -> OnUnsupported:
    policy: Any = to_builtin(value)
    if type(policy) is not str or policy not in ("raise", "warn", "drop"):
        refuse(param, "expected 'raise', 'warn' or 'drop'")
    return cast("OnUnsupported", policy)  # pyright: ignore[reportUnnecessaryCast]  # mypy does not narrow texts


def _observer(value: Any, param: str) -> Any:
    if not callable(value):
        refuse(param, f"expected a function, found {type_name(value)}")
    if inspect.iscoroutinefunction(value):
        refuse(param, "is async, and nobody would await it")
    return value


_OPTION_CHECKS: Mapping[str, Check] = {
    "provider": check_string,
    "timeout": timeout,
    "max_retries": check_integer(0, 100),
    "on_unsupported": _policy,
    "extra_body": extra_body,
    "extra_headers": headers,
    "extra_query": _query,
    "api_key": check_key,
    "base_url": check_string,
    "api_version": header_value,
    "organization": header_value,
    "project": header_value,
    "forceTimeout": timeout,
    "force_timeout": timeout,
    "azure": check_flag,
    "logger_fn": _observer,
    "verbose": check_flag,
}


def call_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Checked options under one name each: LiteLLM's `force_timeout` becomes `timeout`, `azure` becomes `provider`.

    Raises:
        InvalidRequestError: a value nobody can mean, or two names for the same thing.
    """
    checked: dict[str, Any] = {}
    for name, value in options.items():
        try:
            checked[name] = _OPTION_CHECKS[name](value, name)
        except Exception as fault:  # noqa: BLE001 (the caller's own types may fail in any way)
            text = failure(fault)
        else:
            continue
        refuse(name, text)
    clocks = [name for name in ("timeout", "forceTimeout", "force_timeout") if name in checked]
    if len(clocks) > 1:
        refuse(clocks[1], f"means the same as {clocks[0]}; give one of them")
    if clocks and clocks[0] != "timeout":
        checked["timeout"] = checked.pop(clocks[0])
    if checked.pop("azure", False) and checked.setdefault("provider", "azure") != "azure":
        refuse("azure", f"contradicts provider={checked['provider']!r}")
    return checked
