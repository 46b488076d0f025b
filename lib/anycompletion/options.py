"""Options of a call: timeouts, rate limits, keys and all else in `CallOptions`, as values.

Annotations are no strings here: `TypedDict` would compile each of them, which takes 0.3 ms of an import.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Protocol, TypeAlias, TypedDict

import attrs

from ._boundary import UsageError, hides_frames
from ._value import FrozenValue
from .errors import InvalidRequestError

if TYPE_CHECKING:
    from .cache_control import CacheControl, CacheMode
    from .routing.route import RouteTarget

OnUnsupported: TypeAlias = Literal["raise", "warn", "drop"]
"""Policy for a parameter that the provider does not support: an `UnsupportedParameterError` before anything is sent,
dropped with a line in ``info.warnings``, or dropped."""


class DefaultSeconds(float):
    """Seconds that are a default, so that `Timeout` can distinguish them from a caller's value."""

    __slots__ = ()


_DEFAULT_TOTAL = DefaultSeconds(600.0)


@attrs.frozen(eq=False, repr=False)
class Timeout(FrozenValue):
    """Timeouts of a call in seconds; `None` disables one. Defaults: total 600, connect 10, first_chunk 300, idle 60.

    `connect`, `first_chunk` and `idle` restart with every attempt; `total` covers the whole logical call, with queueing
    and the waits between attempts. The default total ends at a stream's first chunk; an explicit one, also a number for
    the whole `timeout`, covers the whole stream, and ends a healthy one.

    `first_chunk` is for streams: from the sent request to the first event (keep-alive comments are not events). `idle`
    is between pieces of a response that has begun: the body of a plain call, a stream after its first event. It runs
    only while the call waits for bytes, never while the caller works. So only `total` ends a plain call to a server
    that accepts the request and never responds.
    """

    total: float | None = _DEFAULT_TOTAL
    """Seconds for the whole logical call. The default ends at a stream's first chunk."""
    connect: float | None = 10.0
    """Seconds to open a connection, from name resolution to TLS, in each attempt."""
    first_chunk: float | None = 300.0
    """Seconds from the sent request to a stream's first event, in each attempt."""
    idle: float | None = 60.0
    """Seconds without any bytes of the response, while the call waits for them."""

    @property
    def total_is_explicit(self) -> bool:
        """False when `total` is the default."""
        return not isinstance(self.total, DefaultSeconds)


