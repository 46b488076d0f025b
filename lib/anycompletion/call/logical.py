"""One branch of a logical call: encode, sign, send, retry, decode a whole reply; knows no other branch."""

from __future__ import annotations

import asyncio
import logging
import random
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar, cast
from urllib.parse import urlencode, urlsplit

import attrs

from ..auth import Auth, MaskedValue, check_key, sign
from ..convert import dumps, loads
from ..dialects import Dialect
from ..errors import (
    APIConnectionError,
    APIError,
    APIResponseError,
    APITimeoutError,
    AuthenticationError,
    CompletionError,
    ConfigurationError,
    RateLimitError,
)
from ..lenient import NotJSONError
from ..options import BearerToken, Secret, Timeout
from ..records import ChatCompletion, ChatRequest, ReplyInfo
from ..retry import MAX_HINT, is_throttled, may_have_begun, next_delay, wait_hint, was_never_seen
from ..transport import MAX_ERROR_BODY, MAX_JSON, Clocks, Exchange, Held, Pool
from ..validate import explain_unsendable
from ..wire import Follow, Headers, HttpRequest, HttpResponse, MaskedBytes, Need, Target
from .road import Road

log = logging.getLogger("anycompletion")
log.addHandler(logging.NullHandler())  # an app that set up no logging sees nothing on stderr

EVENTS = "text/event-stream"
"""The media type of a stream."""

_LOST_PATIENCE = frozenset((504, *range(520, 525)))
"""Statuses of a gateway that heard nothing from the provider in time; that may have done the work all the same."""

_CANCEL_TIME = 5.0
"""Seconds the provider gets to learn that nobody waits any more."""

T = TypeVar("T")
E = TypeVar("E", bound=CompletionError)
KeySource = str | Secret | Callable[[], Awaitable[str]] | None


