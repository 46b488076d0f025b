"""An OpenAI-compatible endpoint for any provider, on Starlette; accepts wire parameters and never options of a call.

Its callers spend the service's keys. So every request is authorized before a byte of its body is read, and a body
contains what to ask the model, never where to send it, with which key or timeout.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Collection
from typing import Any

import attrs
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .. import AsyncCompletion, CompletionError
from ..codecs.json import dumps
from .authorization import Authorize, allowed_models
from .public_errors import NO_SUCH_MODEL, PublicError, log_relayed_error, public_error
from .public_replies import remove_service_fields
from .refusals import RequestRefused, refuse
from .request_body import parse_json, read_body
from .request_fields import FieldRules
from .starlette import SSEResponse, error_response, unless_disconnected


@attrs.frozen(kw_only=True)
class EndpointOptions:
    """The options of `chat_completions_app`, which documents them."""

    models: frozenset[str] | None
    rules: FieldRules
    max_body: int
    max_separators: int
    body_timeout: float | None
    ping: float | None
    write_timeout: float | None

    @classmethod
    def of(
        cls,
        models: Collection[str] | None,
        extra_fields: Collection[str],
        max_n: int,
        max_tokens: int | None,
        **others: Any,
    ) -> EndpointOptions:
        """The options from the arguments of `chat_completions_app`.

        Raises:
            TypeError: `models` is a text.
            ValueError: a number is out of range, or `extra_fields` is not as documented.
        """
        if isinstance(models, (str, bytes)):
            raise TypeError("models must be a collection of names; a text is one of single characters")
        for name in ("max_n", "max_tokens", "max_body", "max_separators"):
            value = {"max_n": max_n, "max_tokens": max_tokens, **others}[name]
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        rules = FieldRules.of(extra_fields, max_n, max_tokens)
        return cls(models=None if models is None else frozenset(models), rules=rules, **others)


def build_application(client: AsyncCompletion, authorize: Authorize, options: EndpointOptions) -> Starlette:
    """The application that `chat_completions_app` documents."""
    endpoint = ChatCompletionsEndpoint(client, authorize, options)
    routes = [
        Route(root + path + slash, handler, methods=[method])
        for root in ("", "/v1")
        for slash in ("", "/")
        for path, handler, method in (
            ("/chat/completions", endpoint.chat, "POST"),
            ("/models", endpoint.models, "GET"),
        )
    ]
    routes += [Route(root + "/models/{id:path}", endpoint.model, methods=["GET"]) for root in ("", "/v1")]
    handlers: Any = {RequestRefused: _on_refused, HTTPException: _on_http_error, Exception: _on_error}
    app = Starlette(routes=routes, exception_handlers=handlers, middleware=[Middleware(RequestIds)])
    # A redirect would name the host and scheme of the connection, which behind a proxy are not the caller's.
    app.router.redirect_slashes = False
    return app


REQUEST_ID = "x-request-id"


class RequestIds:
    """ASGI middleware that gives every request an id, the caller's if it has a proper one, and sends it back.

    Handlers find it in ``request.state.request_id``.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(REQUEST_ID.encode(), b"").decode("latin-1")
        found = given if re.fullmatch(r"[\w.:/+=@-]{1,128}", given, re.ASCII) else f"req_{uuid.uuid4().hex}"
        scope.setdefault("state", {})["request_id"] = found

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[REQUEST_ID] = found
            await send(message)

        await self._app(scope, receive, send_with_id)


@attrs.frozen
class ChatCompletionsEndpoint:
    """The handlers of the endpoint's routes and their configuration."""

    _client: AsyncCompletion
    _authorize: Authorize
    _options: EndpointOptions
    _started: int = attrs.field(factory=lambda: int(time.time()), init=False)

    async def models(self, request: Request) -> Response:
        """``GET /models``: the models that `authorize` returned."""
        allowed = await self._allowed_models(request)
        return JSONResponse({"object": "list", "data": [self._model(name) for name in sorted(allowed or ())]})

    async def model(self, request: Request) -> Response:
        """``GET /models/{id}``: one of these models, or any where any is allowed."""
        allowed = await self._allowed_models(request)
        name = request.path_params["id"].rstrip("/")
        _check_model(name, allowed)
        return JSONResponse(self._model(name))

    async def chat(self, request: Request) -> Response:
        """``POST /chat/completions``: one chat completion, plain or streamed."""
        options = self._options
        allowed = await self._allowed_models(request)
        body = parse_json(await read_body(request, options.max_body, options.body_timeout), options.max_separators)
        model, messages, stream, params = options.rules.read(body)
        _check_model(model, allowed)
        try:
            try:
                if stream:
                    opened = self._client.stream(model, messages, **params)
                    request_id = request.state.request_id
                    return SSEResponse(
                        opened, options.ping, None, options.write_timeout, detail=True, request_id=request_id
                    )
                call = self._client.create(model, messages, **params)
            finally:
                del body, messages, params  # this frame is in the traceback of every error below
            reply = await unless_disconnected(request, call)
        except CompletionError as error:
            log_relayed_error(error, request.state.request_id)
            raise RequestRefused(public_error(error, detail=True)) from None
        data = reply.to_dict()
        remove_service_fields(data)
        return Response(dumps(data), media_type="application/json")  # JSONResponse refuses NaN, which servers send

    def _model(self, name: str) -> dict[str, Any]:
        # OpenAI's format requires a time, which is not known; clients show 0 as 1970.
        return {"id": name, "object": "model", "created": self._started, "owned_by": name.partition("/")[0]}

    async def _allowed_models(self, request: Request) -> frozenset[str] | None:
        return await allowed_models(self._authorize, request, self._options.models)


def _check_model(name: str, allowed: frozenset[str] | None) -> None:
    if allowed is not None and name not in allowed:
        refuse(NO_SUCH_MODEL.status, NO_SUCH_MODEL.message, "model", NO_SUCH_MODEL.code)


# --- exception handlers ----------------------------------------------------------------------------------------------


async def _on_refused(_: Request, error: RequestRefused) -> Response:
    return error_response(error.error)


async def _on_http_error(_: Request, error: HTTPException) -> Response:
    """Starlette's own errors (unknown path, wrong method), and those that `authorize` raised."""
    message = _NOT_SERVED if (error.status_code, error.detail) == (404, "Not Found") else str(error.detail)
    kind = "server_error" if error.status_code >= 500 else "invalid_request_error"
    public = PublicError(status=error.status_code, type=kind, message=message, headers=error.headers or {})
    return error_response(public)


_NOT_SERVED = "not found: this endpoint serves POST /chat/completions, GET /models and GET /models/{id}"


async def _on_error(request: Request, error: Exception) -> Response:
    """A bug, or an exception of user code; Starlette raises it again for the server's log."""
    # This response is sent outside of the middleware that adds the id to the others.
    response = error_response(public_error(error))
    response.headers[REQUEST_ID] = request.state.request_id
    return response
