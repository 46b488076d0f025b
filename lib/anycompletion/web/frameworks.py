"""The functions that handlers of web services call; each imports its framework's module when it is called."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Generator, Mapping, MutableMapping
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar, cast

from .. import AsyncCompletion, CompletionStream

if TYPE_CHECKING:
    from aiohttp import web
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

    from ..tools import ToolRun
    from .authorization import Authorize
    from .run_chunks import RunChunks

T = TypeVar("T")
P = ParamSpec("P")

PING = 15.0
"""Default seconds of silence after which a relay sends a comment."""

WRITE_TIMEOUT = 60.0
"""Default seconds that one write may wait for a client that does not read."""

BODY_TIMEOUT = 60.0
"""Default seconds within which the body of a request must arrive."""

MAX_BODY = 4 * 1024 * 1024
MAX_SEPARATORS = 200_000
MAX_N = 8


def starlette_sse(
    stream: CompletionStream | ToolRun[Any],
    *,
    tools: bool = False,
    ping: float | None = PING,
    write_timeout: float | None = WRITE_TIMEOUT,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A Starlette (or FastAPI) response that relays `stream` in OpenAI's own stream format.

    ::

        @app.post("/chat")
        async def chat(request: Request):
            return starlette_sse(client.stream(model, messages))

    The status is sent with the first chunk, or with the first ping if that comes earlier. An error before the status is
    a response of its own with the proper status, `PublicError`'s body and ``retry-after``. An error after it is an
    event ``{"error": …}``, and no ``[DONE]`` follows. When the client disconnects, the upstream request is closed at
    once. What `client.stream` itself raises, such as a refusal of an invalid message, is the handler's, for which
    there is `starlette_errors`.

    A tool run is relayed as one reply: the texts of its turns, with an empty line between two of them, and at the end
    the finish reason of the last turn, which is ``stop`` only if the run is finished: one that ended earlier has
    ``tool_calls`` if its last reply has calls, ``length`` if that reply was cut or paused. When the client disconnects,
    its tools are cancelled as well.

    Args:
        stream: a stream, which the response opens if it is not open yet; or a tool run that has not started.
        tools: whether the client also gets the reasoning, the calls and the results of a run, and how it ended. Each
            call that starts or ends, and the end, are a chunk without choices that has a `tool_event`. Default: False.
        ping: seconds of silence after which a comment is sent, so that proxies and browsers do not time out; None for
            never. Default: 15.
        write_timeout: seconds that one write may wait for a client that does not read, after which the relay ends as
            if it had disconnected; None for no limit. An ASGI server may keep the connection. Default: 60.
        headers: additional response headers.

    Raises:
        ImportError: Starlette is not installed.
        TypeError: `stream` is neither a stream nor a run.
        ValueError: `ping` or `write_timeout` is not a positive number.
    """
    _check_seconds(ping=ping, write_timeout=write_timeout)
    with _requires_starlette("starlette_sse"):
        from .starlette import SSEResponse  # noqa: PLC0415 (an extra, which users of aiohttp.web need not have)

    return SSEResponse(_chunks_of(stream, tools), ping, headers, write_timeout)


async def aiohttp_sse(
    request: web.Request,
    stream: CompletionStream | ToolRun[Any],
    *,
    tools: bool = False,
    ping: float | None = PING,
    write_timeout: float | None = WRITE_TIMEOUT,
    headers: Mapping[str, str] | None = None,
) -> web.StreamResponse:
    """Relays `stream` to the client of an aiohttp.web request; returns the response, for the handler to return.

    ::

        async def chat(request):
            return await aiohttp_sse(request, client.stream(model, messages))

    Otherwise as `starlette_sse`; `aiohttp_errors` is for what `client.stream` itself raises.

    A disconnect is noticed within 50 milliseconds, and at once in an application that runs with
    ``handler_cancellation=True``. While a large request body is unread, aiohttp does not notice disconnects: read it
    first.

    Raises:
        TypeError: `stream` is neither a stream nor a run.
        ValueError: `ping` or `write_timeout` is not a positive number.
    """
    _check_seconds(ping=ping, write_timeout=write_timeout)
    from .aiohttp import relay_to  # noqa: PLC0415 (aiohttp's server half, which users of Starlette do not need)

    return await relay_to(request, _chunks_of(stream, tools), ping, headers, write_timeout)


async def cancel_on_disconnect(request: Request | web.Request, awaitable: Awaitable[T]) -> T:
    """The result of `awaitable`, which is cancelled when the client of `request` disconnects; for plain handlers.

    ::

        reply = await cancel_on_disconnect(request, client.create(model, messages))

    Without it both frameworks run a handler to its end after its client has disconnected, and the tokens are billed.
    The body of a Starlette request is read first, so that it can still be read afterwards.

    Args:
        request: of Starlette, FastAPI or aiohttp.web.
        awaitable: usually a call of a client.

    Raises:
        HTTPException: the framework's own, with status 499, when the client has disconnected. It ends the handler
            quietly and is never sent.
        TypeError: `request` is of neither framework.
    """
    if isinstance(getattr(request, "scope", None), MutableMapping):
        from . import starlette  # noqa: PLC0415 (imported already where there is a request of it)

        return await starlette.unless_disconnected(cast("Request", request), awaitable)
    if hasattr(request, "transport"):
        from . import aiohttp  # noqa: PLC0415 (as above)

        return await aiohttp.unless_disconnected(cast("web.Request", request), awaitable)
    if asyncio.iscoroutine(awaitable):
        awaitable.close()
    raise TypeError(f"expected a request of Starlette's or aiohttp's, found {type(request).__name__}")