def _check_rate(limit: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    """A positive number per minute; "100" and True are mistakes, not rates."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float):
        _refuse(attribute.name, f"expected a number, found {type(value).__name__}")
    if not 0 < value < float("inf"):
        _refuse(attribute.name, "must be more than 0, and finite")


def _check_count(limit: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int):
        _refuse(attribute.name, f"expected an int, found {type(value).__name__}")
    if value < 1:
        _refuse(attribute.name, "must be 1 or more")


def _refuse(param: str, text: str) -> NoReturn:
    raise InvalidRequestError(f"{param}: {text}", param=param)


@attrs.frozen(eq=False, repr=False)
class RateLimit(FrozenValue):
    """Rate limit of an account. `None` is no limit; `RateLimit()` follows only the limits in the provider's headers.

    Those headers (`x-ratelimit-*`, `anthropic-ratelimit-*`) apply beside the limits given here: what remains is spread
    over the time until the reset. Without a `RateLimit`, requests are not delayed until the provider refuses one.

    A minute's quota is spread over the minute, with bursts of a twentieth of it. Tokens are estimated before a request
    is sent (a quarter of its bytes, 1,000 for each image, and `max_tokens`) and settled to the provider's count. A
    request larger than a burst waits until the bucket is full, and leaves a debt that later requests wait for.

    Raises:
        InvalidRequestError: a value is not a valid limit; `.param` names it.
    """

    requests_per_minute: float | None = attrs.field(default=None, validator=_check_rate)
    """Requests, each attempt and each branch of a fan-out counted."""
    tokens_per_minute: float | None = attrs.field(default=None, validator=_check_rate)
    """Tokens of prompts and replies together."""
    concurrency: int | None = attrs.field(default=None, validator=_check_count)
    """Requests in flight at the same time; a stream counts until it ends."""


class RateLimiter(Protocol):
    """Rate limiter that several clients share, across processes if it can; ``AsyncCompletion(rate_limiter=...)``.

    Keys are ``"provider/model"``, with the provider's own name of the model. The limiter decides which limits they
    have, and which keys share one.
    """

    async def acquire(self, key: str, *, requests: int, tokens: int) -> None:
        """Waits until that many requests (always 1) and tokens (an estimate) are available, and takes them.

        It is awaited in the call's own task, within the call's total timeout. It is cancelled when the timeout expires,
        the caller cancels or the client is closed; then nothing is sent, `settle` is not called, and it must take
        nothing. A `CompletionError` that it raises is the call's error; any other becomes a `ConfigurationError`.
        """
        ...

    def settle(self, key: str, *, estimated: int, actual: int) -> None:
        """Corrects the estimate; called exactly once for each `acquire` that returned, when its request has ended.

        `actual` is the provider's count, 0 if it refused the request, and `estimated` if the count is unknown. It must
        not block, because it is called from synchronous code. Its exceptions are logged.
        """
        ...


class Secret:
    """Secret text, such as a key, that no repr, str, format, pickle or traceback shows; `reveal()` returns it."""

    __slots__ = ("_reveal",)

    @hides_frames
    def __init__(self, value: str) -> None:
        if not isinstance(value, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers may not check types
            raise UsageError(f"a Secret holds text, not {type(value).__name__}")
        # In a closure, because vars(), pprint and debuggers show the values of attributes.
        self._reveal: Callable[[], str] = lambda: value

    def reveal(self) -> str:
        """The secret text."""
        return self._reveal()

    def reveal_all(self) -> tuple[str, ...]:
        """All secret texts: one here, two or three in `AWSCredentials`."""
        return (self.reveal(),)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(***)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other.reveal_all() == self.reveal_all()

    def __hash__(self) -> int:
        return hash((Secret, *self.reveal_all()))

    def __copy__(self) -> "Secret":
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> "Secret":
        return self

    def __reduce__(self) -> Any:
        raise TypeError("a Secret does not pickle; pass the key through the environment or an async callable")


class OptionValues:
    """Call options by name, checked or not; the repr shows no values, because they may be keys, headers or bodies."""

    __slots__ = ("_reveal",)

    def __init__(self, values: Mapping[str, Any]) -> None:
        # In a closure, as in `Secret`: crash reports show the contents of dicts.
        copied = dict(values)
        self._reveal: Callable[[], dict[str, Any]] = lambda: copied

    def reveal(self) -> dict[str, Any]:
        """A copy of the options as a dict."""
        return self._reveal().copy()

    def __getitem__(self, name: str) -> Any:
        return self._reveal()[name]

    def get(self, name: str) -> Any:
        """The option, or None if it is not set."""
        return self._reveal().get(name)

    def __contains__(self, name: object) -> bool:
        return name in self._reveal()

    def __len__(self) -> int:
        return len(self._reveal())

    def without(self, name: str) -> "OptionValues":
        """The options but one; itself where that is not among them."""
        if name not in self:
            return self
        return OptionValues({key: value for key, value in self._reveal().items() if key != name}) or NO_OPTIONS

    def __or__(self, other: "OptionValues") -> "OptionValues":
        return OptionValues(self.reveal() | other.reveal())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OptionValues) and other.reveal() == self.reveal()

    __hash__ = None  # type: ignore[assignment]  # some values are not hashable

    def __repr__(self) -> str:
        return f"<{', '.join(self._reveal()) or 'no options'}>"


NO_OPTIONS = OptionValues({})
"""The options of a call that was given none."""


def is_variable(name: object) -> bool:
    """Whether a value is the name of an environment variable in capitals, as no key is."""
    return isinstance(name, str) and name.isidentifier() and name == name.upper()


@attrs.frozen(eq=False, repr=False)
class EnvKey(FrozenValue):
    """A key in an environment variable, which is read at the key's first use; it pickles as the variable's name.

    Raises:
        InvalidRequestError: it is no name in capitals; a key that was passed in its place is not shown.
    """

    name: str
    """The variable, in capitals."""

    def __attrs_post_init__(self) -> None:
        if not is_variable(self.name):
            raise InvalidRequestError("EnvKey: expected the name of an environment variable in capitals", param="name")


class BearerToken(Secret):
    """Token sent as ``Authorization: Bearer``, also to providers whose keys have a header of their own."""

    __slots__ = ()


class AWSCredentials(Secret):
    """AWS credentials, with which each request is signed (Signature Version 4) instead of carrying a key.

    ::

        AsyncCompletion(api_keys={"bedrock": AWSCredentials("AKIA...", "...")})

    Nothing shows any of the texts, as with a `Secret`; `reveal()` returns the secret access key.

    Args:
        access_key_id: the public name of the credentials.
        secret_access_key: the key of the signature; it is never sent.
        session_token: for temporary credentials only.
        region: the region of the signature, where the base URL is not AWS's own and so names none. Default: that of
            the environment. It does not choose the endpoint: that is AWS_REGION's or the base URL's.
    """

    __slots__ = ("_reveal_all", "_signing_key", "region")

    @hides_frames
    def __init__(
        self,
        access_key_id: str,
        secret_access_key: str,
        session_token: str | None = None,
        *,
        region: str | None = None,
    ) -> None:
        texts = (access_key_id, secret_access_key, *(() if session_token is None else (session_token,)))
        if not all(isinstance(text, str) for text in (*texts, region or "")):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise UsageError("AWSCredentials hold texts only")
        super().__init__(secret_access_key.strip())
        # Without white space around them, because files end in newlines.
        stripped = tuple(text.strip() for text in texts)
        self._reveal_all: Callable[[], tuple[str, ...]] = lambda: stripped
        self.region = (region or "").strip() or None
        self._signing_key: tuple[str, Callable[[], bytes]] | None = None

    def signing_key(self, scope: str, derive: Callable[[str, str], bytes]) -> bytes:
        """The key that signs requests of one scope (a day, a region and a service), derived once for all of them.

        Args:
            scope: the scope.
            derive: makes it of the secret access key and the scope.
        """
        if self._signing_key is None or self._signing_key[0] != scope:
            key = derive(self.reveal(), scope)
            self._signing_key = (scope, lambda: key)
        return self._signing_key[1]()

    def reveal_all(self) -> tuple[str, ...]:
        """The access key's id, the secret access key and, if there is one, the session token."""
        return self._reveal_all()


Key: TypeAlias = str | Secret | EnvKey | Callable[[], str | Secret | Awaitable[str | Secret]]
"""API key: text, a `Secret`, an `EnvKey`, or a function that is called once per attempt: ``async () -> str``, or
``() -> str``, which runs in a thread. For AWS also `AWSCredentials`, or a function that returns them.

If the provider refuses a key that a function gave, the function is called once more, unless `max_retries` is 0. A
method `on_refused` that it has is called before that, with the key as a `Secret`, so that it does not give the same one
again."""


class TargetOptions(TypedDict, total=False):
    """The options of a call that say where it goes, and how: those of `CallOptions`, which describes them."""

    timeout: float | Timeout | None
    """Seconds in total, or a `Timeout`. Default: the client's."""
    on_unsupported: OnUnsupported | None
    """What happens to a parameter that the provider does not have. Default: the client's."""
    extra_body: Mapping[str, Any] | None
    """Fields of the JSON body that only the provider knows."""
    extra_headers: Mapping[str, str] | None
    """Further headers of the request."""
    extra_query: Mapping[str, str] | None
    """Query parameters of the URL."""
    api_key: Key | Mapping[str, Key] | None
    """Key for the call's provider, or provider name → key."""
    base_url: str | None
    """Where the call goes, instead of the provider's base URL."""
    api_version: str | None
    """API version that Azure and Anthropic expect."""
    organization: str | None
    """OpenAI's organization, as a header."""
    project: str | None
    """OpenAI's project, as a header."""


class CallOptions(TargetOptions, total=False):
    """Options of one call; none is a field of OpenAI's request. Where one is None or left out, the client's apply.

    * `timeout`: seconds in total, or a `Timeout`. `forceTimeout` and `force_timeout` are LiteLLM's names of the total
      (two of the three are an error).
    * `max_retries`: attempts after the first, for temporary errors; 2 by default.
    * `on_unsupported`: what happens to a parameter that the provider does not have: "raise" (default), "warn" (dropped,
      with a line in ``reply.info.warnings``) or "drop". Messages, parts and tools are never dropped.
    * `fallbacks`: models, names of routes and `anycompletion.routing.RouteTarget`s that are asked, in this order, where
      the call's own model, or route, fails. The call's `api_key` and `base_url` are for its own model.
    * `provider`: the provider of a model that is written without one; `azure=True` is ``provider="azure"``.
    * `base_url`, `api_key`, `api_version`: where the call goes, with which key, and the API version that Azure and
      Anthropic expect.
    * `organization`, `project`: OpenAI's headers of these names.
    * `extra_body`, `extra_headers`, `extra_query`: fields of the JSON body, headers and query parameters that only the
      provider knows.
    * `cache`: what the call does with the client's cache of replies, the middleware `anycompletion.caching.cached`: a
      `CacheMode` or a `CacheControl`. A client without one refuses it.
    * `tags`: a mapping of strings, such as ``{"user": "7"}``, which is never sent: middleware and `logger_fn` see it,
      and log records (``ac_tags``) and spans have it. A call's tags replace those of its view.
    * `logger_fn`: called with a dict without secrets before the request and after the reply or error.
    * `verbose`: True logs this call at INFO on the logger ``anycompletion``.

    `api_key` goes only to the origin that it was given for: that of `base_url`, if one is given with it or before it,
    else that of the provider. A view's key is for the view's `provider`, else for the provider that it is first used
    for; ``api_key={"openai": ...}`` names the providers, and others use the client's keys.

    `fill_choices` (default True): where a provider with its own `n` sends fewer choices, the missing ones are asked for
    by further requests, in a stream after the first answer has ended. False only adds a line to ``info.warnings``.

    `keep_text` (default True): False is for readers of streams who need no reply at the end. The stream then keeps no
    texts, tool calls or other contents of its chunks, and may be of any length. `snapshot`, `partial` and what `on_end`
    passes have only the ids, finish reasons and usage, and `get_final_completion` is refused.
    """

    provider: str | None
    """Provider of a model that is written without one."""
    max_retries: int | None
    """Attempts after the first, for temporary errors. Default: the client's."""
    cache: "CacheMode | CacheControl | None"
    """What the call does with the cache of replies: "use" (default), "refresh", "skip", "only", or a `CacheControl`."""
    fallbacks: Sequence["str | RouteTarget"] | None
    """Models, routes and `RouteTarget`s that are asked, in this order, where the call's own model fails."""
    tags: Mapping[str, str] | None
    """Strings by name for middleware, `logger_fn`, log records and spans; they are never sent."""
    fill_choices: bool | None
    """Whether choices that a provider leaves out of `n` are asked for by further requests. Default: True."""
    keep_text: bool | None
    """Whether a stream keeps its contents for the reply at its end. Default: True."""
    forceTimeout: float | None
    """LiteLLM's name of the total timeout in seconds."""
    force_timeout: float | None
    """The same as `forceTimeout`, in seconds."""
    azure: bool | None
    """True is ``provider="azure"``."""
    logger_fn: Callable[[dict[str, Any]], object] | None
    """Called with a dict without secrets before the request and after the reply or error; prompts are in it."""
    verbose: bool | None
    """Whether the records of this call are logged at INFO, on the logger ``anycompletion``. Default: False."""
