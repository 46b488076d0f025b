"""Refusals without the frames that made them: what the caller wrote stands in those frames' locals."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from ..errors import InvalidRequestError

P = ParamSpec("P")
T = TypeVar("T")


class UsageError(TypeError):
    """A mistake in the program and not in its data; callers get a plain TypeError."""


def without_frames(read: Callable[P, T]) -> Callable[P, T]:
    """`read`, whose refusals begin at its caller.

    Reports of crashes show the locals of every frame in a traceback. Those of a check hold messages and headers, and
    tell nothing that the refusal's text and `.param` do not. Anything but a refusal passes as it is.
    """

    @functools.wraps(read)
    def plainly(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return read(*args, **kwargs)
        except InvalidRequestError as fault:
            refusal: Exception = fault.with_traceback(None)
        except UsageError as fault:
            refusal = TypeError(*fault.args)
        del args, kwargs
        raise refusal

    return plainly
