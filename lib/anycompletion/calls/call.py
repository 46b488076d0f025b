"""One branch of a logical call: encodes, signs, sends and decodes one request; knows no other branch.

`retry` decides what happens after a failure, `admission` has the waits before a request is sent, `chunk_source` reads
streamed replies.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlencode, urlsplit

import attrs

from .._async import running_loop
from ..codecs.json import dumps, loads
from ..codecs.lenient import NotJSONError
from ..codecs.sse import Event
from ..dialects.base import Continuation, Prerequisite, Target
from ..errors import (
    MAX_ID,
    APIConnectionError,
    APIError,
    APIResponseError,
    APITimeoutError,
    AuthenticationError,
    CompletionError,
    ConfigurationError,
    RateLimitError,
    printable_id,
)
from ..http import NO_HEADERS, HttpRequest, HttpResponse
from ..logs import log
from ..rate_limit_headers import remaining_quotas, wait_hint
from ..records import ChatCompletion, ReplyInfo
from ..redaction import MaskedBytes
from ..retry_policy import worth_retrying
from ..transport import MAX_ERROR_BODY, AttemptTimeouts, Response, SendDeferred
from ..validation import require_serializable, unserializable_error
from .admission import acquire_limits, wait_to_send
from .call_context import CallContext
from .key_headers import auth_headers
from .plan import override
from .response_bodies import body_kind, events_of, json_lines, page_error, without_event_framing
from .retry import retry_or_raise, start_cooldown

if TYPE_CHECKING:
    from ..records.chunks import ChatCompletionChunk

T = TypeVar("T")

_GATEWAY_TIMEOUTS = frozenset((504, *range(520, 525)))
"""Statuses of a gateway that got no answer from the provider in time; the work may have been done all the same."""

_NO_AUTH: Mapping[str, str] = {}
"""No headers: requests to other hosts do not carry the key."""

CANCEL_TIMEOUT = 5.0
"""Seconds that a request which cancels work at the provider may take."""


class Call(CallContext):
    """One branch of a logical call. The client makes it; it is used once."""

    __slots__ = ()

    def timeouts(self) -> AttemptTimeouts:
        """The timeouts of one attempt."""
        timeout = self.plan.timeout
        return AttemptTimeouts(
            timeout.connect,
            timeout.first_chunk if self.plan.target.stream else None,
            timeout.idle,
            self.deadline,
        )

    # --- the request ---

    def encode_now(self) -> tuple[HttpRequest, bytes | None] | None:
        """The request and its body; None where `encode` has to fetch a prerequisite first.

        Raises:
            InvalidRequestError: the request cannot be expressed in the provider's format.
        """
        plan = self.plan
        encoded = plan.dialect.encode(self.request, plan.target, plan.cache.values)
        return self._ready(encoded) if isinstance(encoded, HttpRequest) else None

    async def encode(self) -> tuple[HttpRequest, bytes | None]:
        """The request and its body; fetches the dialect's prerequisites first.

        Raises:
            InvalidRequestError: the request cannot be expressed in the provider's format.
            APIError: fetching failed.
        """
        plan, missing = self.plan, dict[str, None]()
        while True:
            known = {**missing, **plan.cache.values}
            encoded = plan.dialect.encode(self.request, plan.target, known)
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
        raise unserializable_error(self.request)

    async def _fetch_once(self, needed: Prerequisite) -> bool:
        """Fetches what no call has fetched yet; waits, within this call's time, where another call is fetching it."""
        cache = self.plan.cache
        lock = cache.lock(needed.key)
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
            response = await self._with_retries(lambda: self.exchange(needed.request))
            self.plan.cache.keep(needed.key, loads(response.body))
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
        if body is not None and plan.limits is not None:  # only requests for a reply have a body
            self.permit = await acquire_limits(self, len(body))
        auth = _NO_AUTH
        if request.authenticated:
            auth = plan.auth_headers if plan.auth_headers is not None else await auth_headers(self, request)
        headers = plan.request_headers(request, accept, body is not None, auth)
        if self.idempotency_key and request.method == "POST" and request.authenticated:
            headers = override({plan.provider_state.provider.idempotency_header: self.idempotency_key}, headers)
        url = request.url
        if plan.query and request.authenticated:
            url = f"{url}{'&' if '?' in url else '?'}{urlencode(plan.query)}"
        signer = None
        if plan.may_sign and request.authenticated:
            from .signing import request_signer  # noqa: PLC0415 (few programs sign requests)

            signer = await request_signer(self, request.method, url, headers, body)
        cooldown, info = plan.cooldown, self.info
        must_defer = cooldown.is_cooling_down if request.authenticated else None
        while True:
            await wait_to_send(self, authenticated=request.authenticated)
            if info.attempts:  # the response to an earlier attempt does not belong to this one
                info.status_code, info.headers, info.request_id = None, NO_HEADERS, None
            info.attempts += 1
            if signer is not None:
                headers = signer.signed_headers()
            try:
                response = await plan.transport.send(request.method, url, headers, body, self.timeouts(), must_defer)
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
        request_id = info.headers.first(plan.provider_state.provider.request_id_header)
        if request_id is not None and not (request_id.isprintable() and len(request_id) <= MAX_ID):
            request_id = printable_id(request_id)
        info.request_id = request_id
        if self.permit is not None:
            self.permit.update_from_headers(remaining_quotas(info.headers))
        if log.isEnabledFor(plan.log_level):
            self.log(plan.log_level, "answered", f"status {response.status}")

    async def _status_error(self, response: Response, *, starts_cooldown: bool) -> APIError:
        """The provider's error; `starts_cooldown`: whether a wait hint holds for other calls, too."""
        if response.status < 400:
            response.close()
            where = _host(response.headers.get("location", ""))
            return APIResponseError(
                f"status {response.status} points to {where or 'somewhere else'}; redirects are never followed",
                status_code=response.status,
            )
        body = without_event_framing(await response.read_some(MAX_ERROR_BODY))
        error = self.plan.dialect.error(HttpResponse(response.status, response.headers, body))
        for phrase, name in self.plan.model_by_error_phrase.items():
            if phrase in error.message:
                error.message = f"{error.message} ({name} asks that endpoint)"
                error.args = (error.message,)
                break
        error.maybe_billed = error.maybe_billed or response.status in _GATEWAY_TIMEOUTS
        hint = wait_hint(response.headers, body, now=time.time())
        if hint is not None:
            error.retry_after = hint
            if starts_cooldown:  # for all calls; ``x-should-retry``, which `worth_retrying` reads, is for this one
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
            APIError: the network failed, or the provider's error; its docstring lists the classes.
        """
        try:
            self.start()
            request, body = self.encode_now() or await self.encode()
            result = await self._with_retries(lambda: self._ask(request, body), creating=True)
            while isinstance(result, Continuation):
                result = await self._next_result_or_cancel(result)
        except BaseException as error:  # any error or cancellation: the attempt's permit is released
            self.settle_permit()
            if isinstance(error, (APIError, ConfigurationError)):
                self.log_failure(error)
            raise
        if self.permit is not None:
            self.settle_permit(result.usage)
        self.info.elapsed = self.elapsed()
        if not self.is_part and log.isEnabledFor(self.plan.log_level):
            self.log_finished(result.usage)
        result.info = self.info
        if not result.created:
            result.created = self.reply_time()
        return result

    async def _ask(self, request: HttpRequest, body: bytes | None) -> ChatCompletion | Continuation:
        """One attempt: sends the request and decodes the response."""
        response = await self.send(request, body, "application/json")
        data = await response.read_all(request.max_response_bytes)
        return self.decode(HttpResponse(response.status, response.headers, data))

    async def _with_retries(self, attempt: Callable[[], Awaitable[T]], *, creating: bool = False) -> T:
        """Runs `attempt` until it succeeds or its error is final; `creating` as in `retry_or_raise`."""
        tried = 0
        while True:
            tried += 1
            try:
                result = await attempt()
            except APIError as error:
                failed = error
            else:
                if self.retry_paid:
                    self.return_retry()
                return result
            await retry_or_raise(self, failed, tried, creating=creating)
            del failed  # its traceback has this frame

    async def _next_result_or_cancel(self, continuation: Continuation) -> ChatCompletion | Continuation:
        try:
            return await self.next_result(continuation)
        except BaseException:  # any error or cancellation: nothing waits for the work any more
            self.cancel_upstream_soon(continuation.cancel)
            raise

    def decode(self, response: HttpResponse, *, stream: bool | None = None) -> ChatCompletion | Continuation:
        """The reply in a successful response, or the request that has to be sent next for it."""
        target = self.plan.target if stream is None else attrs.evolve(self.plan.target, stream=stream)
        dialect = self.plan.dialect
        if response.body[:1] != b"{":
            kind = body_kind(response.body)
            if kind == "page":
                raise page_error(response.body)
            if kind == "events":
                return self._decode_events(events_of(response.body, dialect.framing()), target)
        try:
            return dialect.decode(response, self.request, target)
        except APIResponseError:
            lines = json_lines(response.body)
            if not lines:
                raise
        return self._decode_events(lines, target)

    def _decode_events(self, events: Iterable[Event], target: Target) -> ChatCompletion | Continuation:
        """The reply that a stream's events add up to, where a server streams without being asked."""
        state = self.plan.provider_state
        chunks: list[ChatCompletionChunk] = []
        decoder = self.plan.dialect.decoder(self.request, target)
        for event in events:
            chunks += decoder.feed(event)
            if decoder.done:
                break
        end = decoder.finish()
        return end if isinstance(end, Continuation) else state.accumulate([*chunks, *end])

    async def next_result(self, continuation: Continuation) -> ChatCompletion | Continuation:
        """Waits as long as the provider asks for; returns the reply, or another continuation if it is unfinished."""
        response = await self.next_response(continuation)
        try:
            return self.decode(response)
        except APIError as error:
            raise self.with_details(error) from None

    async def next_response(self, continuation: Continuation) -> HttpResponse:
        """The response to a continuation. Only this request is retried: a second creating one would be billed too.

        Raises:
            APIError: the total timeout ran out, the network failed, or the provider's error.
        """
        left = self.time_left()
        await self.plan.transport.pause(continuation.after if left is None else max(0.0, min(continuation.after, left)))
        left = self.time_left()
        if left is not None and left <= 0:
            raise self.with_details(
                APITimeoutError("the total timeout ran out at an unfinished reply", phase="total", maybe_billed=True)
            )
        return await self.fetch(continuation.request)

    async def fetch(self, request: HttpRequest) -> HttpResponse:
        """The whole response to a request that asks for no reply and so is never billed; it is repeated as calls are.

        Raises:
            APIError: the network failed, or the provider's error.
        """
        return await self._with_retries(lambda: self.exchange(request))

    # --- giving up ---

    def cancel_upstream_soon(self, request: HttpRequest | None) -> None:
        """Cancels the work at the provider, in a task of its own, so that cancelling the call does not wait for it."""
        loop = running_loop()
        if request is not None and loop is not None:
            self.plan.provider_state.track_cancel_request(loop.create_task(self._cancel_upstream(request)))

    async def _cancel_upstream(self, request: HttpRequest) -> None:
        """Sends the request that cancels the work at the provider; its errors are ignored."""
        info = ReplyInfo(self.info.provider, self.info.model)
        call = Call(self.plan.for_cancel_request(CANCEL_TIMEOUT), self.request, info)
        call.start()
        try:
            (await call.send(request, None, "application/json")).close()
        except CompletionError:
            pass


def _host(url: str) -> str | None:
    """The host of a URL that a server wrote; None where it has none."""
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
