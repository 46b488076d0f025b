"""Runs the command line and maps exceptions to exit codes; needs no extra itself."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from io import TextIOWrapper
from typing import TextIO, cast

from .. import CompletionError, ConfigurationError, InvalidRequestError
from .common import FAILED, INTERRUPTED, OK, USAGE, CommandLineError, print_note


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line `arguments` (default: the process's own), and returns the exit code."""
    if find_spec("cyclopts") is None:
        print_note("The command line needs one more package: pip install 'anycompletion[cli]'")
        return USAGE
    from cyclopts import CycloptsError  # noqa: PLC0415 (an extra, which may be missing)

    from .app import build_app  # noqa: PLC0415 (its commands import the extra)

    _configure_encodings()
    try:
        code = build_app()(sys.argv[1:] if arguments is None else arguments)
    except CycloptsError:
        return USAGE  # Cyclopts has printed what is wrong
    except (CommandLineError, ConfigurationError, InvalidRequestError) as error:
        print_note(str(error))
        return USAGE
    except CompletionError as error:
        print_note(f"{type(error).__name__}: {error}")
        return FAILED
    except BrokenPipeError:
        _redirect_to_null(sys.stdout)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    return OK if code is None else code


def _configure_encodings() -> None:
    """Input must be UTF-8; in output, characters that this terminal cannot show are replaced, as replies have any."""
    settings = ((sys.stdin, "utf-8", "strict"), (sys.stdout, None, "replace"), (sys.stderr, None, "replace"))
    for stream, encoding, errors in settings:
        if isinstance(stream, TextIOWrapper):
            cast("TextIOWrapper", stream).reconfigure(encoding=encoding, errors=errors)


def _redirect_to_null(stream: TextIO) -> None:
    """Redirects a stream whose reader has closed it, so that Python can flush it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
