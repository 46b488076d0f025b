"""An OpenAI-compatible endpoint for any provider, on Starlette; accepts wire parameters and never options of a call.

Its callers spend the service's keys. So every request is authorized before a byte of its body is read, and a body
contains what to ask the model, never where to send it, with which key or timeout.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Awaitable, Callable, Collection
from typing import Any, NoReturn, TypeAlias, cast

import attrs
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .. import AsyncCompletion, CallOptions, CompletionError, CreateParams, Params
from ..errors import printable
from .public_errors import NO_SUCH_MODEL, PublicError, log_relayed_error, public_error
from .starlette import SSEResponse, error_response, unless_disconnected

AllowedModels: TypeAlias = "bool | Collection[str] | None"
"""True: any model. False or None: none, which becomes a 401. Names: these models."""

Authorize: TypeAlias = "Callable[[Request], AllowedModels | Awaitable[AllowedModels]]"
"""Function of a request that returns the models it may ask for."""

_PARAMS = frozenset(Params.__annotations__)
_FIELDS = _PARAMS | {"model", "messages", "stream"}
_OPTIONS = frozenset(CallOptions.__annotations__)
_MAX_SHOWN_NAME = 100


class RequestRefused(Exception):
    """Ends the handling of a request; `error` is its response."""

    def __init__(self, error: PublicError) -> None:
        super().__init__(error.message)
        self.error = error


def build_application(
    client: AsyncCompletion,
    authorize: Authorize,
    extra_fields: frozenset[str],
    max_body: int,
    max_n: int,
    ping: float | None,
) -> Starlette:
    """The application that `chat_completions_app` documents.

    Raises:
        ValueError: a number is out of range, or a name in `extra_fields` is one of OpenAI's.
    """
    for name, value in (("max_body", max_body), ("max_n", max_n)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    if known := extra_fields & _FIELDS:
        raise ValueError(f"extra_fields: {min(known)!r} is one of OpenAI's fields, and allowed already")
    endpoint = ChatCompletionsEndpoint(client, authorize, extra_fields, max_body, max_n, ping)
    routes = [
        Route(root + path, handler, methods=[method])
        for root in ("", "/v1")
        for path, handler, method in (
            ("/chat/completions", endpoint.chat, "POST"),
            ("/models", endpoint.models, "GET"),
        )
    ]
    handlers: Any = {RequestRefused: _on_refused, HTTPException: _on_http_error, Exception: _on_error}
    return Starlette(routes=routes, exception_handlers=handlers)


@attrs.frozen
class ChatCompletionsEndpoint:
    """The handlers of the endpoint's routes and their configuration."""

    _client: AsyncCompletion
    _authorize: Authorize
    _extra_fields: frozenset[str]
    _max_body: int
    _max_n: int
    _ping: float | None

    async def models(self, request: Request) -> Response:
        """``GET /models``: the models that `authorize` returned."""
        allowed = await allowed_models(self._authorize, request)
        listed = [
            {"id": name, "object": "model", "created": 0, "owned_by": name.partition("/")[0]}
            for name in sorted(allowed or ())
        ]
        return JSONResponse({"object": "list", "data": listed})

    async def chat(self, request: Request) -> Response:
        """``POST /chat/completions``: one chat completion, plain or streamed."""
        allowed = await allowed_models(self._authorize, request)
        body = parse_json(await read_body(request, self._max_body))
        model, messages, stream, params = parse_fields(body, self._extra_fields, self._max_n)
        if allowed is not None and model not in allowed:
            refuse(NO_SUCH_MODEL.status, NO_SUCH_MODEL.message, "model", NO_SUCH_MODEL.code)
        try:
            try:
                if stream:
                    opened = self._client.stream(model, messages, **params)
                    return SSEResponse(opened, self._ping, None, detail=True)
                call = self._client.create(model, messages, **params)
            finally:
                del body, messages, params  # this frame is in the traceback of every error below
            reply = await unless_disconnected(request, call)
        except CompletionError as error:
            log_relayed_error(error)
            raise RequestRefused(public_error(error, detail=True)) from None
        return JSONResponse(reply.to_dict())


