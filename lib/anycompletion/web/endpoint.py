"""An OpenAI-compatible endpoint for any provider, on Starlette; maps wire fields and never takes options of a call.

Whoever reaches it spends the service's keys. So nobody gets in whom `authorize` did not let in, before a byte of the
body is read; and a body says what to ask, never where, with which key, or for how long.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Awaitable, Callable, Collection
from typing import Any, NoReturn, TypeAlias, cast

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .. import AsyncCompletion, CallOptions, CompletionError, CreateParams, Params
from ..errors import printable
from .public_errors import NO_SUCH_MODEL, PublicError, public_error, relayed_error
from .starlette import EventResponse, error_response, unless_disconnected

Permit: TypeAlias = "bool | Collection[str] | None"
"""True: any model. False or None: none, which is a 401. Names: these models."""

Authorize: TypeAlias = "Callable[[Request], Permit | Awaitable[Permit]]"
"""Says of a request who may ask for what."""

_WIRE = frozenset(Params.__annotations__)
_ASKED = _WIRE | {"model", "messages", "stream"}
_OPTIONS = frozenset(CallOptions.__annotations__)
_LONGEST_NAME = 100


class Refused(Exception):
    """What a request gets instead of an answer."""

    def __init__(self, error: PublicError) -> None:
        super().__init__(error.message)
        self.error = error


def application(
    client: AsyncCompletion,
    authorize: Authorize,
    extra_fields: frozenset[str],
    max_body: int,
    max_n: int,
    ping: float | None,
) -> Starlette:
    """The application; `chat_completions_app` says what it does.

    Raises:
        ValueError: a number is out of range, or a name in `extra_fields` is one of OpenAI's.
    """
    for name, value in (("max_body", max_body), ("max_n", max_n)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    if known := extra_fields & _ASKED:
        raise ValueError(f"extra_fields: {min(known)!r} is one of OpenAI's fields, and allowed already")
    endpoint = _Endpoint(client, authorize, extra_fields, max_body, max_n, ping)
    routes = [
        Route(root + path, handler, methods=[method])
        for root in ("", "/v1")
        for path, handler, method in (
            ("/chat/completions", endpoint.chat, "POST"),
            ("/models", endpoint.models, "GET"),
        )
    ]
    handlers: Any = {Refused: _refused, HTTPException: _http_error, Exception: _broken}
    return Starlette(routes=routes, exception_handlers=handlers)


class _Endpoint:
    """The handlers, and what they share."""

    def __init__(
        self,
        client: AsyncCompletion,
        authorize: Authorize,
        extra_fields: frozenset[str],
        max_body: int,
        max_n: int,
        ping: float | None,
    ) -> None:
        self._client = client
        self._authorize = authorize
        self._extra_fields = extra_fields
        self._max_body = max_body
        self._max_n = max_n
        self._ping = ping

    async def models(self, request: Request) -> Response:
        """The models that `authorize` named."""
        allowed = await permit(self._authorize, request)
        listed = [
            {"id": name, "object": "model", "created": 0, "owned_by": name.partition("/")[0]}
            for name in sorted(allowed or ())
        ]
        return JSONResponse({"object": "list", "data": listed})

    async def chat(self, request: Request) -> Response:
        """One chat completion, plain or streamed."""
        allowed = await permit(self._authorize, request)
        body = parsed(await read_body(request, self._max_body))
        model, messages, stream, params = asked(body, self._extra_fields, self._max_n)
        if allowed is not None and model not in allowed:
            refuse(NO_SUCH_MODEL.status, NO_SUCH_MODEL.message, "model", NO_SUCH_MODEL.code)
        try:
            try:
                if stream:
                    opened = self._client.stream(model, messages, **params)
                    return EventResponse(opened, self._ping, None, detail=True)
                call = self._client.create(model, messages, **params)
            finally:
                del body, messages, params  # this frame is in the traceback of whatever goes wrong
            reply = await unless_disconnected(request, call)
        except CompletionError as error:
            relayed_error(error)
            raise Refused(public_error(error, detail=True)) from None
        return JSONResponse(reply.to_dict())


async def permit(authorize: Authorize, request: Request) -> frozenset[str] | None:
    """The models that `request` may ask for; None is any.

    Raises:
        Refused: 401, none.
        TypeError: `authorize` returned something else than it should.
    """
    said = authorize(request)
    if inspect.isawaitable(said):
        said = await said
    if said is True:
        return None
    if said is False or said is None:
        refuse(401, "the key is missing, or was not accepted", None, "invalid_api_key", "WWW-Authenticate: Bearer")
    names: Any = said
    if isinstance(names, (str, bytes)) or not isinstance(names, Collection):
        # A single text would let everybody in who asks for one of its letters.
        raise TypeError(f"authorize must return a bool or a collection of models, not {type(names).__name__}")
    return frozenset(cast("Collection[str]", names))


async def read_body(request: Request, most: int) -> bytes:
    """The body, where it is JSON by its own account and not too large.

    Raises:
        Refused: 413 or 415.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        # Other types a browser sends for any web page, with its user's cookies, and asks nobody.
        refuse(415, "the content-type must be application/json")
    length = request.headers.get("content-length", "")
    if length.isdecimal() and len(length) < _DIGITS and int(length) > most:
        _too_large(most)
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > most:
                _too_large(most)
    except ClientDisconnect:
        raise HTTPException(499, "the client closed the request") from None
    return bytes(body)


