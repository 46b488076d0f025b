"""The boundary of the package: what leaves a public function carries no frame of ours that may hold a key.

Crash reporters print the local variables of every frame in a traceback. The arguments of our public functions hold
keys, URLs with passwords and headers, so each such function has this decorator; the functions behind it need no care.

The second danger at the boundary is an exception of user code that has a meaning for Python: a `StopAsyncIteration` out
of a middleware would end the loop over a stream as if the reply were complete. `iteration_error` replaces those.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

from .errors import CompletionError

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

_PACKAGE_ERRORS = (CompletionError, asyncio.CancelledError)


ITERATION_ENDS = (StopIteration, StopAsyncIteration, GeneratorExit)
"""Exceptions that end a loop or a generator silently. None of them leaves a call, a stream or a batch."""


def iteration_error(error: BaseException) -> RuntimeError:
    """The error that replaces one of `ITERATION_ENDS` that user code raised, as Python does it for generators."""
    replaced = RuntimeError(f"user code raised {type(error).__name__}")
    replaced.__cause__ = error
    return replaced


def call_plainly(function: Callable[..., T], *args: Any) -> T:
    """What a function of the caller returns; one of `ITERATION_ENDS` that it raises becomes an ordinary error."""
    try:
        return function(*args)
    except ITERATION_ENDS as error:
        raise iteration_error(error) from error


class UsageError(TypeError):
    """A mistake in the program, such as an unknown keyword; leaves the package as a plain TypeError."""


def hides_frames(function: F) -> F:
    """Removes the package's frames from the traceback of the package's own errors that leave `function`.

    Errors of user code (middleware, key functions) keep their traceback: it is what explains them.
    """
    wrapper = _async_wrapper(function) if inspect.iscoroutinefunction(function) else _sync_wrapper(function)
    return cast("F", wrapper)


def hides_constructor_frames(cls: type[T]) -> type[T]:
    """The same for the constructor of a class, which may be one that attrs writes."""
    cls.__init__ = hides_frames(cls.__init__)  # type: ignore[method-assign]  # the class stays the same object
    return cls


def _without_frames(error: BaseException) -> BaseException:
    return TypeError(*error.args) if isinstance(error, UsageError) else error.with_traceback(None)


def _sync_wrapper(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except (*_PACKAGE_ERRORS, UsageError) as caught:
            error = _without_frames(caught)
        except ITERATION_ENDS as caught:
            error = iteration_error(caught)
        finally:
            del args, kwargs  # every traceback has this frame
        raise error

    return call


def _async_wrapper(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        try:
            running = function(*args, **kwargs)
        finally:
            del args, kwargs  # every traceback has this frame
        try:
            return await running
        except (*_PACKAGE_ERRORS, UsageError) as caught:
            error = _without_frames(caught)
        except StopAsyncIteration as caught:  # a GeneratorExit may be Python's own, which closes the coroutine
            error = iteration_error(caught)
        raise error

    return call