def _require_authorize(function: Callable[P, T]) -> Callable[P, T]:
    """`function`, which raises an explanation where Python would only report `authorize` as missing."""

    @wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> T:
        # The signature requires it, but callers may not use a type checker.
        if not callable(cast("object", kwargs.get("authorize"))):
            raise TypeError(
                "authorize= is required: the endpoint spends your keys, so say who may call it, with a function of "
                "the request that returns True, False or the models it may ask for"
            )
        return function(*args, **kwargs)

    return checked


@_require_authorize
def chat_completions_app(
    client: AsyncCompletion,
    *,
    authorize: Authorize,
    models: Collection[str] | None = None,
    extra_fields: Collection[str] | Literal["refuse", "ignore"] = "refuse",
    max_body: int = MAX_BODY,
    max_separators: int = MAX_SEPARATORS,
    max_n: int = MAX_N,
    max_tokens: int | None = None,
    body_timeout: float | None = BODY_TIMEOUT,
    ping: float | None = PING,
    write_timeout: float | None = WRITE_TIMEOUT,
) -> Starlette:
    """A mountable Starlette application: OpenAI's chat-completions API in front of any provider.

    ::

        app.mount("/llm", chat_completions_app(client, authorize=authorize))

    Any OpenAI SDK whose base URL is ``https://…/llm`` (or ``/llm/v1``) reaches every provider `client` has keys for:
    the model is ``provider/model``. It serves ``POST /chat/completions``, ``GET /models`` and ``GET /models/{id}``.
    Every answer has an ``x-request-id``: the caller's, or a new one; handlers find it in ``request.state.request_id``,
    and records of relayed errors have it as ``ac_relay_id``.

    A body may contain OpenAI's fields (`Params`), and nothing else, in its messages, parts and tools, too: a key, a
    base URL, headers, a timeout or another option of the call is refused, and so are unknown fields, types of parts
    other than OpenAI's, tools other than functions and custom ones, ids of uploaded files, URLs with other schemes than
    https, http and data, service tiers that cost more and `web_search_options`. Some make providers fetch URLs, call
    webhooks, read the account's files or bill for more; the service allows them by name with `extra_fields`. Fields
    that are null count as missing. Unknown fields of an assistant's message and its calls are left out, because clients
    send replies back as they got them; `provider_specific_fields`, which may contain anything, are among them.

    Replies and chunks are sent in OpenAI's format with what the provider adds to it, except what is the service's:
    costs, all of `usage` but counts of tokens, and fields whose names begin with ``x_``.

    Args:
        client: it stays yours to close. A view's key must name its provider (``api_key={"openai": key}``), because
            callers choose the models.
        authorize: a function, plain or async, of the Starlette request. True: the models of `models`. False or None:
            401. Names of models: these and no others, exactly as written. Its exceptions propagate; Starlette's
            `HTTPException` is sent in OpenAI's form.
        models: names of the models that callers may use, and see listed, where `authorize` returns True. Default: any,
            also of servers of your own network that need no key; none is listed.
        extra_fields: names of fields beyond OpenAI's that callers may use, of types of parts and tools, of service
            tiers and of schemes of URLs; or ``"ignore"``, to leave unknown fields out instead of refusing them.
            Default: ``"refuse"``.
        max_body: maximum bytes of a request's body, decoded. Default: 4 MiB.
        max_separators: maximum commas and opening brackets of its JSON outside of texts. Default: 200,000.
        max_n: maximum choices of one call, as each may be a request of its own. Default: 8.
        max_tokens: maximum of the caller's `max_tokens`, `max_completion_tokens` and thinking budget, and the limit of
            calls without one. Default: None, no maximum.
        body_timeout: seconds within which a body must arrive; None for no limit. Default: 60.
        ping: as with `starlette_sse`.
        write_timeout: as with `starlette_sse`.

    Raises:
        ImportError: Starlette is not installed.
        TypeError: `authorize` is missing, or not a function; `models` is a text.
        ValueError: a number is out of range, or a name in `extra_fields` is one of OpenAI's.
    """
    _check_seconds(ping=ping, write_timeout=write_timeout, body_timeout=body_timeout)
    with _requires_starlette("chat_completions_app"):
        from .endpoint import EndpointOptions, build_application  # noqa: PLC0415 (an extra, as above)

    options = EndpointOptions.of(
        models,
        extra_fields,
        max_n,
        max_tokens,
        max_body=max_body,
        max_separators=max_separators,
        body_timeout=body_timeout,
        ping=ping,
        write_timeout=write_timeout,
    )
    return build_application(client, authorize, options)


@contextmanager
def _requires_starlette(function: str) -> Generator[None]:
    """Names the extra to install where importing Starlette fails."""
    try:
        yield
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "starlette":
            raise
        text = f"{function} needs Starlette: pip install 'anycompletion[web]'"
        raise ImportError(text, name=error.name) from None


def _chunks_of(stream: CompletionStream | ToolRun[Any], tools: bool) -> CompletionStream | RunChunks:
    """What a relay sends."""
    if isinstance(stream, CompletionStream):
        return stream
    from ..tools import ToolRun  # noqa: PLC0415 (few services relay runs)
    from .run_chunks import RunChunks  # noqa: PLC0415 (as above)

    if not isinstance(cast("object", stream), ToolRun):
        raise TypeError(f"expected a stream or a tool run, found {type(stream).__name__}")
    return RunChunks(stream, tools=tools)


def _check_seconds(**values: float | None) -> None:
    for name, value in values.items():
        if value is not None and not value > 0:
            raise ValueError(f"{name} must be more than 0 seconds, or None, got {value}")