class Known:
    """What a client has fetched for one provider's dialect, shared by its calls; nothing is fetched twice at a time."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.locks: dict[str, asyncio.Lock] = {}


@attrs.define(eq=False, kw_only=True)
class Call:
    """Everything one branch of a logical call needs; made by the client, used once."""

    request: ChatRequest
    dialect: Dialect
    target: Target
    pool: Pool
    road: Road = attrs.field(repr=False)
    auth: Auth
    key: KeySource = attrs.field(repr=False)
    key_source: str
    """Where a key of the environment came from, for errors; "" for one that was given."""
    headers: Mapping[str, str] = attrs.field(repr=False)
    extra_headers: Mapping[str, str] = attrs.field(repr=False)
    """The caller's own; they win over all others."""
    query: Mapping[str, str] | None
    request_id_header: str
    repeatable: bool
    """Whether a request that may have been received can be sent again."""
    idempotency_header: str
    """The header that tells the provider that a request is a second try of the same; "" where it knows none."""
    timeout: Timeout
    max_retries: int
    known: Known = attrs.field(repr=False)
    info: ReplyInfo
    keep: Callable[[asyncio.Task[None]], None]
    """Takes a strong reference to a task for as long as it runs."""
    log_level: int = logging.DEBUG
    started: float = 0.0
    idempotency_key: str = ""
    """The same for all attempts."""
    throttled: RateLimitError | None = None
    """The last answer that asked to wait."""
    asked_twice: bool = False
    """Whether the caller's function was asked for another key."""
    reconnected: bool = False
    """Whether a connection that was never made was tried again for nothing."""
    revealed: str = attrs.field(default="", repr=False)
    """The key last sent, so that an error that echoes it can be cleaned."""

    # --- one attempt ---

    def start(self) -> None:
        """The logical call begins: `total` runs from here."""
        self.started = asyncio.get_running_loop().time()
        self.road.budget.call()
        if self.idempotency_header:
            self.idempotency_key = str(uuid.uuid4())

    def clocks(self) -> Clocks:
        """The clocks of one attempt."""
        timeout = self.timeout
        return Clocks(
            timeout.connect,
            timeout.first_chunk if self.target.stream else None,
            timeout.idle,
            None if timeout.total is None else self.started + timeout.total,
        )

    def encoded_now(self) -> tuple[HttpRequest, bytes | None] | None:
        """The request if nothing has to be fetched for it; raises what encoding raises."""
        encoded = self.dialect.encode(self.request, self.target, self.known.values)
        if not isinstance(encoded, HttpRequest):
            return None
        self.info.warnings.extend(encoded.warnings)
        return encoded, self._bytes(encoded)

    async def encoded(self) -> tuple[HttpRequest, bytes | None]:
        """The request as a value and its body as bytes; fetches what the dialect needs first."""
        missing: dict[str, None] = {}
        while True:
            encoded = self.dialect.encode(self.request, self.target, {**missing, **self.known.values})
            if isinstance(encoded, HttpRequest):
                break
            if not await self._known(encoded):
                missing[encoded.key] = None
        self.info.warnings.extend(encoded.warnings)
        return encoded, self._bytes(encoded)

    async def _known(self, need: Need) -> bool:
        """Fetches what nobody has fetched yet; who waits for another call's fetch does so in its own time."""
        lock = self.known.locks.setdefault(need.key, asyncio.Lock())
        clock = asyncio.timeout(self.time_left())
        try:
            async with clock:
                await lock.acquire()
        except TimeoutError:
            pass
        else:
            try:
                return need.key in self.known.values or await self._fetch(need)
            finally:
                lock.release()
        raise self.stamped(APITimeoutError("the total timeout ran out in the queue", phase="total"))

    async def _fetch(self, need: Need) -> bool:
        """Fetches what the dialect needs; False where the provider does not give it, which is this call's alone.

        Raises:
            APIError: the road failed, or an error that the call itself would meet too.
        """
        try:
            response = await self.retried(lambda: self._response(need.request))
            self.known.values[need.key] = loads(response.body)
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
        try:
            return MaskedBytes(dumps(request.body))
        except (TypeError, ValueError, RecursionError):
            error = explain_unsendable(self.request)
        raise error

    async def send(self, request: HttpRequest, body: bytes | None, accept: str) -> Exchange:
        """Sends one request; an answer with a bad status is an error.

        Raises:
            APIError: no answer, or the provider's error.
        """
        # A host the key was not meant for learns nothing else of ours either.
        headers = {**(self.headers if request.carries_key else {}), "Accept": accept, **request.headers}
        if body is not None:
            headers["Content-Type"] = "application/json"
        # An event stream in pieces gains nothing from compression and would wait in its buffers.
        headers["Accept-Encoding"] = "identity" if accept == EVENTS else "gzip, deflate"
        if request.carries_key:
            headers |= sign(self.auth, await self._key(), token=self._is_token())
            if self.idempotency_key and request.method == "POST":
                headers[self.idempotency_header] = self.idempotency_key
            if self.extra_headers:
                headers = _override(headers, self.extra_headers)
        exchange = await self._sent(request, headers, body)
        self.info.status_code = exchange.status
        self.info.headers = exchange.headers
        self.info.request_id = exchange.headers.get(self.request_id_header)
        if log.isEnabledFor(self.log_level):
            log.log(self.log_level, "%s %s: status %s", self.target.provider, self.target.model, exchange.status)
        if not 200 <= exchange.status < 300:
            raise await self._bad_status(exchange)
        self.road.rest.answered(self.started)
        return exchange

    async def _sent(self, request: HttpRequest, headers: dict[str, str], body: bytes | None) -> Exchange:
        """Sends when it is this call's turn."""
        rest, url = self.road.rest, self._url(request)
        while True:
            if rest.until and request.carries_key:
                await self._turn()
            self.info.attempts += 1
            # What an earlier attempt was told is not said of this one.
            self.info.status_code, self.info.headers, self.info.request_id = None, Headers(), None
            try:
                return await self.pool.send(request.method, url, headers, body, self.clocks(), rest.holds)
            except Held:
                self.info.attempts -= 1

    async def _turn(self) -> None:
        """Waits while all calls to this provider with this key rest.

        Raises:
            RateLimitError: that would take longer than this call may.
        """
        rest, left = self.road.rest, self.time_left()
        wait = rest.expected(asyncio.get_running_loop().time())
        if left is None or wait < left:
            clock = asyncio.timeout(left)
            try:
                async with clock:
                    await rest.wait()
            except TimeoutError:
                if not clock.expired():
                    raise
            else:
                return
        error = self.throttled or RateLimitError(
            f"{self.target.provider} asked for a pause, which all calls with this key keep; it is longer than this "
            "call's timeout, so nothing was sent",
            retry_after=wait,
        )
        raise self.stamped(error)

    async def _key(self) -> str | None:
        key = self.key
        if key is None:
            return None
        if callable(key):
            text = await self._asked(key)
        else:
            text = MaskedValue(key.reveal() if isinstance(key, Secret) else key)
        self.revealed = check_key(text, self.target.provider, self.key_source)
        return self.revealed

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
            f"the function that gives the key for {self.target.provider} failed with {reason}; it must be async and "
            "return text",
            provider=self.target.provider,
        )

    def _is_token(self) -> bool:
        return isinstance(self.key, BearerToken) or (callable(self.key) and self.auth.functions_give_tokens)

    def _url(self, request: HttpRequest) -> str:
        url = request.url
        if not self.query or not request.carries_key:
            return url
        return f"{url}{'&' if '?' in url else '?'}{urlencode(self.query)}"

    async def _bad_status(self, exchange: Exchange) -> APIError:
        if exchange.status < 400:
            exchange.close()
            where = _host(exchange.headers.get("location", ""))
            return APIResponseError(
                f"status {exchange.status} points to {where or 'somewhere else'}; redirects are never followed",
                status_code=exchange.status,
            )
        body = await exchange.read_some(MAX_ERROR_BODY)
        error = self.dialect.error(HttpResponse(exchange.status, exchange.headers, body))
        error.maybe_billed = error.maybe_billed or exchange.status in _LOST_PATIENCE
        hint = wait_hint(exchange.headers, body)
        if hint is not None:
            error.retry_after = hint
            if isinstance(error, RateLimitError) and error.retryable and hint <= MAX_HINT:
                self.throttled = error
                self.road.rest.begin(hint, asyncio.get_running_loop().time(), random.random)
        return error

    # --- attempts ---

    async def retried(self, attempt: Callable[[], Awaitable[T]], *, creating: bool = False) -> T:
        """Runs `attempt` until it succeeds or its error is final."""
        tried = 0
        while True:
            tried += 1
            try:
                return await attempt()
            except APIError as fault:
                error = fault
            await self.again_or_raise(error, tried, creating=creating)

    async def again_or_raise(self, error: APIError, tried: int, *, creating: bool = False) -> None:
        """Waits before the next attempt, or raises `error`, stamped."""
        if creating and not self.repeatable and may_have_begun(error):
            raise self.stamped(error)
        if self._has_another_key(error) and tried <= self.max_retries:
            return
        delay = next_delay(
            error,
            tried=tried,
            max_retries=self.max_retries,
            time_left=self.time_left(),
            random=random.random,
        )
        if delay is None or not self._is_paid_for(error):
            self._give_up(error)
            raise self.stamped(error)
        if error.maybe_billed:
            self.info.warnings.append(
                f"attempt {tried} got no answer ({error.phase}); it may have been billed all the same"
            )
        log.log(
            self.log_level,
            "%s %s: %s, again in %.2f s",
            self.target.provider,
            self.target.model,
            type(error).__name__,
            delay,
        )
        if is_throttled(error) and self.road.rest.until:
            return  # sending waits until the rest that all calls keep is over
        await self.pool.pause(delay)

    def _has_another_key(self, error: APIError) -> bool:
        """Whether the function that gives the key is to be asked again: once, because tokens grow old."""
        if self.asked_twice or not callable(self.key) or not isinstance(error, AuthenticationError):
            return False
        self.asked_twice = True
        return True

    def _is_paid_for(self, error: APIError) -> bool:
        """Whether a retry may be made: those that cannot make anything worse are free, all others draw."""
        if is_throttled(error):
            return True
        if was_never_seen(error) and not self.reconnected:
            self.reconnected = True
            return True
        if self.road.budget.draw():
            return True
        error.add_note("not tried again: too many calls to this provider fail, and retries would make it worse")
        return False

    def _give_up(self, error: APIError) -> None:
        if self.info.attempts > 1:
            log.warning(
                "%s %s: given up after %d attempts: %s",
                self.target.provider,
                self.target.model,
                self.info.attempts,
                type(error).__name__,
            )

    def time_left(self) -> float | None:
        """Seconds until the total runs out; None if it never does."""
        total = self.timeout.total
        return None if total is None else self.started + total - asyncio.get_running_loop().time()

    def elapsed(self) -> float:
        """Seconds since the logical call began."""
        return asyncio.get_running_loop().time() - self.started

    def stamped(self, error: E) -> E:
        """`error` with everything the call knows, and without our key should the provider have echoed it."""
        info = self.info
        error.provider, error.model = self.target.provider, self.target.model
        error.attempts, error.elapsed = info.attempts, self.elapsed()
        error.request_id = error.request_id or info.request_id
        error.status_code = error.status_code or info.status_code
        error.headers = error.headers if error.headers is not None else (info.headers or None)
        if self.revealed and len(self.revealed) > 3:
            error.message = error.message.replace(self.revealed, "***")
            error.args = (error.message,)
            error.body = None if error.body is None else error.body.replace(self.revealed, "***")
        if isinstance(error, AuthenticationError) and self.key_source:
            error.message = f"{error.message} ({self.key_source})"
            error.args = (error.message,)
        return error

    # --- a whole reply ---

    async def complete(self) -> ChatCompletion:
        """One reply.

        Raises:
            InvalidRequestError: the request cannot be said to this provider; nothing was sent.
            APIError: see the error table.
        """
        self.start()
        request, body = await self.encoded()
        result = await self.retried(lambda: self._answer(request, body), creating=True)
        while isinstance(result, Follow):
            result = await self.follow(result)
        self.info.elapsed = self.elapsed()
        result.info = self.info
        return result

    async def _answer(self, request: HttpRequest, body: bytes | None) -> ChatCompletion | Follow:
        exchange = await self.send(request, body, "application/json")
        data = await exchange.read_all(MAX_JSON)
        return self.decode(HttpResponse(exchange.status, exchange.headers, data))

    def decode(self, response: HttpResponse, *, stream: bool | None = None) -> ChatCompletion | Follow:
        """What a good answer says."""
        target = self.target if stream is None else attrs.evolve(self.target, stream=stream)
        return self.dialect.decode(response, self.request, target)

    async def follow(self, follow: Follow) -> ChatCompletion | Follow:
        """The answer to the request of a reply that was not finished, after the wait it asks for."""
        response = await self.followed(follow)
        try:
            return self.decode(response)
        except APIError as fault:
            error = fault
        raise self.stamped(error)

    async def followed(self, follow: Follow) -> HttpResponse:
        """The same, as it came. It is asked again by itself: asking for the reply again would pay for it twice."""
        try:
            await self.pool.pause(follow.after)
            return await self.retried(lambda: self._response(follow.request))
        except (asyncio.CancelledError, APITimeoutError):
            if follow.cancel is not None:
                # In a task of its own: who cancels does not wait for the provider.
                self.keep(asyncio.ensure_future(self.cancel_upstream(follow.cancel)))
            raise

    async def cancel_upstream(self, request: HttpRequest) -> None:
        """Tells the provider that nobody waits any more; its failure changes nothing."""
        info = ReplyInfo(self.info.provider, self.info.model)
        farewell = attrs.evolve(self, info=info, road=Road(), timeout=Timeout(total=_CANCEL_TIME))
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


def _override(headers: Mapping[str, str], extra: Mapping[str, str]) -> dict[str, str]:
    given = {name.lower() for name in extra}
    return {name: value for name, value in headers.items() if name.lower() not in given} | dict(extra)
