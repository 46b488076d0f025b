"""Channels through which secrets leak: the ways in which errors and objects are turned into text."""

from __future__ import annotations

import base64
import copy
import inspect
import io
import json
import logging
import pickle
import pprint
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from types import FrameType, FunctionType, MethodType, ModuleType, TracebackType
from typing import Any

import attrs

_PIECE = 12
"""Number of characters at either end of a secret that count as a leak."""


def found(secret: str, text: str) -> list[str]:
    """The parts of a secret that a text contains."""
    parts = {
        "all of it": secret,
        "its base64": base64.b64encode(secret.encode()).decode().rstrip("=")[:-1],
        "its prefix": secret[:_PIECE],
        "its suffix": secret[-_PIECE:],
    }
    return [name for name, part in parts.items() if part in text]


def chain(error: BaseException) -> Iterator[BaseException]:
    """The error and all errors that a traceback prints with it."""
    seen: dict[int, BaseException] = {}
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in seen:
            continue
        seen[id(each)] = each
        yield each
        waiting += [each.__cause__, each.__context__]
        if isinstance(each, BaseExceptionGroup):
            waiting += each.exceptions


def frames(error: BaseException) -> Iterator[FrameType]:
    """All frames of the tracebacks of the chain."""
    for each in chain(error):
        for frame, _ in traceback.walk_tb(each.__traceback__):
            yield frame


# --- channels of errors --------------------------------------------------------------------------------------------


def _with_locals(error: BaseException) -> str:
    return "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())


def _logged(error: BaseException) -> str:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(message)s %(args)s"))
    log = logging.Logger("app")
    log.addHandler(handler)
    log.exception("failed: %s %r", error, error, exc_info=error)
    return stream.getvalue()


def _pickled(error: BaseException) -> str:
    return "".join(pickle.dumps(error, protocol).decode("latin-1") for protocol in range(pickle.HIGHEST_PROTOCOL + 1))


def _copied(error: BaseException) -> str:
    return "".join(repr((each, vars(each), each.args)) for each in (copy.copy(error), copy.deepcopy(error)))


def _inspected(error: BaseException) -> str:
    seen: list[str] = []
    for each in chain(error):
        if each.__traceback__ is not None:
            for info in inspect.getinnerframes(each.__traceback__):
                seen += [f"{name}={value!r}" for name, value in info.frame.f_locals.items()]
    return "\n".join(seen)


def _reported(error: BaseException) -> str:
    """Content of a crash report: the local variables of every frame, containers expanded, leaves by their repr."""
    return "\n".join(leaf for frame in frames(error) for leaf in _leaves(dict(frame.f_locals)))


def _leaves(value: object, depth: int = 6) -> Iterator[str]:
    if depth and isinstance(value, Mapping):
        for name, item in list(value.items()):
            yield repr(name)
            yield from _leaves(item, depth - 1)
    elif depth and isinstance(value, (Sequence, Set)) and not isinstance(value, (str, bytes, bytearray, memoryview)):
        for item in list(value):
            yield from _leaves(item, depth - 1)
    else:
        yield repr(value)


def as_json(value: object) -> str:
    """All attributes as JSON; values that are not JSON-serializable by their repr."""
    return json.dumps(_members(value), default=repr, skipkeys=True)


def _members(value: object) -> dict[str, Any]:
    kind: Any = type(value)
    if attrs.has(kind):
        return {field.name: getattr(value, field.name) for field in attrs.fields(kind)}
    return dict(getattr(value, "__dict__", {}))


def reachable(root: object, *, masked: tuple[type, ...] = ()) -> str:
    """All text reachable through attributes, slots, items and elements, but not through functions and frames.

    Values of the types `masked` are included by their repr.
    """
    seen: dict[int, object] = {}
    texts: list[str] = []
    waiting: list[object] = [root]
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen[id(value)] = value
        if isinstance(value, masked):
            texts.append(repr(value))
        elif isinstance(value, str):
            texts.append(str.__str__(value))
        elif isinstance(value, (bytes, bytearray)):
            texts.append(bytes(value).decode("latin-1"))
        else:
            texts.append(repr(value))
            waiting += _parts(value)
    return "\n".join(texts)


_NOT_EXPANDED = (type, ModuleType, FunctionType, MethodType, FrameType, TracebackType)


def _parts(value: object) -> Iterator[object]:
    if isinstance(value, _NOT_EXPANDED):
        return
    if isinstance(value, Mapping):
        for pair in list(value.items()):
            yield from pair
    elif isinstance(value, (list, tuple, set, frozenset)):
        yield from list(value)
    if isinstance(value, BaseException):
        yield from (value.args, value.__cause__, value.__context__)
    yield from list(getattr(value, "__dict__", {}).values())
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if hasattr(value, name):
                yield getattr(value, name)


CHANNELS: Mapping[str, Callable[[BaseException], str]] = {
    "str": str,
    "repr": repr,
    "format": lambda error: f"{error} {error!s} {error!a}",
    "args": lambda error: repr(error.args) + "".join(map(str, error.args)),
    "vars": lambda error: repr(vars(error)),
    "traceback": lambda error: "".join(traceback.format_exception(error)),
    "traceback with locals": _with_locals,
    "logging.exception": _logged,
    "pickle": _pickled,
    "copies": _copied,
    "json": as_json,
    "pprint": lambda error: pprint.pformat(vars(error)) + pprint.pformat([error, error.args]),
    "inspect": _inspected,
    "crash report": _reported,
    "reachable": reachable,
}
"""Channel → function that returns the text of an error in it."""


def leaks(error: BaseException, secret: str) -> list[str]:
    """Channels through which an error or one of its chain leaks a secret, and local variables that contain it."""
    channels = [
        f"{name} of {type(each).__name__}: {', '.join(pieces)}"
        for name, channel in CHANNELS.items()
        for each in chain(error)
        if (pieces := found(secret, channel(each)))
    ]
    return [*channels, *_variables(error, secret)]


def _variables(error: BaseException, secret: str) -> Iterator[str]:
    for frame in frames(error):
        for name, value in frame.f_locals.items():
            if any(found(secret, leaf) for leaf in _leaves(value)):
                yield f"{frame.f_code.co_filename}, {frame.f_code.co_name}: {name}"


DUMPS: Mapping[str, Callable[[Any], str]] = {
    "str": str,
    "repr": repr,
    "format": lambda value: f"{value} {[value]} { ({'x': value}) }",
    "vars": lambda value: repr(getattr(value, "__dict__", "")),
    "attributes": lambda value: repr(_members(value)),
    "pprint": lambda value: pprint.pformat(value) + pprint.pformat(_members(value)),
    "json": lambda value: json.dumps([value], default=repr),
    "log": lambda value: logging.LogRecord("x", 10, "x", 1, "%s %r", (value, value), None).getMessage(),
}
"""Way to print an object → function that returns its text."""
