"""Responses to errors that handlers raise, in their public form; imports no framework before it is needed."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from ..errors import CompletionError
from .public_errors import PublicError, log_relayed_error, public_error

if TYPE_CHECKING:
    from aiohttp.typedefs import Middleware
    from starlette.requests import Request
    from starlette.responses import Response


def starlette_errors() -> dict[int | type[Exception], Callable[[Request, Any], Coroutine[Any, Any, Response]]]:
    """Exception handlers for Starlette or FastAPI that turn a `CompletionError` of a handler into a response.

    ::

        app = FastAPI(lifespan=starlette_lifespan(), exception_handlers=starlette_errors())

    The response has the status, headers and body of `public_error`, and the error is logged as a relay logs it. They
    are for plain handlers, and for streams that are refused before `starlette_sse` has them, such as one of an unknown
    model; a relay responds to all later errors itself. Other exceptions stay the framework's.
    """

    async def respond(_: Request, error: CompletionError) -> Response:
        from .starlette import error_response  # noqa: PLC0415 (imported already where there is a request of it)

        return error_response(_public(error))

    return {CompletionError: respond}


def aiohttp_errors() -> Middleware:
    """A middleware for aiohttp.web that turns a `CompletionError` of a handler into a response.

    ::

        app = web.Application(middlewares=[aiohttp_errors()])

    Otherwise as `starlette_errors`.
    """
    from .aiohttp import errors_middleware  # noqa: PLC0415 (aiohttp's server half, which users of Starlette do not need)

    return errors_middleware(_public)


def _public(error: CompletionError) -> PublicError:
    log_relayed_error(error)
    return public_error(error)
