"""The options with which a route's target is called: its own below those of the call, and no key for another address.

What a call or a view gives for one provider (key, base URL, headers with credentials …) is for the first target of the
route alone; others would be paid with a key that was not meant for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import attrs

from ..options import OptionValues, Timeout
from ..providers import Provider
from ..redaction import is_credential
from ..routing.flat_route import FlatTarget
from ..routing.route import Route
from .key_binding import BOUND_OPTIONS, is_same_origin

_MAPPINGS = ("extra_headers", "extra_query")


class Address(NamedTuple):
    """Where calls go: a provider at a base URL; "" where it has none."""

    provider: Provider
    url: str


class TargetSettings(NamedTuple):
    """The options of calls to one target."""

    options: OptionValues
    visit_total: float | None
    """Seconds that a visit may take, where the target has a limit of its own."""
    warnings: tuple[str, ...]
    """What was left out, because it was given for another address."""


def target_settings(
    target: FlatTarget,
    route: Route,
    defaults: OptionValues,
    given: OptionValues,
    address: Address,
    home: Address,
    first: str,
) -> TargetSettings:
    """The options of calls to `target`.

    Args:
        target: the target, whose own options are below the call's and above the client's.
        route: whose settings apply.
        defaults: the options of the client or view.
        given: the options of the call.
        address: where the target is, as its own options and the client's say it.
        home: where the options of the call and the view are for.
        first: the name of the route's first target, for which they are.
    """
    policy = {} if route.on_unsupported is None else {"on_unsupported": route.on_unsupported}
    own, base, call = target.options.reveal(), defaults.reveal(), given.reveal()
    merged: dict[str, Any] = base | policy | own | call
    merged.pop("fallbacks", None)
    if not target.is_own_model:
        merged.pop("provider", None)  # that of models that are written without one
    merged["timeout"], visit_total = _within(call.get("timeout") or base["timeout"], own.get("timeout"))
    for name in BOUND_OPTIONS:
        merged.pop(name, None)
    if target.index == 0:
        bound, dropped = _at_home(base, own, call, address, home), list[str]()
    else:
        is_same = address.provider.name == home.provider.name
        bound, dropped = _elsewhere(own, base | call, keeps_version=is_same)
    warnings = tuple(f"{name} left out for {target.name}: it was given for {first}" for name in dropped)
    return TargetSettings(OptionValues(merged | bound), visit_total, warnings)


def _within(timeout: Timeout, own: Timeout | None) -> tuple[Timeout, float | None]:
    """The timeouts of a visit, which the target may shorten, and the target's own total."""
    if own is None:
        return timeout, None
    shorter = {name: _least(getattr(timeout, name), getattr(own, name)) for name in ("connect", "first_chunk", "idle")}
    return attrs.evolve(timeout, **shorter), own.total if own.total_is_explicit else None


def _least(one: float | None, other: float | None) -> float | None:
    return min((each for each in (one, other) if each is not None), default=None)


def _at_home(
    base: Mapping[str, Any],
    own: Mapping[str, Any],
    call: Mapping[str, Any],
    address: Address,
    home: Address,
) -> dict[str, Any]:
    """The options for one provider of the target that those of the call are for, too."""
    bound = {name: layer[name] for layer in (base, own, call) for name in BOUND_OPTIONS if name in layer}
    if "base_url" in call and bound.get("base_url") is call["base_url"] and not is_same_origin(address.url, home.url):
        # The target's own credentials are not for the URL that the call gives.
        for name in ("api_key", *_MAPPINGS):
            if name in own and bound[name] is own[name]:
                del bound[name]
    return bound


def _elsewhere(
    own: Mapping[str, Any], theirs: Mapping[str, Any], *, keeps_version: bool
) -> tuple[dict[str, Any], list[str]]:
    """Those of another target: its own, and what is no secret; and the names of what was left out."""
    bound = {name: own[name] for name in BOUND_OPTIONS if name in own}
    dropped: list[str] = []
    for name in BOUND_OPTIONS:
        value = theirs.get(name)
        if value is None or name in own:
            continue
        if name in _MAPPINGS:
            texts = cast("Mapping[str, str]", value)
            bound[name] = {each: text for each, text in texts.items() if not is_credential(each)}
            dropped += [f"{name}.{each}" for each in texts if each not in bound[name]]
        elif name == "api_key" and isinstance(value, Mapping) and "base_url" not in own:
            bound[name] = value  # keys by provider
        elif name == "api_version" and keeps_version:
            bound[name] = value  # of the same provider
        else:
            dropped.append(name)
    return bound, dropped
