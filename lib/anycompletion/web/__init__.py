"""Relays for web services: streams to browsers, upstream closed when the peer leaves; never listens by itself.

Two frameworks, Starlette (and so FastAPI) and aiohttp.web. Each is imported where its functions are called, so that a
user of one need not have the other: ``pip install 'anycompletion[web]'`` brings Starlette.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar, cast

from .. import AsyncCompletion, CompletionStream
from .disconnect import on_disconnect
from .lifespan import aiohttp_client, starlette_lifespan
from .public_errors import PublicError, public_error

if TYPE_CHECKING:
    from aiohttp import web
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

    from .endpoint import Authorize

T = TypeVar("T")
P = ParamSpec("P")

PING = 15.0
"""Seconds of silence after which a relay sends a comment, unless it is told otherwise."""

MAX_BODY = 16 * 1024 * 1024
MAX_N = 8


def starlette_sse(
    stream: CompletionStream, *, ping: float | None = PING, headers: Mapping[str, str] | None = None
) -> Response:
    """A Starlette (or FastAPI) response that relays `stream` in OpenAI's own stream format.

    ::

        @app.post("/chat")
        async def chat(request: Request):
            return starlette_sse(client.stream(model, messages))

    The status is sent with the first chunk, or with the first ping where the model thinks longer than that: an error
    before it is an answer of its own with the proper status, `PublicError`'s body and ``retry-after``. An error after
    it is an event ``{"error": …}``, and no ``[DONE]`` follows. When the peer leaves, the upstream request is closed at
    once.

    Args:
        stream: sent by the response if it was not sent yet.
        ping: seconds of silence after which a comment goes out, so that proxies and browsers do not give up; None for
            never. Default: 15.
        headers: more headers of the answer.

    Raises:
        ImportError: Starlette is not installed.
        ValueError: `ping` is not a positive number.
    """
    _check_ping(ping)
    with _Needs("starlette_sse"):
        from .starlette import EventResponse  # noqa: PLC0415 (an extra, which users of aiohttp.web need not have)

    return EventResponse(stream, ping, headers)


async def aiohttp_sse(
    request: web.Request,
    stream: CompletionStream,
    *,
    ping: float | None = PING,
    headers: Mapping[str, str] | None = None,
) -> web.StreamResponse:
    """Relays `stream` to the peer of an aiohttp.web request; returns the response, for the handler to return.

    ::

        async def chat(request):
            return await aiohttp_sse(request, client.stream(model, messages))

    Otherwise as `starlette_sse`. That the peer has left is noticed within a twentieth of a second, and at once in an
    application that runs with ``handler_cancellation=True``; but aiohttp notices nothing of a peer while a large body
    of its request waits to be read, so read it first.

    Raises:
        ValueError: `ping` is not a positive number.
    """
    _check_ping(ping)
    from .aiohttp import relay_to  # noqa: PLC0415 (aiohttp's server half, which users of Starlette do not need)

    return await relay_to(request, stream, ping, headers)


async def cancel_on_disconnect(request: Request | web.Request, awaitable: Awaitable[T]) -> T:
    """The result of `awaitable`, which is cancelled when the peer of `request` leaves; for plain handlers.

    ::

        reply = await cancel_on_disconnect(request, client.create(model, messages))

    Without it both frameworks let a handler run to its end after the peer has left, and the tokens are paid for. Of a
    Starlette request, the body is read first, so that it can still be read afterwards.

    Args:
        request: of Starlette, FastAPI or aiohttp.web.
        awaitable: usually a call of a client.

    Raises:
        HTTPException: the framework's own, with status 499, when the peer has left. Nobody will see it; it ends the
            handler quietly.
        TypeError: `request` is of neither framework.
    """
    return await on_disconnect(request, awaitable)


def _says_why(function: Callable[P, T]) -> Callable[P, T]:
    """`function`, with a reason where Python would only say that `authorize` is missing."""

    @wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> T:
        # The signature demands it; who calls without it may not check types.
        if not callable(cast("object", kwargs.get("authorize"))):
            raise TypeError(
                "authorize= is required: the endpoint spends your keys, so say who may call it, with a function of "
                "the request that returns True, False or the models it may ask for"
            )
        return function(*args, **kwargs)

    return checked


@_says_why
def chat_completions_app(
    client: AsyncCompletion,
    *,
    authorize: Authorize,
    extra_fields: Collection[str] = (),
    max_body: int = MAX_BODY,
    max_n: int = MAX_N,
    ping: float | None = PING,
) -> Starlette:
    """A mountable Starlette application that speaks OpenAI's protocol and asks any provider.

    ::

        app.mount("/llm", chat_completions_app(client, authorize=authorize))

    Any OpenAI SDK whose base URL is ``https://…/llm`` (or ``/llm/v1``) reaches every provider `client` has keys for:
    the model is ``provider/model``. It serves ``POST /chat/completions`` and ``GET /models``, which lists what
    `authorize` named.

    A body may hold OpenAI's fields (`Params`), and nothing else: one that names a key, a base URL, headers, a timeout
    or another option of the call is refused, and so is every unknown field. Fields only a provider has are the
    service's to allow, by `extra_fields`: some make providers fetch URLs, call webhooks or bill for more.

    Args:
        client: it stays yours to close.
        authorize: a function, plain or async, of the Starlette request. True: any model. False or None: 401. Names of
            models: these and no others, just as they are written. What it raises is not swallowed; Starlette's
            `HTTPException` goes out in OpenAI's form.
        extra_fields: fields beyond OpenAI's that callers may use.
        max_body: bytes of a request's body, at most. Default: 16 MiB.
        max_n: choices of one call, at most, as each may be a request of its own. Default: 8.
        ping: as with `starlette_sse`.

    Raises:
        ImportError: Starlette is not installed.
        TypeError: `authorize` is missing, or no function.
        ValueError: a number is out of range, or a name in `extra_fields` is one of OpenAI's.
    """
    _check_ping(ping)
    with _Needs("chat_completions_app"):
        from .endpoint import application  # noqa: PLC0415 (an extra, which users of aiohttp.web need not have)

    return application(client, authorize, frozenset(extra_fields), max_body, max_n, ping)


class _Needs:
    """Says what to install where Starlette is missing."""

    def __init__(self, function: str) -> None:
        self._function = function

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, ImportError) and (error.name or "").partition(".")[0] == "starlette":
            raise ImportError(
                f"{self._function} needs Starlette: pip install 'anycompletion[web]'", name=error.name
            ) from None


def _check_ping(ping: float | None) -> None:
    if ping is not None and not ping > 0:
        raise ValueError(f"ping must be more than 0 seconds, or None, got {ping}")


__all__ = [
    "PublicError",
    "aiohttp_client",
    "aiohttp_sse",
    "cancel_on_disconnect",
    "chat_completions_app",
    "public_error",
    "starlette_lifespan",
    "starlette_sse",
]
