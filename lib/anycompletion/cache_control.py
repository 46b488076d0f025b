"""What one call does with the client's cache of replies, as a value; the cache itself is `caching`.

Annotations are no strings here, as in `options`.
"""

from typing import Any, Literal, NoReturn, TypeAlias

import attrs

from ._value import FrozenValue
from .errors import InvalidRequestError

CacheMode: TypeAlias = Literal["use", "refresh", "skip", "only"]
"""What a call does with the client's cache of replies; `CacheControl` describes each."""


def _check_mode(control: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    if value not in ("use", "refresh", "skip", "only"):
        _refuse("cache", "expected 'use', 'refresh', 'skip' or 'only'")


def _check_ttl(control: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float):
        _refuse("cache.ttl", f"expected seconds, found {type(value).__name__}")
    if not value > 0:
        _refuse("cache.ttl", "must be more than 0 seconds")


def _check_vary(control: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    if value is not None and not isinstance(value, str):
        _refuse("cache.vary", f"expected a text, found {type(value).__name__}")


@attrs.frozen(eq=False, repr=False)
class CacheControl(FrozenValue):
    """What a call does with the client's cache of replies, in full; ``cache="refresh"`` is short for the mode alone.

    * "use" (default): the stored reply, or else a new one, which is stored.
    * "refresh": a new reply, which replaces the stored one.
    * "skip": a new reply; the cache is neither read nor written.
    * "only": the stored reply, or else a `CacheMissError`; nothing is sent.

    Raises:
        InvalidRequestError: an invalid value; `.param` names it.
    """

    mode: CacheMode = attrs.field(default="use", validator=_check_mode)
    """What the call does with the cache."""
    ttl: float | None = attrs.field(default=None, validator=_check_ttl)
    """Seconds for which a reply of this call is kept, instead of those of the cache."""
    vary: str | None = attrs.field(default=None, validator=_check_vary)
    """Text that is part of the key, so that equal requests have several replies: the number of a sample, say."""


class CacheCounts:
    """The part of a cache that counts, for the state of the client."""

    hits = 0
    """Calls that this cache answered."""
    misses = 0
    """Calls that it might have answered."""


def _refuse(param: str, text: str) -> NoReturn:
    raise InvalidRequestError(f"{param}: {text}", param=param)
