"""One branch of a logical call: encodes, signs, sends and decodes one request; knows no other branch.

`retry` decides what happens after a failure, `admission` has the waits before a request is sent, `chunk_source` reads
streamed replies.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlencode, urlsplit

import attrs

from .._async import running_loop
from ..codecs.json import dumps, loads
from ..codecs.lenient import NotJSONError
from ..dialects.base import Continuation, Prerequisite
from ..errors import (
    APIConnectionError,
    APIError,
    APIResponseError,
    APITimeoutError,
    AuthenticationError,
    CompletionError,
    RateLimitError,
    printable,
)
from ..http import NO_HEADERS, HttpRequest, HttpResponse
from ..logs import log
from ..options import Secret
from ..rate_limit_headers import remaining_quotas, wait_hint
from ..ratelimit.limiter import RemainingQuota
from ..ratelimit.token_estimate import used_tokens
from ..records import ChatCompletion, ChatRequest, ReplyInfo, Usage
from ..redaction import MaskedBytes, hide_echoes
from ..retry_policy import worth_retrying
from ..transport import MAX_ERROR_BODY, Deadlines, Response, SendDeferred
from ..validation import find_unserializable, require_serializable
from .admission import acquire_connection, acquire_limits
from .plan import CallPlan, override
from .retry import retry_or_raise, start_cooldown, with_retries
from .signing import signed_headers

if TYPE_CHECKING:
    from ..ratelimit.client_limits import Permit

_GATEWAY_TIMEOUTS = frozenset((504, *range(520, 525)))
"""Statuses of a gateway that got no answer from the provider in time; the work may have been done all the same."""

_UNSIGNED: Mapping[str, str] = {}

CANCEL_TIMEOUT = 5.0
"""Seconds that a request which cancels work at the provider may take."""

E = TypeVar("E", bound=CompletionError)


class Call:
    """One branch of a logical call. The client makes it; it is used once."""

    __slots__ = (
        "free_reconnect_used",
        "idempotency_key",
        "info",
        "key_refreshed",
        "last_key_sent",
        "last_rate_limit_error",
        "on_throttled",
        "permit",
        "plan",
        "request",
        "started",
    )

    def __init__(self, plan: CallPlan, request: ChatRequest, info: ReplyInfo, started: float = 0.0) -> None:
        self.plan = plan
        self.request = request
        self.info = info
        self.started = started
        """When the logical call began, on the loop's clock; 0.0 before that."""
        self.on_throttled: Callable[[], None] | None = None
        """Called after each attempt that the provider refused because it gets too many requests."""
        self.idempotency_key = ""
        """The same for all attempts; "" for providers that know none."""
        self.permit: Permit | None = None
        """What the attempt that is under way has acquired of the client's limits."""
        self.last_rate_limit_error: RateLimitError | None = None
        """The last error with a wait hint."""
        self.key_refreshed = False
        """Whether the caller's function was asked for another key after a 401."""
        self.free_reconnect_used = False
        """Whether a connection that could not be made was tried again without spending retry budget."""
        self.last_key_sent: Secret | None = None
        """The key that a function gave last, so that echoes of it can be hidden."""

    # --- time ---

    def start(self) -> None:
        """Begins the logical call: its total timeout runs from here."""
        if not self.started:
            self.started = asyncio.get_running_loop().time()
        self.plan.endpoint.retry_budget.deposit()
        if self.plan.state.provider.idempotency_header:
            self.idempotency_key = str(uuid.uuid4())

    def deadlines(self) -> Deadlines:
        """The timeouts of one attempt."""
        timeout = self.plan.timeout
        return Deadlines(
            timeout.connect,
            timeout.first_chunk if self.plan.target.stream else None,
            timeout.idle,
            None if timeout.total is None else self.started + timeout.total,
        )

    def time_left(self) -> float | None:
        """Seconds until the total timeout; None if there is none."""
        total = self.plan.timeout.total
        return None if total is None else self.started + total - asyncio.get_running_loop().time()

    def elapsed(self) -> float:
        """Seconds since the logical call began."""
        return asyncio.get_running_loop().time() - self.started

    # --- the request ---

    def encode_now(self) -> tuple[HttpRequest, bytes | None] | None:
        """The request and its body, or None where something has to be fetched first; raises what encoding raises."""
        plan = self.plan
        encoded = plan.state.dialect.encode(self.request, plan.target, plan.state.cache.values)
        return self._ready(encoded) if isinstance(encoded, HttpRequest) else None

    async def encode(self) -> tuple[HttpRequest, bytes | None]:
        """The request and its body; fetches first what the dialect needs.

        Raises:
            InvalidRequestError: the request cannot be expressed in the provider's format.
            APIError: fetching failed.
        """
        plan, missing = self.plan, dict[str, None]()
        while True:
            known = {**missing, **plan.state.cache.values}
            encoded = plan.state.dialect.encode(self.request, plan.target, known)
            if isinstance(encoded, HttpRequest):
                return self._ready(encoded)
            require_serializable(self.request)  # what cannot be sent is refused before anything is fetched for it
            if not await self._fetch_once(encoded):
                missing[encoded.key] = None

    def _ready(self, request: HttpRequest) -> tuple[HttpRequest, bytes | None]:
        self.info.warnings.extend(request.warnings)
        body = request.body
        if body is None or isinstance(body, bytes):
            return request, body
        try:
            return request, MaskedBytes(dumps(body))
        except (TypeError, ValueError, RecursionError):
            pass
        raise find_unserializable(self.request)

    async def _fetch_once(self, needed: Prerequisite) -> bool:
        """Fetches what no call has fetched yet; waits, within this call's time, where another call is fetching it."""
        cache = self.plan.state.cache
        lock = cache.locks.setdefault(needed.key, asyncio.Lock())
        try:
            async with asyncio.timeout(self.time_left()):
                await lock.acquire()
        except TimeoutError:
            pass
        else:
            try:
                return needed.key in cache.values or await self._fetch(needed)
            finally:
                lock.release()
        raise self.with_details(APITimeoutError("the total timeout ran out in the queue", phase="total"))

    async def _fetch(self, needed: Prerequisite) -> bool:
        """Fetches what the dialect needs; False where the provider does not give it, which is not remembered.

        Raises:
            APIError: the network failed, or an error that the call itself would meet too.
        """
        try:
            response = await with_retries(self, lambda: self.exchange(needed.request))
            self.plan.state.cache.values[needed.key] = loads(response.body)
        except (AuthenticationError, RateLimitError, APIConnectionError):
            raise
        except (APIError, NotJSONError):
            return False
        return True

    # --- one attempt ---

    async def send(self, request: HttpRequest, body: bytes | None, accept: str) -> Response:
        """Sends one request; returns its response, whose body is yet to be read, if the status is good.

        Raises:
            APIError: no response, or the provider's error.
        """
        plan = self.plan
        if body is not None and plan.limits is not None:
            self.permit = await acquire_limits(self, len(body))
        signed = _UNSIGNED
        if request.authenticated:
            signed = plan.signed if plan.signed is not None else await signed_headers(self, request)
        headers = plan.request_headers(request, accept, body is not None, signed)
        if self.idempotency_key and request.method == "POST" and request.authenticated:
            headers = override({plan.state.provider.idempotency_header: self.idempotency_key}, headers)
        url = request.url
        if plan.query and request.authenticated:
            url = f"{url}{'&' if '?' in url else '?'}{urlencode(plan.query)}"
        cooldown, info = plan.endpoint.cooldown, self.info
        must_defer = cooldown.is_active if request.authenticated else None
        while True:
            await acquire_connection(self, authenticated=request.authenticated)
            if info.attempts:  # what an earlier attempt was answered says nothing of this one
                info.status_code, info.headers, info.request_id = None, NO_HEADERS, None
            info.attempts += 1
            try:
                response = await plan.pool.send(request.method, url, headers, body, self.deadlines(), must_defer)
                break
            except SendDeferred:
                info.attempts -= 1
        self._note_response(response)
        if response.status >= 300:
            raise await self._status_error(response, starts_cooldown=request.authenticated)
        cooldown.record_success(self.started)
        return response

    def _note_response(self, response: Response) -> None:
        info, plan = self.info, self.plan
        info.status_code = response.status
        info.headers = plan.without_echoes(response.headers, self.last_key_sent)
        info.request_id = info.headers.first(plan.state.provider.request_id_header)
        if self.permit is not None:
            self.permit.update_from_headers([RemainingQuota(*quota) for quota in remaining_quotas(info.headers)])
        if log.isEnabledFor(plan.log_level):
            self.log(plan.log_level, "answered", f"status {response.status}")

    async def _status_error(self, response: Response, *, starts_cooldown: bool) -> APIError:
        """The provider's error; `starts_cooldown` says whether a wait hint is one for all calls with this key."""
        if response.status < 400:
            response.close()
            where = _host(response.headers.get("location", ""))
            return APIResponseError(
                f"status {response.status} points to {where or 'somewhere else'}; redirects are never followed",
                status_code=response.status,
            )
        body = await response.read_some(MAX_ERROR_BODY)
        error = self.plan.state.dialect.error(HttpResponse(response.status, response.headers, body))
        error.maybe_billed = error.maybe_billed or response.status in _GATEWAY_TIMEOUTS
        hint = wait_hint(response.headers, body)
        if hint is not None:
            error.retry_after = hint
            if starts_cooldown:
                start_cooldown(self, error)
        error.retryable = worth_retrying(error)
        return error

    async def exchange(self, request: HttpRequest) -> HttpResponse:
        """Sends a request without a body and returns the whole response."""
        response = await self.send(request, None, "application/json")
        data = await response.read_all(request.max_response_bytes)
        return HttpResponse(response.status, response.headers, data)

    # --- a whole reply ---

    async def complete(self) -> ChatCompletion:
        """One reply.

        Raises:
            InvalidRequestError: the request cannot be expressed in the provider's format; nothing was sent.
            APIError: see the error table.
        """
        try:
            self.start()
            request, body = self.encode_now() or await self.encode()
            result = await self._first_success(request, body)
            while isinstance(result, Continuation):
                result = await self._continue(result)
        except BaseException:  # whatever it was, cancellation too: what the attempt has acquired is given back
            self.settle_permit()
            raise
        if self.permit is not None:
            self.settle_permit(result.usage)
        self.info.elapsed = self.elapsed()
        result.info = self.info
        return result

    async def _first_success(self, request: HttpRequest, body: bytes | None) -> ChatCompletion | Continuation:
        """The result of the first attempt that succeeds."""
        tried = 0
        while True:
            tried += 1
            try:
                response = await self.send(request, body, "application/json")
                data = await response.read_all(request.max_response_bytes)
                whole = HttpResponse(response.status, response.headers, data)
                return self.plan.state.dialect.decode(whole, self.request, self.plan.target)
            except APIError as error:
                failed = error
            await retry_or_raise(self, failed, tried, creating=True)
            del failed  # its traceback has this frame

    async def _continue(self, continuation: Continuation) -> ChatCompletion | Continuation:
        try:
            return await self.follow(continuation)
        except (asyncio.CancelledError, APITimeoutError):
            self.cancel_upstream_soon(continuation.cancel)
            raise

    def decode(self, response: HttpResponse, *, stream: bool | None = None) -> ChatCompletion | Continuation:
        """The reply that a good response holds, or what has to be asked next for it."""
        target = self.plan.target if stream is None else attrs.evolve(self.plan.target, stream=stream)
        return self.plan.state.dialect.decode(response, self.request, target)

    async def follow(self, continuation: Continuation) -> ChatCompletion | Continuation:
        """The result of a reply that was not finished, after the wait that its provider asks for."""
        response = await self.followed(continuation)
        try:
            return self.decode(response)
        except APIError as error:
            raise self.with_details(error) from None

    async def followed(self, continuation: Continuation) -> HttpResponse:
        """The response to a continuation. Only this request is retried: a second creating one would be billed again."""
        await self.plan.pool.pause(continuation.after)
        return await with_retries(self, lambda: self.exchange(continuation.request))

    # --- giving up ---

    def settle_permit(self, usage: Usage | None = None, *, refused: bool = False) -> None:
        """Ends the attempt for the client's limits: a refused one used no tokens, an unknown usage is as estimated."""
        permit, self.permit = self.permit, None
        if permit is not None:
            permit.settle(0 if refused else used_tokens(usage))

    def cancel_upstream_soon(self, request: HttpRequest | None) -> None:
        """Cancels the work at the provider, in a task of its own, so that whoever cancels does not wait for it."""
        loop = running_loop()
        if request is not None and loop is not None:
            self.plan.state.track_cancel_request(loop.create_task(self._cancel_upstream(request)))

    async def _cancel_upstream(self, request: HttpRequest) -> None:
        """Sends the request that cancels the work at the provider; its failure changes nothing."""
        info = ReplyInfo(self.info.provider, self.info.model)
        call = Call(self.plan.for_cancel_request(CANCEL_TIMEOUT), self.request, info)
        call.start()
        try:
            (await call.send(request, None, "application/json")).close()
        except CompletionError:
            pass

    def with_details(self, error: E) -> E:
        """`error` with everything that the call knows, without echoes of the key, and without our frames."""
        info = self.info
        error.provider, error.model = self.plan.target.provider, self.plan.target.model
        error.attempts, error.elapsed = info.attempts, self.elapsed()
        error.request_id = error.request_id or info.request_id
        error.status_code = error.status_code or info.status_code
        error.headers = error.headers if error.headers is not None else (info.headers or None)
        secrets = self.plan.secrets(self.last_key_sent)
        hide_echoes(error, secrets)
        hide_echoes(info, secrets)
        if isinstance(error, AuthenticationError) and self.plan.key_origin:
            error.message = f"{error.message} ({self.plan.key_origin})"
            error.args = (error.message,)
        return error.with_traceback(None)

    def log(self, level: int, event: str, text: str, **details: object) -> None:
        """Logs one event of the call, without anything that the request or the reply contains."""
        if not log.isEnabledFor(level):
            return
        # A model's name comes from the caller; it must not add lines to the log.
        info, provider, model = self.info, self.plan.target.provider, printable(self.plan.target.model)
        extra = {"event": event, "provider": provider, "model": model, "attempt": info.attempts}
        extra |= {"status": info.status_code, "request_id": info.request_id, "elapsed": self.elapsed(), **details}
        log.log(level, "%s %s: %s", provider, model, text, extra=extra, stacklevel=2)

    def log_failure(self, error: APIError) -> None:
        """Logs that the call failed: at WARNING after retries, which nothing else reports."""
        kind, attempts = type(error).__name__, self.info.attempts
        if attempts > 1:
            self.log(logging.WARNING, "gave_up", f"given up after {attempts} attempts: {kind}", error=kind)
        else:
            self.log(self.plan.log_level, "failed", f"failed: {kind}", error=kind)


def _host(url: str) -> str | None:
    """The host of a URL that a server wrote; None where it has none."""
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
