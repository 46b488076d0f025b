"""Routes as callers write them: `Route`, its targets and its circuit breaker, checked when they are made."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, NoReturn, TypeAlias, cast

import attrs

from .._async import is_async_function
from .._boundary import hides_constructor_frames
from .._value import Declaration
from ..errors import CompletionError, ConfigurationError, InvalidRequestError
from ..options import CallOptions, OnUnsupported, OptionValues, TargetOptions
from ..records import ChatRequest
from ..records.call_params import Params
from ..redaction import MaskedValue
from ..validation import check_options, parse_options, request_from_arguments, split_keywords

Strategy: TypeAlias = Literal["order", "weighted", "least_busy", "fastest", "cheapest"]
"""How a route picks the target of a call, among those that are available."""

STRATEGIES = frozenset(("order", "weighted", "least_busy", "fastest", "cheapest"))


def _refuse(param: str, text: str) -> NoReturn:
    raise InvalidRequestError(f"{param}: {text}", param=param)


def _number(name: str, value: object, *, least: float = 0.0, may_be_least: bool = False) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        _refuse(name, f"expected a number, found {type(value).__name__}")
    if not math.isfinite(value) or value < least or (value == least and not may_be_least):
        _refuse(name, f"must be {least:g} or more" if may_be_least else f"must be more than {least:g}, and finite")


def _check_number(owner: object, attribute: attrs.Attribute[Any], value: object) -> None:
    _number(attribute.name, value)


def _check_optional_number(owner: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is not None:
        _number(attribute.name, value)


def _check_share(owner: object, attribute: attrs.Attribute[Any], value: object) -> None:
    _number(attribute.name, value, may_be_least=True)
    if cast("float", value) > 1:
        _refuse(attribute.name, "must be 1 or less")


def _check_flag(owner: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, bool):
        _refuse(attribute.name, f"expected True or False, found {type(value).__name__}")


def _check_count(owner: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        _refuse(attribute.name, f"expected an int, found {type(value).__name__}")
    if value < 1:
        _refuse(attribute.name, "must be 1 or more")


def _check_optional_count(owner: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is not None:
        _check_count(owner, attribute, value)


def _check_text(owner: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        _refuse(attribute.name, "expected a text of printable characters")


def _check_optional_text(owner: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is not None:
        _check_text(owner, attribute, value)


def _check_price(owner: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is None:
        return
    if not isinstance(value, tuple) or len(cast("tuple[object, ...]", value)) != 2:
        _refuse(attribute.name, "expected two numbers, US dollars per million tokens in and out")
    for each in cast("tuple[object, object]", value):
        _number(attribute.name, each, may_be_least=True)


class _HiddenOptions(dict[str, Any]):
    """Options of a target; the repr has their names only, because values may be secret."""

    def __repr__(self) -> str:
        return f"<{', '.join(self)}>"


def _checked_options(given: TargetOptions) -> TargetOptions:
    """Options of a target with keys as `Secret`s, which their repr does not show."""
    if not isinstance(given, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers may not check types
        _refuse("options", f"expected a dict, found {type(given).__name__}")
    for name in given:
        if name not in TargetOptions.__annotations__:
            known = ", ".join(TargetOptions.__annotations__)
            _refuse("options", f"a target has no option {name!r}; its options are {known}")
    options = check_options(parse_options(given).reveal())
    for name in ("extra_headers", "extra_query"):
        if name in options:
            options[name] = {key: MaskedValue(value) for key, value in options[name].items()}
    return cast("TargetOptions", _HiddenOptions(options))


def _checked_params(given: Params) -> Params:
    """Checked wire parameters; None stays, because it takes a parameter of the call away."""
    if not isinstance(given, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers may not check types
        _refuse("params", f"expected a dict, found {type(given).__name__}")
    if any(name in ("model", "messages", "stream", *CallOptions.__annotations__) for name in given):
        _refuse("params", "expected parameters of the request; options of the call belong to options=")
    params, _ = split_keywords(given)
    checked = request_from_arguments({"model": "provider/model", "messages": "", **params})
    return cast("Params", {name: None if name not in params else getattr(checked, name) for name in given})


@hides_constructor_frames
@attrs.frozen(eq=False, repr=False)
class RouteTarget(Declaration):
    """One place where a route's calls may be answered.

    Raises:
        InvalidRequestError: an invalid value; `.param` names it.
    """

    model: str = attrs.field(validator=_check_text)
    """``provider/model``; in a route also the name of another route."""
    name: str | None = attrs.field(default=None, validator=_check_optional_text)
    """The target's name in ``info.target``. Default: the model, numbered where it repeats."""
    weight: float = attrs.field(default=1.0, validator=_check_number)
    """Share of the calls, for the strategies "weighted" and "least_busy"."""
    options: TargetOptions = attrs.field(factory=TargetOptions, converter=_checked_options)
    """Key, base URL and other options of calls to this target; the call's own win; its key and base URL are for the
    first target only. A `timeout` may shorten the call's own, and its total limits each visit."""
    params: Params = attrs.field(factory=Params, converter=_checked_params)
    """Parameters that replace those of the call; None takes one away."""
    context_window: int | None = attrs.field(default=None, validator=_check_optional_count)
    """Tokens of prompt and reply together that the model takes; None where it is unknown."""
    price: tuple[float, float] | None = attrs.field(default=None, validator=_check_price)
    """US dollars per million tokens of prompts and of replies, for the strategy "cheapest". Where it is None, those of
    the provider's price list count, if the extra ``prices`` is installed."""


