"""The middleware `cached`: answers an equal request from a store; what the store holds is in `stored_replies`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal, NoReturn, TypeAlias, cast, get_args

from .._async import is_async_function
from ..cache_control import CacheControl, CacheCounts
from ..dialects.base import Target
from ..errors import CompletionError, InvalidRequestError
from ..middleware import CallNext, Reply, without_option
from ..options import CallOptions
from ..records import ChatRequest, Message
from ..validation import check_options, validate_request
from .cache_keys import SentParts, reply_key
from .cache_store import CacheStore
from .cached_call import CachedCall, CacheSettings
from .single_flight import Flight
from .store_access import StoreAccess
from .stream_entries import Replay

Namespace: TypeAlias = str | Callable[[ChatRequest, CallOptions], str]
"""Text before the keys of a cache, or a function that returns it for a call."""

When: TypeAlias = Literal["always", "deterministic"] | Callable[[ChatRequest], bool]
"""Which requests a cache is for."""

_USE = CacheControl()

_MESSAGES: frozenset[type] = frozenset(get_args(Message))
"""The classes of messages."""

_MAX_TARGETS = 64
"""Targets of which a cache keeps what is added to their requests."""

_UNREADABLE_KEY = (TypeError, ValueError, RecursionError, OverflowError)
"""What hashing raises for a request that is not JSON-serializable, which sending it reports."""


def cached(
    store: CacheStore,
    *,
    ttl: float | None = None,
    namespace: Namespace = "",
    when: When = "always",
    ignore: Collection[str] = (),
    single_flight: bool = True,
    replay: Replay = "at_once",
    max_reply_bytes: int = 4 << 20,
    keep_raw: bool = True,
    on_store_error: Literal["miss", "raise"] = "miss",
) -> CacheMiddleware:
    """Middleware that stores replies, and answers equal requests with them.

    Args:
        store: where replies are kept: `MemoryStore`, `SQLiteStore`, `RedisStore`, or one of your own. Close it after
            the client.
        ttl: seconds for which a reply is kept; default: without a limit.
        namespace: text that separates the replies of tenants, or a function of request and options that returns it.
            A call with a key of its own, or with a header that may be one, is only cached with a namespace.
        when: "always" (default), "deterministic" (only requests with ``temperature=0`` or a `seed`), or a function of
            the request.
        ignore: names of parameters, or of fields of `extra_body`, that make no difference: ``("user",)``.
        single_flight: whether equal plain calls at the same time wait for the first one's reply. Default True.
        replay: "at_once" (default), or "recorded": a stream's chunks come with the pauses of the original.
        max_reply_bytes: larger replies are not stored. Default 4 MiB.
        keep_raw: whether `raw`, the provider's own JSON, is stored. Default True.
        on_store_error: "miss" (default): a store that fails holds nothing, with one warning a minute in the log;
            "raise": what reading from it raises is raised. Writing happens after the call, and is only logged.

    Raises:
        InvalidRequestError: an invalid argument; `.param` names it.
    """
    return CacheMiddleware(
        store,
        ttl=ttl,
        namespace=namespace,
        when=when,
        ignore=ignore,
        single_flight=single_flight,
        replay=replay,
        max_reply_bytes=max_reply_bytes,
        keep_raw=keep_raw,
        on_store_error=on_store_error,
    )


class CacheMiddleware(CacheCounts):
    """The middleware that `cached` returns, which has the documentation of its arguments."""

    def __init__(self, store: CacheStore, **arguments: Any) -> None:
        _check_arguments(store, arguments)
        self._store = store
        self._arguments = arguments
        self._namespace: Namespace = arguments["namespace"]
        self._when: When = arguments["when"]
        self._ignored = frozenset(cast("Collection[str]", arguments["ignore"]))
        self._settings = CacheSettings(
            arguments["ttl"], arguments["replay"], arguments["max_reply_bytes"], arguments["keep_raw"]
        )
        self._access = StoreAccess(store, raises=arguments["on_store_error"] == "raise")
        self._flights: dict[str, Flight] | None = {} if arguments["single_flight"] else None
        """The calls that are made now, by key."""
        self._known_parts: dict[int, tuple[Target, SentParts]] = {}
        """Id of a target → the target, and what is added to a request without options of its own."""

    def __repr__(self) -> str:
        return f"<CacheMiddleware {self._store!r}>"

    def __reduce__(self) -> Any:
        return _rebuild, (self._store, self._arguments)

    def key(self, request: ChatRequest, options: CallOptions, target: Target) -> str:
        """The key under which the reply to a request is stored: the namespace, a colon and a hash.

        Args:
            request: the request.
            options: options of the call.
            target: where it goes, of ``call_next.target(request, options)`` or ``client.check(model)``.

        Raises:
            InvalidRequestError: the request is invalid.
            TypeError, ValueError: the request is not JSON-serializable.
        """
        vary, options = _control(options).vary, without_option(options, "cache")
        namespace = self._namespace_of(request, options)
        return self._key(namespace, validate_request(request), SentParts(options, target), vary)

    async def __call__(self, request: ChatRequest, options: CallOptions, call_next: CallNext) -> Reply:
        """Answers from the store, or makes the call and stores its reply."""
        control = _USE
        if "cache" in options:
            control, options = _control(options), without_option(options, "cache")
            if control.mode == "skip":
                return await call_next(request, options)
        target = call_next.target(request, options)
        key = self._key_if_cached(request, options, target, control.vary)
        parts = (request, options, call_next)
        call = CachedCall(parts, target, key, control, self._settings, self._access, self._flights)
        try:
            return await (call.stream() if call_next.stream else call.complete())
        finally:
            if call.was_answered:
                self.hits += 1
            elif key is not None:
                self.misses += 1

    def _key_if_cached(
        self, request: ChatRequest, options: CallOptions, target: Target, vary: str | None
    ) -> str | None:
        """The key of a call; None for one that is not cached."""
        if self._when != "always" and not self._is_for(request):
            return None
        fixed = self._namespace
        namespace = fixed if isinstance(fixed, str) else self._namespace_of(request, options)
        if not namespace and target.own_key:
            return None
        try:
            sent = self._sent_parts(options, target)
            if not namespace and sent.has_credentials:
                return None
            return self._key(namespace, request if _has_records(request) else validate_request(request), sent, vary)
        except CompletionError:
            raise
        except _UNREADABLE_KEY:
            return None

    def _sent_parts(self, options: CallOptions, target: Target) -> SentParts:
        """What is added to a request; kept for calls without options, which have one `Target` object for each place."""
        if options:
            return SentParts(options, target)
        known = self._known_parts.get(id(target))
        if known is None:
            if len(self._known_parts) == _MAX_TARGETS:
                self._known_parts.clear()
            known = self._known_parts[id(target)] = (target, SentParts(options, target))
        return known[1]

    def _namespace_of(self, request: ChatRequest, options: CallOptions) -> str:
        if isinstance(self._namespace, str):
            return self._namespace
        namespace = cast("object", self._namespace(request, options))
        if not isinstance(namespace, str):
            raise TypeError(f"namespace: the function returned {type(namespace).__name__}, and no text")
        return namespace

    def _key(self, namespace: str, request: ChatRequest, sent: SentParts, vary: str | None) -> str:
        return f"{namespace}:{reply_key(request, sent, ignored=self._ignored, vary=vary)}"

    def _is_for(self, request: ChatRequest) -> bool:
        match self._when:
            case "always":
                return True
            case "deterministic":
                return request.temperature == 0 or request.seed is not None
            case when:
                return when(request)


def _control(options: CallOptions) -> CacheControl:
    """The `cache` option, which another middleware may have set."""
    given = options.get("cache")
    if given is None:
        return _USE
    control: CacheControl = check_options({"cache": given})["cache"]
    return control


def _has_records(request: ChatRequest) -> bool:
    """Whether the messages are records, as validation has made them: other middleware may have replaced them."""
    messages: object = request.messages
    return isinstance(messages, list) and all(map(_MESSAGES.__contains__, map(type, cast("list[object]", messages))))


def _rebuild(store: CacheStore, arguments: dict[str, Any]) -> CacheMiddleware:
    return CacheMiddleware(store, **arguments)


# --- checks of arguments ---


def _check_arguments(store: object, arguments: Mapping[str, Any]) -> None:
    for method in ("get", "set", "delete"):
        if isinstance(store, type) or not callable(getattr(store, method, None)):
            _refuse("store", "expected a CacheStore, such as MemoryStore()")
    CacheControl(ttl=arguments["ttl"])
    _check_text_or_function("namespace", arguments["namespace"], None)
    _check_text_or_function("when", arguments["when"], ("always", "deterministic"))
    ignored: object = arguments["ignore"]
    if isinstance(ignored, str) or not isinstance(ignored, Collection):
        _refuse("ignore", "expected names, such as ('user',)")
    for name in cast("Collection[object]", ignored):
        if not isinstance(name, str) or name in ("model", "messages"):
            _refuse("ignore", "expected names of parameters other than model and messages")
    for name, choices in (("replay", ("at_once", "recorded")), ("on_store_error", ("miss", "raise"))):
        if arguments[name] not in choices:
            _refuse(name, f"expected {choices[0]!r} or {choices[1]!r}")
    size: object = arguments["max_reply_bytes"]
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        _refuse("max_reply_bytes", "expected a positive integer")


def _check_text_or_function(name: str, value: object, choices: tuple[str, ...] | None) -> None:
    if isinstance(value, str) and (choices is None or value in choices):
        return
    if not callable(value) or is_async_function(value):
        expected = "a text" if choices is None else " or ".join(map(repr, choices))
        _refuse(name, f"expected {expected}, or a function that is not async")


def _refuse(param: str, text: str) -> NoReturn:
    raise InvalidRequestError(f"{param}: {text}", param=param)
