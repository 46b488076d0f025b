"""One branch of a logical call: encode, sign, send, retry, decode a whole reply; knows no other branch."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar, cast
from urllib.parse import urlencode, urlsplit

import attrs

from ..auth import check_key
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
    ConfigurationError,
    InvalidRequestError,
    RateLimitError,
    printable,
)
from ..http import Headers, HttpRequest, HttpResponse, RequestHeaders
from ..logs import log
from ..options import Secret
from ..rate_limit_headers import wait_hint
from ..records import ChatCompletion, ChatRequest, ReplyInfo
from ..redaction import MaskedBytes, MaskedValue, hide_echoes
from ..retry_policy import (
    MAX_HINT,
    is_overload,
    is_throttled,
    may_have_begun,
    next_delay,
    was_never_seen,
    worth_retrying,
)
from ..transport import MAX_ERROR_BODY, MAX_JSON, Deadlines, Response, SendDeferred
from ..validation import find_unserializable, require_serializable
from .admission import acquire_connection
from .plan import CallPlan, override

_LOST_PATIENCE = frozenset((504, *range(520, 525)))
"""Statuses of a gateway that heard nothing from the provider in time; that may have done the work all the same."""

_UNSIGNED: Mapping[str, str] = {}

_CANCEL_TIME = 5.0
"""Seconds the provider gets to learn that nobody waits any more."""

T = TypeVar("T")
E = TypeVar("E", bound=CompletionError)


class Call:
    """One branch of a logical call; made by the client, used once."""

    __slots__ = (
        "free_reconnect_used",
        "idempotency_key",
        "info",
        "key_refreshed",
        "last_key_sent",
        "last_rate_limit_error",
        "on_throttled",
        "plan",
        "request",
        "started",
    )

    def __init__(self, plan: CallPlan, request: ChatRequest, info: ReplyInfo, began: float = 0.0) -> None:
        self.plan = plan
        self.request = request
        self.info = info
        self.on_throttled: Callable[[], None] | None = None
        """Told of each attempt that the provider refused because there are too many."""
        self.started = began
        """On the loop's clock; 0.0 before the call begins."""
        self.idempotency_key = ""
        """The same for all attempts."""
        self.last_rate_limit_error: RateLimitError | None = None
        """The last answer that asked to wait."""
        self.key_refreshed = False
        """Whether the caller's function was asked for another key."""
        self.free_reconnect_used = False
        """Whether a connection that was never made was tried again for nothing."""
        self.last_key_sent: Secret | None = None
        """The key last sent, so that an answer that echoes it can be cleaned."""

    # --- one attempt ---

    def start(self) -> None:
        """The logical call begins: `total` runs from here."""
        if not self.started:
            self.started = asyncio.get_running_loop().time()
        self.plan.endpoint.retry_budget.deposit()
        if self.plan.idempotency_header:
            self.idempotency_key = str(_new_uuid())

    def deadlines(self) -> Deadlines:
        """The clocks of one attempt."""
        timeout = self.plan.timeout
        return Deadlines(
            timeout.connect,
            timeout.first_chunk if self.plan.target.stream else None,
            timeout.idle,
            None if timeout.total is None else self.started + timeout.total,
        )

    def encoded_now(self) -> tuple[HttpRequest, bytes | None] | None:
        """The request if nothing has to be fetched for it; raises what encoding raises."""
        encoded = self._encode(self.plan.cache.values)
        if not isinstance(encoded, HttpRequest):
            return None
        self.info.warnings.extend(encoded.warnings)
        return encoded, self._bytes(encoded)

    async def encoded(self) -> tuple[HttpRequest, bytes | None]:
        """The request as a value and its body as bytes; fetches what the dialect needs first."""
        missing: dict[str, None] = {}
        while True:
            encoded = self._encode({**missing, **self.plan.cache.values})
            if isinstance(encoded, HttpRequest):
                break
            require_serializable(self.request)  # what cannot be sent is refused before anything is fetched for it
            if not await self._known(encoded):
                missing[encoded.key] = None
        self.info.warnings.extend(encoded.warnings)
        return encoded, self._bytes(encoded)

    def _encode(self, known: Mapping[str, Any]) -> HttpRequest | Prerequisite:
        try:
            return self.plan.dialect.encode(self.request, self.plan.target, known)
        except InvalidRequestError as fault:
            # The dialect's frames hold the messages, and tell nothing that `.param` does not.
            refusal = fault.with_traceback(None)
        raise refusal

    async def _known(self, need: Prerequisite) -> bool:
        """Fetches what nobody has fetched yet; who waits for another call's fetch does so in its own time."""
        lock = self.plan.cache.locks.setdefault(need.key, asyncio.Lock())
        clock = asyncio.timeout(self.time_left())
        try:
            async with clock:
                await lock.acquire()
        except TimeoutError:
            pass
        else:
            try:
                return need.key in self.plan.cache.values or await self._fetch(need)
            finally:
                lock.release()
        raise self.with_call_details(APITimeoutError("the total timeout ran out in the queue", phase="total"))

    async def _fetch(self, need: Prerequisite) -> bool:
        """Fetches what the dialect needs; False where the provider does not give it, which is this call's alone.

        Raises:
            APIError: the road failed, or an error that the call itself would meet too.
        """
        try:
            response = await self.with_retries(lambda: self._response(need.request))
            self.plan.cache.values[need.key] = loads(response.body)
        except (AuthenticationError, RateLimitError, APIConnectionError):
            raise
        except (APIError, NotJSONError):
            return False
        return True

    async def _response(self, request: HttpRequest) -> HttpResponse:
        exchange = await self.send(request, None, "application/json")
        return HttpResponse(exchange.status, exchange.headers, await exchange.read_all(MAX_JSON))

    def _bytes(self, request: HttpRequest) -> bytes | None:
        if request.body is None:
            return None
        if isinstance(request.body, bytes):
            return MaskedBytes(request.body)
        try:
            return MaskedBytes(dumps(request.body))
        except (TypeError, ValueError, RecursionError):
            pass  # and it is let go of here: it holds the text
        raise find_unserializable(self.request).with_traceback(None)

    async def send(self, request: HttpRequest, body: bytes | None, accept: str) -> Response:
        """Sends one request; an answer with a bad status is an error.

        Raises:
            APIError: no answer, or the provider's error.
        """
        plan = self.plan
        signed = _UNSIGNED
        if request.authenticated:
            signed = plan.signed if plan.signed is not None else await self._signed(request)
        headers = plan.request_headers(request, accept, body is not None, signed)
        if self.idempotency_key and request.method == "POST" and request.authenticated:
            headers = override({plan.idempotency_header: self.idempotency_key}, headers)
        exchange = await self._sent(request, headers, body)
        info = self.info
        info.status_code = exchange.status
        info.headers = plan.without_echoes(exchange.headers, self.last_key_sent)
        info.request_id = info.headers.first(plan.request_id_header)
        if log.isEnabledFor(plan.log_level):
            self._log(plan.log_level, "answered", f"status {exchange.status}")
        if not 200 <= exchange.status < 300:
            raise await self._bad_status(exchange, shared=request.authenticated)
        plan.endpoint.cooldown.record_success(self.started)
        return exchange

    async def _sent(self, request: HttpRequest, headers: RequestHeaders, body: bytes | None) -> Response:
        """Sends when it is this call's turn."""
        rest, url, info = self.plan.endpoint.cooldown, self._url(request), self.info
        limit = self.plan.pool.connection_limit
        # Where our key does not go, its rests do not hold: who neither waits for a rest nor is let pass spins.
        held = rest.is_active if request.authenticated else None
        while True:
            if rest.until and request.authenticated:
                await self._wait_for_cooldown()
            info.attempts += 1
            if info.attempts > 1:
                # What an earlier attempt was told is not said of this one.
                info.status_code, info.headers, info.request_id = None, Headers(), None
            try:
                if not limit.try_acquire():
                    await acquire_connection(limit, self.time_left(), held)
                return await self.plan.pool.send(request.method, url, headers, body, self.deadlines(), held)
            except SendDeferred:
                info.attempts -= 1

    async def _wait_for_cooldown(self) -> None:
        """Waits while all calls to this provider with this key rest.

        Raises:
            RateLimitError: that would take longer than this call may.
        """
        rest, left = self.plan.endpoint.cooldown, self.time_left()
        wait = rest.expected(asyncio.get_running_loop().time())
        if left is None or wait < left:
            self._log(self.plan.log_level, "resting", f"waits {wait:.2f} s, as all calls with this key do", delay=wait)
            clock = asyncio.timeout(left)
            try:
                async with clock:
                    await rest.wait()
            except TimeoutError:
                if not clock.expired():
                    raise
            else:
                return
        error = self.last_rate_limit_error or RateLimitError(
            f"{self.plan.target.provider} asked for a pause, which all calls with this key keep; it is longer than "
            "this call's timeout, so nothing was sent",
            retry_after=wait,
        )
        raise self.with_call_details(error)

    async def _signed(self, request: HttpRequest) -> dict[str, str]:
        """The headers that carry the key."""
        plan = self.plan
        if not callable(plan.key):
            key = plan.checked_key()
            plan.signed = plan.sign(request, key)
            return plan.signed
        key = check_key(await self._asked(plan.key), plan.target.provider, plan.key_source)
        if self.last_key_sent is None or self.last_key_sent.reveal() != key:
            self.last_key_sent = Secret(key)
        return plan.sign(request, key)

    async def _asked(self, ask: Callable[[], Awaitable[str]]) -> object:
        """What the caller's function says the key is; it is part of the call, so the call's time bounds it.

        Raises:
            APITimeoutError: it took too long.
            ConfigurationError: it failed, or is no async function.
        """
        clock = asyncio.timeout(self.time_left())
        try:
            async with clock:
                key = cast("object", await ask())
                return MaskedValue(key) if isinstance(key, str) else key
        except CompletionError:
            raise
        except Exception as fault:  # noqa: BLE001 (somebody else's code may fail in any way)
            reason = type(fault).__name__
        if clock.expired():
            raise APITimeoutError("the total timeout ran out while the key was asked for", phase="total")
        raise ConfigurationError(
            f"the function that gives the key for {self.plan.target.provider} failed with {reason}; it must be async "
            "and return text",
            provider=self.plan.target.provider,
        )

    def _url(self, request: HttpRequest) -> str:
        url = request.url
        if not self.plan.query or not request.authenticated:
            return url
        return f"{url}{'&' if '?' in url else '?'}{urlencode(self.plan.query)}"

    async def _bad_status(self, exchange: Response, *, shared: bool) -> APIError:
        """The provider's error; `shared` says whether a pause it asks for is one for all calls with this key."""
        if exchange.status < 400:
            exchange.close()
            where = _host(exchange.headers.get("location", ""))
            return APIResponseError(
                f"status {exchange.status} points to {where or 'somewhere else'}; redirects are never followed",
                status_code=exchange.status,
            )
        body = await exchange.read_some(MAX_ERROR_BODY)
        error = self.plan.dialect.error(HttpResponse(exchange.status, exchange.headers, body))
        error.maybe_billed = error.maybe_billed or exchange.status in _LOST_PATIENCE
        hint = wait_hint(exchange.headers, body)
        if hint is not None:
            error.retry_after = hint
            if shared and isinstance(error, RateLimitError) and error.retryable and hint <= MAX_HINT:
                self.last_rate_limit_error = error
                self.plan.endpoint.cooldown.start(hint, asyncio.get_running_loop().time(), random.random)
        error.retryable = worth_retrying(error)
        return error

    # --- attempts ---

    async def with_retries(self, attempt: Callable[[], Awaitable[T]], *, tried: int = 0, creating: bool = False) -> T:
        """Runs `attempt` until it succeeds or its error is final; `tried` attempts were made before."""
        while True:
            tried += 1
            try:
                return await attempt()
            except APIError as fault:
                error = fault
            await self.retry_or_raise(error, tried, creating=creating)

    async def retry_or_raise(self, error: APIError, tried: int, *, creating: bool = False) -> None:
        """Waits before the next attempt, or raises `error`, stamped."""
        if self.on_throttled is not None and is_overload(error):
            self.on_throttled()
        if creating and not self.plan.retry_safe and may_have_begun(error):
            self._give_up(error)
            raise self.with_call_details(error)
        if self._has_another_key(error) and tried <= self.plan.max_retries:
            return
        delay = next_delay(
            error,
            tried=tried,
            max_retries=self.plan.max_retries,
            time_left=self.time_left(),
            random=random.random,
        )
        if delay is None or not self._retry_budget_allows(error):
            self._give_up(error)
            raise self.with_call_details(error)
        if error.maybe_billed:
            self.info.warnings.append(
                f"attempt {tried} got no answer ({error.phase}); it may have been billed all the same"
            )
        kind = type(error).__name__
        self._log(self.plan.log_level, "retrying", f"{kind}, again in {delay:.2f} s", error=kind, delay=delay)
        if error is self.last_rate_limit_error and self.plan.endpoint.cooldown.until:
            return  # sending waits until the rest that all calls keep is over
        await self.plan.pool.pause(delay)

    def _has_another_key(self, error: APIError) -> bool:
        """Whether the function that gives the key is to be asked again: once, because tokens grow old."""
        if self.key_refreshed or not callable(self.plan.key) or not isinstance(error, AuthenticationError):
            return False
        self.key_refreshed = True
        return True

    def _retry_budget_allows(self, error: APIError) -> bool:
        """Whether a retry may be made: those that cannot make anything worse are free, all others draw."""
        if is_throttled(error):
            return True
        if was_never_seen(error) and not self.free_reconnect_used:
            self.free_reconnect_used = True
            return True
        if self.plan.endpoint.retry_budget.spend():
            return True
        error.add_note("not tried again: too many calls to this provider fail, and retries would make it worse")
        return False

    def _give_up(self, error: APIError) -> None:
        kind, attempts = type(error).__name__, self.info.attempts
        if attempts > 1:
            self._log(logging.WARNING, "gave_up", f"given up after {attempts} attempts: {kind}", error=kind)
        else:
            self._log(self.plan.log_level, "failed", f"failed: {kind}", error=kind)

    def _log(self, level: int, event: str, text: str, **more: object) -> None:
        """One record for the log: whose call it is and how far goes with it; nothing that was asked or told."""
        if not log.isEnabledFor(level):
            return
        # What a caller gave as a model must not write lines of its own.
        info, provider, model = self.info, self.plan.target.provider, printable(self.plan.target.model)
        extra = {"event": event, "provider": provider, "model": model, "attempt": info.attempts}
        extra |= {"status": info.status_code, "request_id": info.request_id, "elapsed": self.elapsed(), **more}
        log.log(level, "%s %s: %s", provider, model, text, extra=extra, stacklevel=2)

    def time_left(self) -> float | None:
        """Seconds until the total runs out; None if it never does."""
        total = self.plan.timeout.total
        return None if total is None else self.started + total - asyncio.get_running_loop().time()

    def elapsed(self) -> float:
        """Seconds since the logical call began."""
        return asyncio.get_running_loop().time() - self.started

    def with_call_details(self, error: E) -> E:
        """`error` with everything the call knows, and without our key should the provider have echoed it.

        Also without the frames of reading the answer: they hold it as it came, and tell nothing the error does not.
        """
        info = self.info
        error.provider, error.model = self.plan.target.provider, self.plan.target.model
        error.attempts, error.elapsed = info.attempts, self.elapsed()
        error.request_id = error.request_id or info.request_id
        error.status_code = error.status_code or info.status_code
        error.headers = error.headers if error.headers is not None else (info.headers or None)
        secrets = self.plan.secrets(self.last_key_sent)
        hide_echoes(error, secrets)
        hide_echoes(info, secrets)
        if isinstance(error, AuthenticationError) and self.plan.key_source:
            error.message = f"{error.message} ({self.plan.key_source})"
            error.args = (error.message,)
        return error.with_traceback(None)

    # --- a whole reply ---

    async def complete(self) -> ChatCompletion:
        """One reply.

        Raises:
            InvalidRequestError: the request cannot be said to this provider; nothing was sent.
            APIError: see the error table.
        """
        self.start()
        request, body = self.encoded_now() or await self.encoded()
        try:
            result = await self._answer(request, body)
        except APIError as fault:
            failed = fault
        else:
            # Nearly every call ends here.
            return await self._followed_up(result) if isinstance(result, Continuation) else self._done(result)
        await self.retry_or_raise(failed, 1, creating=True)
        del failed  # this frame is in the traceback of whatever goes wrong from here on
        result = await self.with_retries(lambda: self._answer(request, body), tried=1, creating=True)
        return await self._followed_up(result) if isinstance(result, Continuation) else self._done(result)

    async def _followed_up(self, result: ChatCompletion | Continuation) -> ChatCompletion:
        while isinstance(result, Continuation):
            follow = result
            try:
                result = await self.follow(follow)
            except (asyncio.CancelledError, APITimeoutError):
                if follow.cancel is not None:
                    # In a task of its own: who cancels does not wait for the provider.
                    self.plan.track_task(asyncio.ensure_future(self.cancel_upstream(follow.cancel)))
                raise
        return self._done(result)

    def _done(self, completion: ChatCompletion) -> ChatCompletion:
        self.info.elapsed = self.elapsed()
        completion.info = self.info
        return completion

    async def _answer(self, request: HttpRequest, body: bytes | None) -> ChatCompletion | Continuation:
        exchange = await self.send(request, body, "application/json")
        data = await exchange.read_all(MAX_JSON)
        return self.decode(HttpResponse(exchange.status, exchange.headers, data))

    def decode(self, response: HttpResponse, *, stream: bool | None = None) -> ChatCompletion | Continuation:
        """What a good answer says."""
        target = self.plan.target if stream is None else attrs.evolve(self.plan.target, stream=stream)
        return self.plan.dialect.decode(response, self.request, target)

    async def follow(self, follow: Continuation) -> ChatCompletion | Continuation:
        """The answer to the request of a reply that was not finished, after the wait it asks for."""
        response = await self.followed(follow)
        try:
            return self.decode(response)
        except APIError as fault:
            error = fault
        raise self.with_call_details(error)

    async def followed(self, follow: Continuation) -> HttpResponse:
        """The same, as it came. It is asked again by itself: asking for the reply again would pay for it twice."""
        await self.plan.pool.pause(follow.after)
        return await self.with_retries(lambda: self._response(follow.request))

    async def cancel_upstream(self, request: HttpRequest) -> None:
        """Tells the provider that nobody waits any more; its failure changes nothing."""
        info = ReplyInfo(self.info.provider, self.info.model)
        farewell = Call(self.plan.for_cancel_request(_CANCEL_TIME), self.request, info)
        farewell.start()
        try:
            (await farewell.send(request, None, "application/json")).close()
        except CompletionError:
            pass


def _host(url: str) -> str | None:
    """The host of a URL that a server wrote; None where there is none to be found."""
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _new_uuid() -> object:
    import uuid  # noqa: PLC0415 (few providers take one, and it costs an import 1 ms)

    return uuid.uuid4()