@attrs.frozen(eq=False, repr=False)
class CircuitBreaker(Declaration):
    """When a target that fails is passed by, and for how long.

    Raises:
        InvalidRequestError: an invalid value; `.param` names it.
    """

    failures: int = attrs.field(default=3, validator=_check_count)
    """Failed visits in a row that open the circuit."""
    within: float = attrs.field(default=60.0, validator=_check_number)
    """Seconds within which they happen."""
    seconds: float = attrs.field(default=15.0, validator=_check_number)
    """Seconds until the first probe; twice as long after each probe that fails."""
    longest: float = attrs.field(default=300.0, validator=_check_number)
    """Most seconds between probes; also after a refused key, a used-up quota or an unknown model."""


def _checked_targets(given: Sequence[str | RouteTarget]) -> tuple[RouteTarget, ...]:
    """The targets of a route; texts become `RouteTarget`s.

    Raises:
        InvalidRequestError: they are no sequence of models and targets.
    """
    return checked_targets(given, "targets")


def checked_targets(given: object, param: str) -> tuple[RouteTarget, ...]:
    """The same for the argument `param`."""
    if isinstance(given, str) or not isinstance(given, Iterable):
        found = "a single text; write a list" if isinstance(given, str) else type(given).__name__
        _refuse(param, f"expected a list of models and RouteTargets, found {found}")
    targets: list[RouteTarget] = []
    for index, each in enumerate(cast("Iterable[object]", given)):
        if not isinstance(each, str | RouteTarget):
            _refuse(f"{param}[{index}]", f"expected a model or a RouteTarget, found {type(each).__name__}")
        targets.append(each if isinstance(each, RouteTarget) else RouteTarget(str(each)))
    return tuple(targets)


def _check_targets(owner: object, attribute: attrs.Attribute[Any], value: tuple[RouteTarget, ...]) -> None:
    if not value:
        raise ConfigurationError("targets: a route needs at least one target")


def _check_one_of(*values: object) -> Callable[[object, attrs.Attribute[Any], object], None]:
    def check(owner: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if value not in values:
            _refuse(attribute.name, f"expected {', '.join(map(repr, values[:-1]))} or {values[-1]!r}")

    return check


def _check_function(owner: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is None or (attribute.name == "sticky" and value == "prompt_cache"):
        return
    if not callable(value) or is_async_function(value):
        _refuse(attribute.name, "expected a plain function")


def _check_breaker(owner: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, CircuitBreaker | None):
        _refuse(attribute.name, f"expected a CircuitBreaker or None, found {type(value).__name__}")


@attrs.frozen(eq=False, repr=False)
class Route(Declaration):
    """Several places where a call may be answered, and how one is chosen; ``AsyncCompletion(routes={"fast": ...})``.

    A call makes ``max(max_retries + 1, targets × attempts_per_target)`` requests at most, of all targets together, and
    its timeout covers all of them.

    Raises:
        InvalidRequestError: an invalid value; `.param` names it.
        ConfigurationError: there are no targets.
    """

    targets: tuple[RouteTarget, ...] = attrs.field(converter=_checked_targets, validator=_check_targets)
    """Models, `RouteTarget`s, or names of other routes."""
    strategy: Strategy = attrs.field(default="order", validator=_check_one_of(*sorted(STRATEGIES)))
    """Picks among the available targets: "order" the first, "weighted" at random by `weight`, "least_busy" the one with
    the fewest calls in flight for its weight, "fastest" the one with the lowest latency for its load, "cheapest" the
    one with the lowest expected price. The others follow by the same rule."""
    attempts_per_target: int = attrs.field(default=1, validator=_check_count)
    """Requests to one target before the call moves on. A target that refuses a call for its rate gets one."""
    breaker: CircuitBreaker | None = attrs.field(factory=CircuitBreaker, validator=_check_breaker)
    """When targets that fail are passed by; None: never."""
    on_context_window: Literal["move", "raise"] = attrs.field(default="move", validator=_check_one_of("move", "raise"))
    """Whether a prompt that is too long goes on to a target with a larger `context_window`, or an unknown one."""
    on_content_policy: Literal["move", "raise"] = attrs.field(default="raise", validator=_check_one_of("move", "raise"))
    """Whether a call that a content policy refused goes on to the next target."""
    move_on: Callable[[CompletionError], bool | None] | None = attrs.field(default=None, validator=_check_function)
    """Decides whether a call that failed with an error goes on to the next target; where it returns None, the table of
    errors does."""
    on_unsupported: OnUnsupported | None = attrs.field(
        default=None, validator=_check_one_of(None, "raise", "warn", "drop")
    )
    """As in `CallOptions`, for calls of this route that do not set it."""
    sticky: Literal["prompt_cache"] | Callable[[ChatRequest], str | None] | None = attrs.field(
        default=None, validator=_check_function
    )
    """Sends requests with one key to one target while it is available. "prompt_cache": the key is `prompt_cache_key`,
    or else made of the system message and the tools."""
    hedge_after: float | None = attrs.field(default=None, validator=_check_optional_number)
    """Seconds without an answer, or without the first content of a stream, after which the next target is asked as well
    and the first good answer wins. It counts as one of the call's requests; the other one may be billed, too."""
    hedge_share: float = attrs.field(default=0.05, validator=_check_share)
    """Share of the calls that may do so, from 0 (none) to 1. Hedges that are not used are saved, up to 10, which a new
    route has from the start."""
    restart_streams: bool = attrs.field(default=False, validator=_check_flag)
    """Whether a stream that is cut off after its first content begins anew at the next target. Its reader then gets the
    beginning of a reply a second time, of which `CompletionStream.on_restart` informs, and `snapshot` begins empty. It
    is refused by what cannot take back what it has passed on: `sse`, `items` and `anycompletion.web`."""


def target_options(target: RouteTarget) -> OptionValues:
    """The options of a target, whose values nothing shows."""
    return OptionValues(cast("Mapping[str, Any]", target.options))