_DIGITS = 20


def _too_large(most: int) -> NoReturn:
    refuse(413, f"the body is larger than {most} bytes")


def parsed(body: bytes) -> dict[str, Any]:
    """A body as the JSON object it is.

    Raises:
        Refused: 400.
    """
    try:
        value = json.loads(body, parse_constant=_no_number)
    except (ValueError, RecursionError):
        refuse(400, "the body is not JSON")
    if not isinstance(value, dict):
        refuse(400, "the body must be a JSON object")
    return cast("dict[str, Any]", value)


def _no_number(text: str) -> NoReturn:
    raise ValueError(text)


def asked(body: dict[str, Any], extra_fields: Collection[str], max_n: int) -> tuple[str, list[Any], bool, CreateParams]:
    """Model, messages, whether to stream, and what goes to the client beside these.

    Raises:
        Refused: 400, with the field at fault.
    """
    for name in body:
        if name not in _ASKED and name not in extra_fields:
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
    params: dict[str, Any] = {name: value for name, value in body.items() if name in _WIRE}
    if extra := {name: body[name] for name in extra_fields if name in body}:
        params["extra_body"] = extra
    return model, cast("list[Any]", messages), bool(stream), cast("CreateParams", params)


def _refuse_field(name: str) -> NoReturn:
    shown = printable(name[:_LONGEST_NAME])
    why = "is the service's to choose" if name in _OPTIONS else "is not known here"
    refuse(400, f"{shown}: {why}", shown, "unknown_parameter")


def refuse(status: int, message: str, param: str | None = None, code: str | None = None, header: str = "") -> NoReturn:
    """Ends the request with an error of the caller's."""
    name, _, value = header.partition(": ")
    raise Refused(
        PublicError(
            status=status,
            type="invalid_request_error",
            code=code,
            message=message,
            param=param,
            headers={name: value} if header else {},
        )
    )


# --- errors as answers -----------------------------------------------------------------------------------------------


async def _refused(_: Request, refused: Refused) -> Response:
    return error_response(refused.error)


async def _http_error(_: Request, error: HTTPException) -> Response:
    """Starlette's own (no such path or method), and what `authorize` raised."""
    kind = "server_error" if error.status_code >= 500 else "invalid_request_error"
    public = PublicError(status=error.status_code, type=kind, message=str(error.detail), headers=error.headers or {})
    return error_response(public)


async def _broken(_: Request, fault: Exception) -> Response:
    """A bug, or somebody else's code; Starlette passes it on to the server's log."""
    return error_response(public_error(fault))
