"""How to call and what may be said: clocks, limits, keys, and the cells of the parameter table; holds no behaviour."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, NoReturn, Protocol, TypeAlias, TypedDict

import attrs

from .errors import InvalidRequestError

OnUnsupported: TypeAlias = Literal["raise", "warn", "drop"]
"""What happens to a parameter that a provider does not have."""


class DefaultSeconds(float):
    """A number of seconds nobody asked for; `Timeout` tells by it a default from an explicit choice."""

    __slots__ = ()


_DEFAULT_TOTAL = DefaultSeconds(600.0)


@attrs.frozen
class Timeout:
    """The clocks of a call, all in seconds; `None` switches one off.

    `connect`, `first_chunk` and `idle` start anew with every attempt; `total` spans the whole logical call, queueing
    and waits between attempts included. `first_chunk` is for streams: from the request sent to the first event
    (keep-alive comments do not count as one). `idle` runs only while waiting for bytes, never while the caller works.
    A total that was not asked for ends at a stream's first chunk; an explicit one holds to the stream's end.
    """

    total: float | None = _DEFAULT_TOTAL
    connect: float | None = 10.0
    first_chunk: float | None = 300.0
    idle: float | None = 60.0

    @property
    def total_is_explicit(self) -> bool:
        """False when `total` is the default."""
        return not isinstance(self.total, DefaultSeconds)


def _check_rate(limit: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """A number above nought, per minute; whoever writes "100" or True does not mean a rate."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float):
        _refuse(attribute.name, f"expected a number, found {type(value).__name__}")
    if not 0 < value < float("inf"):
        _refuse(attribute.name, "must be more than 0, and finite")


def _check_count(limit: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int):
        _refuse(attribute.name, f"expected an int, found {type(value).__name__}")
    if value < 1:
        _refuse(attribute.name, "must be 1 or more")


def _refuse(param: str, text: str) -> NoReturn:
    raise InvalidRequestError(f"{param}: {text}", param=param)


@attrs.frozen
class RateLimit:
    """What a provider lets an account do. `None` is no limit, and `RateLimit()` what the provider's own headers say.

    Those (`x-ratelimit-*`, `anthropic-ratelimit-*`) are heeded beside the limits given here: what is left is spread
    over the time until there is more. Where no `RateLimit` is given, nothing is held back before the provider refuses.

    A minute's worth is spread over the minute, and a twentieth of it may go at once. Tokens are estimated before a
    request is sent (a quarter of its bytes, 1,000 for each image, and `max_tokens`) and settled to what the provider
    counted. A request that is larger than all that may go at once waits until everything is there, and those behind it
    until that is made up for.

    Raises:
        InvalidRequestError: a value that is no limit; `.param` names it.
    """

    requests_per_minute: float | None = attrs.field(default=None, validator=_check_rate)
    tokens_per_minute: float | None = attrs.field(default=None, validator=_check_rate)
    """Those of prompts and replies together."""
    concurrency: int | None = attrs.field(default=None, validator=_check_count)
    """Requests under way at the same time, streams until they end."""


class RateLimiter(Protocol):
    """A limiter that several clients share, in this process or beyond; ``AsyncCompletion(rate_limiter=...)``.

    Keys are always ``"provider/model"``, the model as the provider is asked for it. What limits they stand for, and
    which of them share one, is the limiter's own business.
    """

    async def acquire(self, key: str, *, requests: int, tokens: int) -> None:
        """Returns when that many requests (always 1) and tokens (an estimate) may be sent.

        It is awaited in the call's own task, within the call's total timeout. It is cancelled when that runs out, when
        the caller gives up, and when the client is closed; then nothing is sent, `settle` is not called, and nothing
        should stay taken. A `CompletionError` it raises is the call's; anything else becomes a `ConfigurationError`.
        """
        ...

    def settle(self, key: str, *, estimated: int, actual: int) -> None:
        """Called exactly once for each `acquire` that returned, when the request is over, however it ended.

        `actual` is what the provider counted, 0 where it refused the request, and `estimated` where nobody knows. Must
        neither wait nor block: it is called from places that cannot. What it raises is logged.
        """
        ...


class Secret:
    """A key that no repr, str, format, pickle or traceback shows; `reveal()` gives it."""

    __slots__ = ("_reveal",)

    def __init__(self, value: str) -> None:
        if not isinstance(value, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers may not check types
            raise TypeError(f"a Secret holds text, not {type(value).__name__}")
        # A closure, not an attribute: vars(), pprint and debuggers that walk attributes find no text.
        self._reveal: Callable[[], str] = lambda: value

    def reveal(self) -> str:
        """The key itself."""
        return self._reveal()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(***)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other.reveal() == self.reveal()

    def __hash__(self) -> int:
        return hash((Secret, self.reveal()))

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Secret:
        return self

    def __reduce__(self) -> Any:
        raise TypeError("a Secret does not pickle; pass the key through the environment or an async callable")


class ResolvedOptions:
    """Call options by name, read like a dict. It shows names only: keys, headers and bodies are among the values."""

    __slots__ = ("_reveal",)

    def __init__(self, values: Mapping[str, Any]) -> None:
        # A closure again: reports of crashes walk through dicts.
        held = dict(values)
        self._reveal: Callable[[], dict[str, Any]] = lambda: held

    def reveal(self) -> dict[str, Any]:
        """The options as a dict of their own."""
        return self._reveal().copy()

    def __getitem__(self, name: str) -> Any:
        return self._reveal()[name]

    def get(self, name: str) -> Any:
        """The option, or None where it was not given."""
        return self._reveal().get(name)

    def __contains__(self, name: object) -> bool:
        return name in self._reveal()

    def __len__(self) -> int:
        return len(self._reveal())

    def __or__(self, other: ResolvedOptions) -> ResolvedOptions:
        return ResolvedOptions(self.reveal() | other.reveal())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ResolvedOptions) and other.reveal() == self.reveal()

    __hash__ = None  # type: ignore[assignment]  # some values have none

    def __repr__(self) -> str:
        return f"<{', '.join(self._reveal()) or 'no options'}>"


class BearerToken(Secret):
    """A token that goes as ``Authorization: Bearer`` to providers whose keys go in a header of their own."""

    __slots__ = ()


Key: TypeAlias = "str | Secret | Callable[[], Awaitable[str]]"
"""An API key: text, a `Secret`, or ``async () -> str`` (asked once per attempt)."""


class CallOptions(TypedDict, total=False):
    """How one call is made; nothing here is a field of OpenAI's request.

    `forceTimeout` and `force_timeout` are LiteLLM's names for the total timeout (giving two of the three is an
    error); `azure=True` is ``provider="azure"``; `logger_fn` is called with a dict before the request and after the
    reply or error, secrets removed; `verbose` logs this call's records at INFO on the logger ``anycompletion``.
    """

    provider: str | None
    timeout: float | Timeout | None
    max_retries: int | None
    on_unsupported: OnUnsupported | None
    extra_body: Mapping[str, Any] | None
    extra_headers: Mapping[str, str] | None
    extra_query: Mapping[str, str] | None
    api_key: Key | None
    base_url: str | None
    api_version: str | None
    organization: str | None
    project: str | None
    forceTimeout: float | None
    force_timeout: float | None
    azure: bool | None
    logger_fn: Callable[[dict[str, Any]], object] | None
    verbose: bool | None
