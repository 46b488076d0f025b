"""The package's logger. Log records contain neither prompts nor replies nor keys.

Only what a tool of the caller wrote into an exception is logged as it is, at DEBUG.

A record's text is for people. Its details are attributes of the record, for handlers that write JSON: `ac_event`, and
`ac_provider`, `ac_model`, `ac_attempt`, `ac_status` …. Each name begins with ``ac_``, because `logging` refuses
attributes that a record has already, and apps put names such as `request_id` into every record by a record factory.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Mapping
from typing import cast

log = logging.getLogger("anycompletion")
log.addHandler(logging.NullHandler())  # without this, warnings of an app that configures no logging go to stderr


tools_log = logging.getLogger("anycompletion.tools")
"""The logger of tools."""


def log_event(level: int, event: str, text: str, *args: object, stacklevel: int = 1, **details: object) -> None:
    """Logs one event. Never raises: what a factory, filter or handler of the app raises goes to stderr.

    Args:
        level: level of the record.
        event: the attribute `ac_event`.
        text: text for people, with ``%s`` for `args`.
        *args: values in the text.
        stacklevel: as in `logging.Logger.log`; 1 is the function that calls this one.
        **details: further attributes, without their prefix. Unprintable characters of texts are escaped, those of
            names and values in a mapping, too.
    """
    if log.isEnabledFor(level):
        _emit(log, level, event, text, args, stacklevel + 1, details)


def log_tool_event(
    level: int, event: str, text: str, *args: object, exc_info: BaseException | None = None, **details: object
) -> None:
    """Logs one event of a tool on a logger of its own, otherwise as `log_event`.

    Args:
        level: level of the record.
        event: the attribute `ac_event`.
        text: text for people.
        *args: values in the text.
        exc_info: exception of a tool, whose text and traceback become part of the record: at DEBUG only.
        **details: further attributes.
    """
    if tools_log.isEnabledFor(level):
        _emit(tools_log, level, event, text, args, 2, details, exc_info)


def _emit(
    logger: logging.Logger,
    level: int,
    event: str,
    text: str,
    args: tuple[object, ...],
    stacklevel: int,
    details: dict[str, object],
    exc_info: BaseException | None = None,
) -> None:
    details["event"] = event
    extra = {f"ac_{name}": _printable(each) for name, each in details.items()}
    try:
        logger.log(level, text, *args, exc_info=exc_info, extra=extra, stacklevel=stacklevel + 1)
    except (Exception, GeneratorExit):  # noqa: BLE001 (the app's code may raise anything, and the call must go on)
        if logging.raiseExceptions and sys.stderr:  # as `logging.Handler.handleError` reports a failure to write
            traceback.print_exc(limit=-1)


def _printable(value: object) -> object:
    if isinstance(value, str) and not value.isprintable():
        return value.encode("unicode_escape").decode()
    if isinstance(value, Mapping):
        return {_printable(name): _printable(each) for name, each in cast("Mapping[str, object]", value).items()}
    return value


def observer_failed(observer: str, exc: BaseException) -> None:
    """Logs at WARNING that an observer failed, which does not affect the call.

    Logs the type of the error only, because its text may quote a prompt or reply.
    """
    error = type(exc).__name__
    log_event(logging.WARNING, "observer_failed", "%s failed with %s", observer, error, observer=observer, error=error)