async def allowed_models(authorize: Authorize, request: Request) -> frozenset[str] | None:
    """The models that `request` may ask for; None means any.

    Raises:
        RequestRefused: 401, none.
        TypeError: `authorize` returned a value of another type than it should.
    """
    result = authorize(request)
    if inspect.isawaitable(result):
        result = await result
    if result is True:
        return None
    if result is False or result is None:
        refuse(401, "the key is missing, or was not accepted", None, "invalid_api_key", "WWW-Authenticate: Bearer")
    names: Any = result
    if isinstance(names, (str, bytes)) or not isinstance(names, Collection):
        # A string is a collection as well: it would allow every model whose name is one of its characters.
        raise TypeError(f"authorize must return a bool or a collection of models, not {type(names).__name__}")
    return frozenset(cast("Collection[str]", names))


async def read_body(request: Request, max_bytes: int) -> bytes:
    """The body, if its content type is JSON and it is not too large.

    Raises:
        RequestRefused: 413 or 415.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        # Browsers send the other types for any web page, with the user's cookies and without a CORS preflight.
        refuse(415, "the content-type must be application/json")
    length = request.headers.get("content-length", "")
    if length.isdecimal() and len(length) < _MAX_LENGTH_DIGITS and int(length) > max_bytes:
        _refuse_size(max_bytes)
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > max_bytes:
                _refuse_size(max_bytes)
    except ClientDisconnect:
        raise HTTPException(499, "the client closed the request") from None
    return bytes(body)


_MAX_LENGTH_DIGITS = 20


def _refuse_size(max_bytes: int) -> NoReturn:
    refuse(413, f"the body is larger than {max_bytes} bytes")


def parse_json(body: bytes) -> dict[str, Any]:
    """The JSON object of a body.

    Raises:
        RequestRefused: 400.
    """
    try:
        value = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        refuse(400, "the body is not JSON")
    if not isinstance(value, dict):
        refuse(400, "the body must be a JSON object")
    return cast("dict[str, Any]", value)


def _refuse_constant(name: str) -> NoReturn:
    """NaN and the infinities are not JSON, although Python's parser accepts them."""
    raise ValueError(name)


def parse_fields(
    body: dict[str, Any], extra_fields: Collection[str], max_n: int
) -> tuple[str, list[Any], bool, CreateParams]:
    """Model, messages, whether to stream, and the other keywords of the client's call.

    Raises:
        RequestRefused: 400, with the invalid field.
    """
    for name in body:
        if name not in _FIELDS and name not in extra_fields:
            _refuse_field(name)
    model, messages, stream, n = body.get("model"), body.get("messages"), body.get("stream"), body.get("n")
    if not isinstance(model, str):
        refuse(400, "model: expected a string such as 'openai/gpt-4o'", "model")
    if not isinstance(messages, list):
        refuse(400, "messages: expected a list of messages", "messages")
    if stream is not None and not isinstance(stream, bool):
        refuse(400, "stream: expected true or false", "stream")
    if isinstance(n, (int, float)) and n > max_n:
        refuse(400, f"n: must be at most {max_n} here", "n")
    params: dict[str, Any] = {name: value for name, value in body.items() if name in _PARAMS}
    if extra := {name: body[name] for name in extra_fields if name in body}:
        params["extra_body"] = extra
    return model, cast("list[Any]", messages), bool(stream), cast("CreateParams", params)


def _refuse_field(name: str) -> NoReturn:
    shown = printable(name[:_MAX_SHOWN_NAME])
    why = "is the service's to choose" if name in _OPTIONS else "is not known here"
    refuse(400, f"{shown}: {why}", shown, "unknown_parameter")


def refuse(status: int, message: str, param: str | None = None, code: str | None = None, header: str = "") -> NoReturn:
    """Raises `RequestRefused` with an error that is about the request."""
    name, _, value = header.partition(": ")
    raise RequestRefused(
        PublicError(
            status=status,
            type="invalid_request_error",
            code=code,
            message=message,
            param=param,
            headers={name: value} if header else {},
        )
    )


# --- exception handlers ----------------------------------------------------------------------------------------------


async def _on_refused(_: Request, error: RequestRefused) -> Response:
    return error_response(error.error)


async def _on_http_error(_: Request, error: HTTPException) -> Response:
    """Starlette's own errors (unknown path, wrong method), and those that `authorize` raised."""
    kind = "server_error" if error.status_code >= 500 else "invalid_request_error"
    public = PublicError(status=error.status_code, type=kind, message=str(error.detail), headers=error.headers or {})
    return error_response(public)


async def _on_error(_: Request, error: Exception) -> Response:
    """A bug, or an exception of user code; Starlette raises it again for the server's log."""
    return error_response(public_error(error))
