"""Runs the command line and maps exceptions to exit codes; needs no extra itself."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from importlib.util import find_spec
from io import TextIOWrapper
from itertools import pairwise
from typing import TextIO, cast

from .. import CompletionError, ConfigurationError, InvalidRequestError
from .common import FAILED, INTERRUPTED, OK, STDIO, USAGE, CommandLineError, OutputError, print_note
from .error_text import for_shell, usage_text


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line `arguments` (default: the process's own), and returns the exit code."""
    if find_spec("cyclopts") is None:
        print_note("The command line needs one more package: pip install 'anycompletion[cli]'")
        return USAGE
    from cyclopts import CycloptsError  # noqa: PLC0415 (an extra, which may be missing)

    _configure_encodings()
    try:
        from .app import build_app, options_with_value  # noqa: PLC0415 (its commands import the extra)

        app = build_app()
        code = app(_without_stdin(sys.argv[1:] if arguments is None else arguments, lambda: options_with_value(app)))
    except CycloptsError as error:
        print_note(usage_text(error))
        return USAGE
    except (CommandLineError, CompletionError) as error:
        print_note(for_shell(error))
        return USAGE if isinstance(error, _USAGE_ERRORS) else FAILED
    except (BrokenPipeError, OutputError) as error:
        if isinstance(error, OutputError):
            print_note(str(error))
        _redirect_to_null(sys.stdout)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    return OK if code is None else code


_USAGE_ERRORS = (CommandLineError, ConfigurationError, InvalidRequestError)


def _without_stdin(arguments: Sequence[str], with_value: Callable[[], Collection[str]]) -> list[str]:
    """The arguments without a ``-`` that stands for stdin, which the commands read where nothing else is named.

    One that follows an option of `with_value()` is kept: it is the option's value.
    """
    return [text for before, text in pairwise(["", *arguments]) if text != STDIO or before in with_value()]


def _configure_encodings() -> None:
    """Input must be UTF-8; in output, what the terminal cannot show is replaced: replies have any character."""
    settings = ((sys.stdin, "utf-8", "strict"), (sys.stdout, None, "replace"), (sys.stderr, None, "replace"))
    for stream, encoding, errors in settings:
        if isinstance(stream, TextIOWrapper):
            cast("TextIOWrapper", stream).reconfigure(encoding=encoding, errors=errors)


def _redirect_to_null(stream: TextIO | None) -> None:
    """Redirects a stream that cannot be written any more, so that Python can flush it at exit."""
    with suppress(OSError):
        if stream is not None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
