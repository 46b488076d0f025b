"""Texts of errors for users of the command line: hints for programmers become hints for a shell."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .. import (
    CompletionError,
    ConfigurationError,
    InvalidRequestError,
    JournalError,
    Params,
    UnsupportedParameterError,
)
from .common import CommandLineError

if TYPE_CHECKING:
    from cyclopts import CycloptsError

_FOR_SHELL = (
    (r", or pass api_keys=\{.*?\}", ""),
    (r"; to try it without a key, .*", ""),
    (r"(, or )?pass (base_urls=\{.*?\}|base_url\b)", r"\1give --base-url"),
    (r", or pass provider=", ""),
    (r"\bpass (\w+)=(\{.*?\})", r"give -o \1='\2'"),
    (r"\bpass (\w+)=(\w+)", r"give -o \1=\2"),
    (r"\bpass (\w+)=", r"give -o \1=..."),
    (r"; known are .*", "; anycompletion providers lists them"),
    (r", or for a Provider with allow_http.*", ""),
    (r"^base_urls\[.*?\]:", "--base-url:"),
    (r"^messages\[\d+\]\.content: contains a lone surrogate.*", "the prompt is not text in UTF-8"),
)
"""Pattern of a hint for programmers → its replacement."""


_DROPPED = frozenset(Params.__annotations__) - {"tools", "functions"}
"""Parameters that ``on_unsupported=warn`` leaves out; tools are never left out."""

_CHAT = "anycompletion chat"


def for_shell(error: CommandLineError | CompletionError) -> str:
    """The text of an error, with what to write on the command line."""
    text = str(error)
    if isinstance(error, CommandLineError):
        return text
    if isinstance(error, JournalError):
        return f"--journal: {text}"
    if not isinstance(error, (ConfigurationError, InvalidRequestError)):
        return f"{type(error).__name__}: {text}"
    for pattern, replacement in _FOR_SHELL:
        text = re.sub(pattern, replacement, text)
    is_dropped = isinstance(error, UnsupportedParameterError) and error.param in _DROPPED
    return f"{text}; -o on_unsupported=warn leaves it out" if is_dropped else text


def usage_text(error: CycloptsError) -> str:
    """The text of a mistake in the words of a command, with where to read how it is used."""
    from cyclopts import UnknownOptionError, UnusedCliTokensError  # noqa: PLC0415 (an extra, which may be missing)

    error.verbose = False
    text = str(error)
    command = " ".join(("anycompletion", *(error.command_chain or ())))
    if isinstance(error, UnusedCliTokensError):
        text = f"Unexpected: {' '.join(error.unused_tokens or ())}."
        if command == _CHAT:
            text += f' Put a text with spaces in quotes, as in {command} "how are you".'
    elif isinstance(error, UnknownOptionError) and " " in (error.unused_tokens or [""])[0]:
        text += f' A text that begins with - goes to the end, after --, as in {command} -- "-5 degrees?".'
    return f"{text}\n{command} --help lists the options."
